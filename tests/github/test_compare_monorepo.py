"""Changes that a deployment of a service delivered, read from a fake GitHub, and what that costs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fakes.faults import Fault, RequestInFlight
from fakes.github import FakeGitHub
from fakes.routing import Answer
from support.monorepo import MergeMethod, Monorepo, at, delivered_changes, services_of_changes


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub(now=lambda: at(24)) as made:
        yield made


@pytest.fixture
def shop(github: FakeGitHub, tmp_path: Path) -> Monorepo:
    return Monorepo(github, tmp_path)


def operations(github: FakeGitHub) -> list[str]:
    return [logged.operation or logged.method for logged in github.requests]


MERGE_METHODS: tuple[MergeMethod, ...] = ("squash", "merge", "rebase")


@pytest.mark.parametrize("how", MERGE_METHODS)
def test_a_pull_request_belongs_to_the_services_whose_paths_it_touches(shop: Monorepo, how: MergeMethod) -> None:
    pay = shop.pull("Pay", ["libs/payments/a", "Makefile"], method=how, hours=1)
    page = shop.pull("Page", ["web/deep/er/a"], method=how, hours=2)
    both = shop.pull("Both", ["web/b", "services/checkout/b"], method=how, hours=3)
    none = shop.pull("None", ["Makefile", "services/other/a", "services/checkout/README.md"], method=how, hours=4)
    checkout, web, whole = (shop.deploy(service, hours=6) for service in ("checkout", "web", None))
    assert services_of_changes(checkout) == {pay: "checkout", both: None}
    assert services_of_changes(web) == {page: "web", both: None}
    assert services_of_changes(whole) == {pay: "checkout", page: "web", both: None, none: None}
    assert [delivered_changes(ran) for ran in (checkout, web, whole)] == [
        [pay, both],
        [page, both],
        [pay, page, both, none],
    ]


def test_a_commit_without_a_pull_request_belongs_to_services_by_its_folders(shop: Monorepo) -> None:
    pay = shop.commit("services/checkout/a", "Makefile", hours=1)
    page = shop.commit("web/a", hours=2)
    both = shop.commit("web/b", "libs/payments/b", hours=3)
    none = shop.commit("Makefile", "services/other/a", "webs/a", hours=4)
    checkout, web, whole = (shop.deploy(service, hours=6) for service in ("checkout", "web", None))
    assert services_of_changes(checkout) == {f"commit:{pay}": "checkout", f"commit:{both}": None}
    assert services_of_changes(web) == {f"commit:{page}": "web", f"commit:{both}": None}
    assert services_of_changes(whole)[f"commit:{none}"] is None
    assert len(services_of_changes(whole)) == 4


def test_every_new_commit_is_counted_whatever_it_touches(shop: Monorepo) -> None:
    shop.commit("web/a", hours=1)
    shop.commit("Makefile", hours=2)
    shop.pull("Pay", ["libs/payments/a"], method="merge", hours=3)
    (fact,) = (fact for fact in shop.deploy("web", hours=6).facts if fact["kind"] == "deployment")
    assert fact["commit_count"] == 4
    assert fact["previous"] == "github:deployment:2"


@pytest.mark.parametrize("service", ["api", "Web", None])
def test_a_service_without_paths_gets_all_changes(shop: Monorepo, service: str | None) -> None:
    shop.deploy(service, hours=0.5)
    pay = shop.pull("Pay", ["libs/payments/a"], hours=1)
    none = shop.commit("Makefile", hours=2)
    assert services_of_changes(shop.deploy(service, hours=6)) == {pay: "checkout", f"commit:{none}": None}


def test_a_deployment_that_names_no_service_is_of_the_one_with_the_repositorys_name(
    github: FakeGitHub, tmp_path: Path
) -> None:
    shop = Monorepo(github, tmp_path, {"shop": "web/**"})
    page = shop.pull("Page", ["web/a"], hours=1)
    shop.pull("Pay", ["libs/payments/a"], hours=2)
    assert services_of_changes(shop.deploy(None, hours=6)) == {page: "shop"}


@pytest.mark.parametrize("how", MERGE_METHODS)
def test_a_pull_request_of_more_files_than_are_listed_is_told_by_its_commits(shop: Monorepo, how: MergeMethod) -> None:
    large = shop.pull("Large", [f"web/{number}" for number in range(101)], method=how, hours=1)
    wide = shop.pull("Wide", ["libs/payments/a", *(f"web/more/{number}" for number in range(101))], method=how, hours=2)
    other = shop.pull("Other", [f"services/other/{number}" for number in range(101)], method=how, hours=3)
    checkout, web, whole = (shop.deploy(service, hours=6) for service in ("checkout", "web", None))
    assert services_of_changes(checkout) == {wide: None}
    assert services_of_changes(web) == {large: "web", wide: None}
    assert services_of_changes(whole) == {large: "web", wide: None, other: None}


@pytest.mark.parametrize("how", MERGE_METHODS)
def test_a_large_pull_request_touches_what_any_of_its_commits_touches(shop: Monorepo, how: MergeMethod) -> None:
    for paths in ([f"web/{number}" for number in range(101)], ["libs/payments/a"], ["Makefile"]):
        shop.repository.commit(dict.fromkeys(paths, "1"), branch="large", author_date=at(0.5))
    made = shop.repository.pull("Large", branch="large", created_at=at(0.6))
    shop.repository.merge_pull(made, method=how, at=at(1))
    assert services_of_changes(shop.deploy("checkout", hours=6)) == {"github:pull:acme/shop#1": None}


def test_a_hundred_files_are_all_listed_and_need_no_further_request(shop: Monorepo) -> None:
    shop.pull("Page", [f"web/{number}" for number in range(100)], hours=1)
    shop.github.requests.clear()
    assert services_of_changes(shop.deploy("checkout", hours=6)) == {}
    assert operations(shop.github) == ["Ledger", "GET", "PullsByCommit", "Append"]


def test_excluding_patterns_count_only_where_the_files_are_known(shop: Monorepo) -> None:
    shop.pull("Words", ["services/checkout/README.md"], hours=1)
    words = shop.commit("services/checkout/README.md", hours=2)
    assert services_of_changes(shop.deploy("checkout", hours=6)) == {f"commit:{words}": "checkout"}


# --- Cost ---


def test_many_pull_requests_and_commits_need_one_request_more_than_one_pull_request(shop: Monorepo) -> None:
    for number in range(8):
        shop.pull(f"Page {number}", [f"web/{number}"], hours=1 + number / 10)
        shop.commit(f"libs/payments/{number}", hours=2 + number / 10)
    shop.github.requests.clear()
    ran = shop.deploy("web", hours=6)
    assert len(services_of_changes(ran)) == 8
    assert operations(shop.github) == ["Ledger", "GET", "PullsByCommit", "CommitsByPath", "Append"]
    assert "GitHub ✓ 5 requests" in ran.summary


def test_up_to_a_hundred_commits_need_no_more_than_eight_requests(shop: Monorepo) -> None:
    for number in range(100):
        shop.commit("web/a" if number % 2 else "libs/payments/a", hours=number / 100)
    shop.github.requests.clear()
    assert len(services_of_changes(shop.deploy("web", hours=6))) == 50
    assert len(shop.github.requests) <= 8


def test_a_repository_without_services_asks_for_no_files(github: FakeGitHub, tmp_path: Path) -> None:
    shop = Monorepo(github, tmp_path, {})
    page, commit = shop.pull("Page", ["web/a"], hours=1), shop.commit("Makefile", hours=2)
    github.requests.clear()
    before = github.state.budgets["graphql"].used
    ran = shop.deploy("web", hours=6)
    without = github.state.budgets["graphql"].used - before
    assert services_of_changes(ran) == {page: "web", f"commit:{commit}": "web"}
    assert operations(github) == ["Ledger", "GET", "PullsByCommit", "Append"]
    (tmp_path / ".github" / "dora.yml").write_text("services: {web: web/**}", "utf-8")
    shop.pull("Page", ["web/b"], hours=7)
    before = github.state.budgets["graphql"].used
    shop.deploy("web", hours=8)
    assert github.state.budgets["graphql"].used - before > without


def test_more_paths_than_one_request_has_places_for_are_asked_in_two(github: FakeGitHub, tmp_path: Path) -> None:
    shop = Monorepo(github, tmp_path, {f"s{number}": [f"s/{number}/**", f"t/{number}/**"] for number in range(15)})
    one = shop.commit("t/14/a", hours=1)
    github.requests.clear()
    assert services_of_changes(shop.deploy(None, hours=6)) == {f"commit:{one}": "s14"}
    assert operations(github).count("CommitsByPath") == 2


def test_a_pattern_without_a_fixed_beginning_needs_no_request(github: FakeGitHub, tmp_path: Path) -> None:
    shop = Monorepo(github, tmp_path, {"web": "**.ts"})
    any_commit, page = shop.commit("Makefile", hours=1), shop.pull("Page", ["a/b.ts"], hours=2)
    shop.pull("Other", ["a/b.py"], hours=3)
    github.requests.clear()
    assert services_of_changes(shop.deploy("web", hours=6)) == {f"commit:{any_commit}": "web", page: "web"}
    assert "CommitsByPath" not in operations(github)


# --- Long and complicated histories ---


def test_more_commits_of_a_folder_than_one_page_are_all_seen(shop: Monorepo) -> None:
    early = shop.commit("libs/payments/a", "web/a", hours=1)
    for number in range(130):
        shop.commit("web/a", hours=1 + number / 100)
    late = shop.commit("libs/payments/a", hours=4)
    assert services_of_changes(shop.deploy("checkout", hours=6)) == {
        f"commit:{early}": None,
        f"commit:{late}": "checkout",
    }
    assert len(services_of_changes(shop.deploy("web", hours=6))) == 131


def test_commits_from_before_are_not_read(shop: Monorepo) -> None:
    for number in range(250):
        shop.commit("web/a", hours=number / 1000)
    shop.deploy("web", hours=0.5)
    page = shop.commit("web/a", hours=1)
    shop.commit("Makefile", hours=2)
    shop.github.requests.clear()
    assert services_of_changes(shop.deploy("web", hours=6)) == {f"commit:{page}": "web"}
    assert operations(shop.github).count("CommitsByPath") == 1


def test_a_wrong_clock_hides_no_commit(shop: Monorepo) -> None:
    page = shop.commit("web/a", hours=3)
    shop.pull("Backwards", ["Makefile"], hours=-5)
    assert services_of_changes(shop.deploy("web", hours=6)) == {f"commit:{page}": "web"}
    pay = shop.commit("libs/payments/a", hours=7, committed=-2000)
    assert services_of_changes(shop.deploy("checkout", hours=8)) == {f"commit:{pay}": "checkout"}


@dataclass(frozen=True)
class without_commit_times(Fault):  # noqa: N801 - read as a verb
    """GitHub shows no time of any commit."""

    def after(self, in_flight: RequestInFlight, answer: Answer) -> Answer:
        del in_flight
        commits = [
            {**each, "commit": {**each["commit"], "committer": {"date": None}}} for each in answer.body["commits"]
        ]
        return replace(answer, body={**answer.body, "commits": commits})


def test_commits_without_a_time_set_no_limit(shop: Monorepo) -> None:
    shop.github.fail(without_commit_times(), to="GET /repos/*/compare/*", times=None)
    page = shop.commit("web/a", hours=3)
    assert services_of_changes(shop.deploy("web", hours=6)) == {f"commit:{page}": "web"}


def test_a_branch_that_was_merged_by_hand_brings_its_commits(shop: Monorepo) -> None:
    base = shop.repository.head()
    ours = shop.commit("Makefile", hours=2)
    page = shop.repository.commit({"web/a": "1"}, branch="old", parents=[str(base)], author_date=at(-50))
    tree = shop.repository.git.commit(shop.repository.commit({"web/a": "1"}, parents=[ours], branch="tree"))
    assert tree
    merge = shop.repository.write_commit(tree.tree, [ours, page], "Merge branch 'old'", author_date=at(3))
    shop.repository.branch("main", merge)
    assert services_of_changes(shop.deploy("web", hours=6)) == {f"commit:{page}": "web"}
    assert services_of_changes(shop.deploy("checkout", hours=6)) == {}
