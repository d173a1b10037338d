"""Real repositories: empty, renamed, force-pushed, with deleted users and wrong clocks. Notes, no wrong numbers."""

from datetime import UTC, datetime

import pytest

from dora_metrics.github.history.deployments import decode_payload, deployment_number
from fakes.github import FakeGitHub
from fakes.repository import Repository
from support.github_history import at, deploy, merge_pull_request, read_fake_history


def test_an_empty_repository_says_so(github: FakeGitHub) -> None:
    github.repository("acme/shop", empty=True)
    one = read_fake_history(github)
    assert one.facts == {}
    assert one.gathered.failures == []
    assert "acme/shop has no commits on a default branch." in one.notes
    assert "so there are no deployments from GitHub" in one.notes


def test_a_default_branch_that_is_not_there_is_as_good_as_empty(github: FakeGitHub) -> None:
    shop = github.repository("acme/shop", empty=True, default_branch="gone")
    shop.commit({"a": "b"}, branch="elsewhere", parents=[])
    shop.issue("Slow", labels=["incident"], created_at=at(1))
    one = read_fake_history(github)
    assert "no commits on a default branch" in one.notes
    assert len(one.incidents) == 1


def test_a_repository_with_nothing_but_commits_has_no_deployments(github: FakeGitHub, shop: Repository) -> None:
    shop.commit({"a": "b"}, message="By hand", author_date=at(1))
    one = read_fake_history(github)
    assert one.facts == {}
    assert "no known push to the default branch, so there are no deployments from GitHub" in one.notes


@pytest.mark.parametrize("new", ["acme/store", "umbrella/shop"])
def test_a_renamed_or_transferred_repository_is_told_under_its_present_name(
    github: FakeGitHub, shop: Repository, new: str
) -> None:
    deploy(shop, 1)
    merge_pull_request(shop, "Faster", 2, body="Reverts #7")
    shop.issue("Slow", labels=["incident"], created_at=at(3))
    github.state.rename("acme/shop", new)
    one = read_fake_history(github)
    assert {fact.repository for fact in one.facts.values()} == {new}
    assert f"github:pull:{new}#1" in one.facts
    assert f"github:issue:{new}#2" in one.facts
    assert one.changes[f"github:pull:{new}#1"].reverts == f"github:pull:{new}#7"
    assert f"acme/shop is {new} now" in one.notes
    assert one.facts == read_fake_history(github, name=new).facts
    assert "now" not in read_fake_history(github, name=new).notes


def test_a_deleted_branch_keeps_its_name_in_changes_and_loses_it_in_deployments(
    github: FakeGitHub, shop: Repository
) -> None:
    pull = shop.pull("Faster", branch="feature", created_at=at(1))
    identity = deploy(shop, 1.5, ref="feature")
    shop.merge_pull(pull, at=at(2), delete_branch=True)
    one = read_fake_history(github)
    assert one.changes["github:pull:acme/shop#1"].branch == "feature"
    assert one.deployments[identity].ref is None


def test_deleted_people_are_nobody_and_no_bots(github: FakeGitHub, shop: Repository) -> None:
    pull = shop.pull("Faster", author=None, created_at=at(1))
    shop.review(pull, author=None, at=at(1.2))
    shop.review(pull, author="reviewer", at=at(1.5))
    shop.merge_pull(pull, at=at(2))
    shop.issue("Slow", labels=["incident"], author=None, created_at=at(3))
    one = read_fake_history(github)
    change = one.changes["github:pull:acme/shop#1"]
    assert (change.bot, change.first_review_at) == (False, at(1.5))
    assert len(one.incidents) == 1


def test_the_first_review_is_by_another_human(github: FakeGitHub, shop: Repository) -> None:
    pull = shop.pull("Faster", author="octocat", created_at=at(1))
    shop.review(pull, author="octocat", at=at(1.1))
    shop.review(pull, author="linter[bot]", at=at(1.2))
    shop.review(pull, author="reviewer", at=at(1.5))
    shop.merge_pull(pull, at=at(2))
    assert read_fake_history(github).changes["github:pull:acme/shop#1"].first_review_at == at(1.5)


@pytest.mark.parametrize("how", ["squash", "merge", "rebase"])
def test_a_pull_request_of_260_commits_is_one_change(github: FakeGitHub, shop: Repository, how: str) -> None:
    deploy(shop, 0.5)
    for number in range(260):
        shop.commit({"a": str(number)}, message=f"Part {number}", branch="feature", author_date=at(1 + number / 1000))
    pull = shop.pull("Everything", branch="feature", created_at=at(2))
    shop.merge_pull(pull, method=how, at=at(3))  # type: ignore[arg-type]
    identity = deploy(shop, 4)
    one = read_fake_history(github)
    change = one.changes["github:pull:acme/shop#1"]
    assert (change.first_commit_at, change.commits) == (at(1), None)
    assert one.deployments[identity].changes == (change.id,)
    assert (
        "1 pull request has more than 100 commits. GitHub lists the first 100. Lead time starts with the oldest of "
        "these, so it is at least what is shown."
    ) in one.notes


def test_a_branch_that_was_rebased_and_forced_before_its_merge_is_what_it_was_merged_as(
    github: FakeGitHub, shop: Repository
) -> None:
    deploy(shop, 0.5)
    shop.commit({"a": "1"}, message="Draft", branch="feature", author_date=at(1))
    pull = shop.pull("Faster", branch="feature", created_at=at(1.5))
    shop.branch("feature", shop.head())
    shop.commit({"a": "2"}, message="Final", branch="feature", author_date=at(2), committer_date=at(2.5))
    shop.merge_pull(pull, method="rebase", at=at(3))
    identity = deploy(shop, 4)
    one = read_fake_history(github)
    assert one.changes["github:pull:acme/shop#1"].first_commit_at == at(2)
    assert one.deployments[identity].changes == ("github:pull:acme/shop#1",)


def test_a_deployment_of_what_was_pushed_away_by_force_is_left_for_a_comparison(
    github: FakeGitHub, shop: Repository
) -> None:
    deploy(shop, 0.5)
    root = shop.head()
    shop.commit({"a": "1"}, message="Gone", author_date=at(1))
    gone = deploy(shop, 2)
    shop.branch("main", root)
    shop.commit({"a": "2"}, message="Instead", author_date=at(3.5))
    last = deploy(shop, 4)
    one = read_fake_history(github)
    assert one.deployments[gone].changes is None
    assert [deployment.id for deployment in one.linked.unresolved] == [gone]
    assert (one.deployments[last].previous, len(one.deployments[last].changes or ())) == (gone, 1)
    assert "removed by a force push" in one.notes


def test_commits_from_before_there_was_git_have_no_time(github: FakeGitHub, shop: Repository) -> None:
    deploy(shop, 0.5)
    old = datetime(1970, 1, 1, tzinfo=UTC)
    direct = shop.commit({"a": "1"}, message="By hand", author_date=old, committer_date=at(1))
    shop.commit({"b": "1"}, message="Part", branch="feature", author_date=old, committer_date=at(1.5))
    shop.merge_pull(shop.pull("Faster", branch="feature", created_at=at(1.5)), method="merge", at=at(2))
    identity = deploy(shop, 3)
    one = read_fake_history(github)
    assert set(one.deployments[identity].changes or ()) == {f"commit:{direct}", "github:pull:acme/shop#1"}
    assert [change.first_commit_at for change in one.changes.values()] == [None, None]
    assert one.changes[f"commit:{direct}"].observed_at == at(3)
    assert "1 commit without a pull request is dated before 1990. Such dates are ignored." in one.notes
    assert "1 pull request has commits dated before 1990. Such dates are ignored." in one.notes


def test_commits_from_the_future_are_told_of(github: FakeGitHub, shop: Repository) -> None:
    deploy(shop, 0.5)
    future = datetime(2099, 1, 1, tzinfo=UTC)
    shop.commit({"a": "1"}, message="By hand", author_date=future)
    shop.commit({"b": "1"}, message="Part", branch="feature", author_date=future)
    shop.merge_pull(shop.pull("Faster", branch="feature", created_at=at(1.5)), at=at(2))
    identity = deploy(shop, 3)
    one = read_fake_history(github)
    assert len(one.deployments[identity].changes or ()) == 2
    assert "1 commit without a pull request is dated after landing. Negative lead times are left out." in one.notes
    assert "1 pull request has commits dated after landing. Negative lead times are left out." in one.notes


def test_a_wrong_committer_clock_hides_nothing_behind_it(github: FakeGitHub, shop: Repository) -> None:
    deploy(shop, 0.5)
    for number in range(80):
        clock = datetime(1970, 1, 1, tzinfo=UTC) if number == 75 else at(1 + number / 100)
        shop.commit({"a": str(number)}, message=f"Commit {number}", author_date=at(1), committer_date=clock)
    identity = deploy(shop, 3)
    assert len(read_fake_history(github).deployments[identity].changes or ()) == 80
    assert len(read_fake_history(github, since=at(0.1)).deployments[identity].changes or ()) == 80


def test_a_pull_request_into_another_branch_counts_where_its_commits_reach_the_default_branch_alone(
    github: FakeGitHub, shop: Repository
) -> None:
    deploy(shop, 0.5)
    shop.branch("next")
    shop.branch("other")
    shop.merge_pull(shop.pull("Under way", base="next", created_at=at(1)), at=at(2))
    shop.merge_pull(shop.pull("Elsewhere", base="other", created_at=at(1)), at=at(2))
    shop.branch("main", shop.head("next"))
    identity = deploy(shop, 3)
    one = read_fake_history(github)
    assert list(one.changes) == ["github:pull:acme/shop#1"]
    assert one.deployments[identity].changes == ("github:pull:acme/shop#1",)


def test_a_train_of_pull_requests_comes_with_those_that_it_carried(github: FakeGitHub, shop: Repository) -> None:
    deploy(shop, 0.5)
    shop.branch("next")
    shop.merge_pull(shop.pull("Carriage", base="next", created_at=at(1)), at=at(2))
    shop.merge_pull(shop.pull("Train", branch="next", created_at=at(2)), method="merge", at=at(3))
    identity = deploy(shop, 4)
    one = read_fake_history(github)
    assert one.deployments[identity].changes == ("github:pull:acme/shop#1", "github:pull:acme/shop#2")
    assert sorted(one.changes) == ["github:pull:acme/shop#1", "github:pull:acme/shop#2"]


def test_a_merge_of_more_than_two_branches_is_followed_into_all(github: FakeGitHub, shop: Repository) -> None:
    deploy(shop, 0.5)
    names = ("one", "two", "three")
    heads = [shop.commit({name: "1"}, message=name, branch=name, author_date=at(1)) for name in names]
    shop.commit({}, message="Merge branches", parents=[str(shop.head()), *heads], author_date=at(2))
    identity = deploy(shop, 3)
    assert len(read_fake_history(github).deployments[identity].changes or ()) == 3


def test_what_an_issue_says_wrongly_is_told(github: FakeGitHub, shop: Repository) -> None:
    shop.issue("Slow", labels=["incident"], body="### Detected at\n\nyesterday\n", created_at=at(3))
    one = read_fake_history(github)
    assert "acme/shop#1 is open: “Detected at” is not a time" in one.notes


def test_closed_for_another_reason_is_no_incident(github: FakeGitHub, shop: Repository) -> None:
    shop.issue("Not ours", labels=["incident"], created_at=at(1), closed_at=at(2), state_reason="not_planned")
    shop.issue("Twice", labels=["incident"], created_at=at(1), closed_at=at(2), state_reason="duplicate")
    assert [fact.retracted for fact in read_fake_history(github).incidents.values()] == [True, True]


def test_a_superseded_deployment_ended_when_it_succeeded(github: FakeGitHub, shop: Repository) -> None:
    first, _ = deploy(shop, 1), deploy(shop, 9)
    assert read_fake_history(github).deployments[first].finished_at == at(1)


@pytest.mark.parametrize(
    ("node", "number"),
    [
        ({"databaseId": 7, "id": "DE_kwDOIfJNb85eiWrx"}, 7),
        ({"databaseId": None, "id": "DE_kwDOIfJNb85eiWrx"}, 1586064113),
        ({"databaseId": None, "id": "DE_nonsense"}, None),
        ({"databaseId": -2, "id": "x"}, None),
    ],
)
def test_a_deployments_number_is_known_although_graphql_has_no_room_for_it(
    node: dict[str, object], number: int | None
) -> None:
    assert deployment_number(node) == number


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('{"version": "v1"}', {"version": "v1"}),
        ('"{\\"version\\": \\"v1\\"}"', {"version": "v1"}),
        ("v1", "v1"),
        (None, None),
        ("[" * 100_000, "[" * 100_000),
        ('{"a":' * 100_000, '{"a":' * 100_000),
    ],
    ids=["object", "text", "no JSON", "none", "many lists", "many objects"],
)
def test_a_payload_is_an_object_however_it_is_packed(text: str | None, meant: object) -> None:
    assert decode_payload(text) == meant


def test_all_of_it_at_once_is_what_the_world_is(github: FakeGitHub, shop: Repository) -> None:
    """A repository with every trap, compared with git and with the fake's own records."""
    truth: dict[str, set[str]] = {}
    first = deploy(shop, 0.5)
    bound = str(shop.head())
    hours = 1.0
    for number in range(60):
        hours += 1
        clock = datetime(1970 if number % 11 == 0 else 2099, 1, 1, tzinfo=UTC) if number % 13 == 0 else at(hours - 0.5)
        if number % 3 == 0:
            shop.commit(
                {"direct": str(number)}, message=f"By hand {number}", author_date=clock, committer_date=at(hours - 0.4)
            )
        for part in range(1 + number % 3):
            shop.commit({f"{number}": str(part)}, message=f"Part {part}", branch=f"b{number}", author_date=clock)
        author = [None, "octocat", "dependabot[bot]"][number % 3]
        pull = shop.pull(f"Pull {number}", branch=f"b{number}", author=author, created_at=at(hours - 0.2))
        how = ("squash", "merge", "rebase")[number % 3]
        shop.merge_pull(pull, method=how, at=at(hours), delete_branch=number % 2 == 0)  # type: ignore[arg-type]
        if number % 5 == 4:
            sha = str(shop.head())
            new = shop.git.rev_list("--reverse", f"{bound}..{sha}")
            truth[deploy(shop, hours + 0.2, ref=f"b{number}")] = {
                name for oid in new if (name := _change_of_commit(shop, oid))
            }
            bound = sha
        if number % 7 == 0:
            deploy(shop, hours + 0.1, environment="staging", status="failure")
    shop.deployment(status="waiting", at=at(hours + 1))
    shop.commit({"x": "y"}, message="Elsewhere", branch="hotfix", author_date=at(hours))
    away = deploy(shop, hours + 2, sha=shop.head("hotfix"))
    shop.issue("Slow", labels=["incident"], created_at=at(5), closed_at=at(6))
    lost = shop.issue("Not one", labels=["incident"], created_at=at(5))
    shop.unlabel(lost, "incident", at=at(7))
    github.state.rename("acme/shop", "acme/store")
    one = read_fake_history(github)
    assert one.gathered.failures == []
    assert one.deployments[first].changes is None
    assert one.deployments[away].changes is None
    found = {key: set(one.deployments[key].changes or ()) for key in truth}
    assert found == {key: {name.replace("shop", "store") for name in names} for key, names in truth.items()}
    assert all(name in one.changes for names in found.values() for name in names)
    assert len(one.incidents) == 1
    assert not any(change.first_commit_at and change.first_commit_at < at(-1) for change in one.changes.values())


def _change_of_commit(shop: Repository, oid: str) -> str | None:
    """The change that a commit of the default branch belongs to, according to the fake's own records."""
    pulls = [pull for pull in shop.pulls_by_commit.get(oid, []) if pull.merged]
    if pulls:
        return f"github:pull:acme/shop#{pulls[0].number}"
    commit = shop.git.commit(oid)
    return f"commit:{oid}" if commit and len(commit.parents) < 2 else None


def test_a_quiet_year_is_no_gap(github: FakeGitHub, shop: Repository) -> None:
    deploy(shop, 1)
    sha = merge_pull_request(shop, "Faster", 2)
    first = read_fake_history(github)
    later = deploy(shop, 24 * 70, sha=sha)
    second = read_fake_history(
        github, cursors=first.cursors, ledger=dict(first.facts), known_sources=frozenset({"deployments"})
    )
    assert second.deployments[later].changes == ("github:pull:acme/shop#1",)
