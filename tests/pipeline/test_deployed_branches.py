"""What a deployment delivered where the history is no line: backports, open branches, develop and main."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from fakes.github import FakeGitHub
from support.deploying_shop import DeployingShop, Source
from support.github_history import NOW, at

SOURCES: list[tuple[Source, str]] = [
    (source, setting) for source in ("deployments", "releases", "workflow-runs") for setting in (source, "auto")
]
LEDGERS = ("events", "events, then a sync", "a sync")


@pytest.fixture(params=SOURCES, ids=lambda param: f"{param[0]}, set to {param[1]}")
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeployingShop]:
    source, setting = request.param
    with FakeGitHub(now=lambda: NOW) as github:
        yield DeployingShop(github, tmp_path, source, setting)


def lead_times(shop: DeployingShop) -> dict[str, dict[str, tuple[str | None, float]]]:
    """The lead times by events, by these and then a sync, and by a sync alone."""
    by_events = shop.lead_times("events")
    shop.sync("events")
    shop.sync("sync")
    return dict(zip(LEDGERS, (by_events, shop.lead_times("events"), shop.lead_times("sync")), strict=True))


def test_a_backport_makes_no_old_change_new(shop: DeployingShop) -> None:
    begin = shop.commit("begin", [], at(-4000))
    tip = begin
    for number in range(3):
        tip = shop.commit(f"spring {number}", [tip], at(-3000 + number))
    shop.deploy(tip, at(0), "v2.0.0")
    backport = shop.commit("backport", [begin], at(1), "release/1.x")
    shop.deploy(backport, at(25), "v1.9.5")
    summer = shop.commit("summer", [tip], at(30))
    shop.deploy(summer, at(40), "v2.0.1")
    second = shop.commit("second backport", [backport], at(50), "release/1.x")
    shop.deploy(second, at(60), "v1.9.6")
    expected = {"backport": ("v1.9.5", 24.0), "summer": ("v2.0.1", 10.0), "second backport": ("v1.9.6", 10.0)}
    assert lead_times(shop) == dict.fromkeys(LEDGERS, expected)


def test_after_a_rollback_to_before_the_first_known_deployment_only_new_commits_are_delivered(
    shop: DeployingShop,
) -> None:
    old = shop.commit("old", [], at(-4000))
    first = shop.commit("first", [old], at(-100))
    shop.deploy(first, at(0), "v1.1.0")
    shop.deploy(old, at(10), "v1.0.0")
    fixed = shop.commit("fixed", [first], at(12))
    shop.deploy(fixed, at(20), "v1.1.1")
    assert lead_times(shop) == {ledger: {"fixed": ("v1.1.1", 8.0)} for ledger in LEDGERS}


def test_a_promoted_branch_delivers_what_the_other_line_lacked(shop: DeployingShop) -> None:
    begin = shop.commit("begin", [], at(0))
    shop.deploy(begin, at(1), "v1.0.0")
    side = shop.commit("side", [begin], at(2), "next")
    main = shop.commit("main", [begin], at(3))
    shop.deploy(main, at(5), "v1.0.1")
    shop.deploy(side, at(6), "v2.0.0")
    merged = shop.commit("merged", [main, side], at(7))
    shop.deploy(merged, at(8), "v2.1.0")
    expected = {"main": ("v1.0.1", 2.0), "side": ("v2.0.0", 4.0)}
    assert lead_times(shop) == dict.fromkeys(LEDGERS, expected)


@pytest.mark.parametrize("method", ["squash", "merge"])
def test_a_branch_that_is_deployed_before_it_is_merged_counts_once(shop: DeployingShop, method: str) -> None:
    begin = shop.commit("begin", [], at(0))
    shop.deploy(begin, at(1), "v1.0.0")
    first = shop.commit("first part", [begin], at(10), "feature")
    head = shop.commit("second part", [first], at(12), "feature")
    pull = shop.repository.pull("Faster", branch="feature", created_at=at(13))
    shop.deploy(head, at(34), "v1.0.1")
    merged = shop.repository.merge_pull(pull, method=method, at=at(36))  # type: ignore[arg-type]
    shop.deploy(merged, at(82), "v1.0.2")
    assert lead_times(shop) == {ledger: {"#1": ("v1.0.1", 24.0)} for ledger in LEDGERS}


def test_the_first_commits_of_an_open_branch_are_delivered_with_the_rest_of_it(shop: DeployingShop) -> None:
    begin = shop.commit("begin", [], at(0))
    shop.deploy(begin, at(1), "v1.0.0")
    first = shop.commit("first part", [begin], at(10), "feature")
    pull = shop.repository.pull("Faster", branch="feature", created_at=at(11))
    shop.deploy(first, at(20), "v1.0.1")
    shop.commit("second part", [first], at(22), "feature")
    merged = shop.repository.merge_pull(pull, method="squash", at=at(24))
    shop.deploy(merged, at(34), "v1.0.2")
    assert lead_times(shop) == {ledger: {"#1": ("v1.0.2", 24.0)} for ledger in LEDGERS}


def test_a_pull_request_that_only_carries_others_is_no_change(shop: DeployingShop) -> None:
    begin = shop.commit("begin", [], at(0))
    shop.deploy(begin, at(1), "v1.0.0")
    shop.repository.branch("develop", begin)
    for number, hours in (("one", 10), ("two", 34)):
        shop.commit(number, [shop.repository.head("develop") or ""], at(hours), f"feature-{number}")
        pull = shop.repository.pull(number, branch=f"feature-{number}", base="develop", created_at=at(hours + 1))
        shop.repository.merge_pull(pull, method="squash", at=at(hours + 2))
    promotion = shop.repository.pull("Release", branch="develop", created_at=at(80))
    merged = shop.repository.merge_pull(promotion, method="merge", at=at(81))
    shop.deploy(merged, at(82), "v1.1.0")
    assert lead_times(shop) == {ledger: {"#1": ("v1.1.0", 72.0), "#2": ("v1.1.0", 48.0)} for ledger in LEDGERS}


def test_what_develop_has_beside_pull_requests_belongs_to_the_one_that_carries_it(shop: DeployingShop) -> None:
    begin = shop.commit("begin", [], at(0))
    shop.deploy(begin, at(1), "v1.0.0")
    shop.commit("by hand", [begin], at(10), "develop")
    promotion = shop.repository.pull("Release", branch="develop", created_at=at(11))
    merged = shop.repository.merge_pull(promotion, method="merge", at=at(12))
    shop.deploy(merged, at(34), "v1.1.0")
    assert lead_times(shop) == {ledger: {"#1": ("v1.1.0", 24.0)} for ledger in LEDGERS}


def test_a_release_line_whose_last_release_is_in_a_sealed_month_makes_nothing_new(shop: DeployingShop) -> None:
    begin = shop.commit("begin", [], at(-6000))
    spring = shop.commit("spring", [begin], at(-5500))
    shop.deploy(spring, at(-5000), "v2.0.0")
    old_line = shop.commit("old line", [begin], at(-4990), "release/1.x")
    shop.deploy(old_line, at(-4980), "v1.9.0")
    shop.deploy(begin, at(-4900), "v1.8.0")
    summer = shop.commit("summer", [spring], at(-10))
    shop.deploy(summer, at(0), "v2.0.1")
    backport = shop.commit("backport", [old_line], at(5), "release/1.x")
    shop.deploy(backport, at(15), "v1.9.1")
    assert (shop.folder / "events" / "ledger" / "checkpoint.json").exists()
    recent = {change: hours for change, hours in lead_times(shop)["events"].items() if change != "old line"}
    assert recent == {"summer": ("v2.0.1", 10.0), "backport": ("v1.9.1", 10.0)}


def test_the_first_known_deployment_may_have_part_of_an_open_branch(shop: DeployingShop) -> None:
    begin = shop.commit("begin", [], at(-10))
    first = shop.commit("first part", [begin], at(0), "feature")
    pull = shop.repository.pull("Faster", branch="feature", created_at=at(0.5))
    shop.deploy(first, at(1), "v1.0.0")
    head = shop.commit("second part", [first], at(2), "feature")
    shop.deploy(head, at(3), "v1.1.0")
    merged = shop.repository.merge_pull(pull, method="squash", at=at(30))
    shop.deploy(merged, at(39), "v1.2.0")
    assert lead_times(shop) == {ledger: {"#1": ("v1.1.0", 3.0)} for ledger in LEDGERS}


def test_a_commit_by_hand_stays_one_when_a_later_pull_request_into_another_branch_holds_it(
    shop: DeployingShop,
) -> None:
    begin = shop.commit("begin", [], at(0))
    shop.repository.branch("develop", begin)
    shop.deploy(begin, at(1), "v1.0.0")
    by_hand = shop.commit("by hand", [begin], at(10))
    shop.deploy(by_hand, at(12), "v1.1.0")
    shop.commit("hot", [by_hand], at(20), "hotfix/1")
    into_main, into_develop = (
        shop.repository.pull("hot", branch="hotfix/1", base=base, created_at=at(21)) for base in ("main", "develop")
    )
    merged = shop.repository.merge_pull(into_main, method="squash", at=at(22))
    shop.deploy(merged, at(23), "v1.1.1")
    shop.repository.merge_pull(into_develop, method="merge", at=at(24))
    back = shop.repository.pull("main to develop", branch="main", base="develop", created_at=at(25))
    shop.repository.merge_pull(back, method="merge", at=at(26))
    another = shop.commit("another by hand", [merged], at(30))
    shop.deploy(another, at(40), "v1.2.0")
    expected = {"by hand": ("v1.1.0", 2.0), "#1": ("v1.1.1", 3.0), "another by hand": ("v1.2.0", 10.0)}
    assert lead_times(shop) == dict.fromkeys(LEDGERS, expected)


def test_a_promotion_starts_with_its_own_commits(shop: DeployingShop) -> None:
    """Squashed again and again, its branch still holds what earlier promotions brought."""
    begin = shop.commit("begin", [], at(0))
    shop.deploy(begin, at(1), "v1.0.0")
    first = shop.commit("first", [begin], at(10), "develop")
    for number, (head, hours) in enumerate(((first, 20), (None, 120)), 1):
        if head is None:
            shop.commit("second", [first], at(100), "develop")
        pull = shop.repository.pull(f"Release {number}", branch="develop", created_at=at(hours))
        merged = shop.repository.merge_pull(pull, method="squash", at=at(hours + 1))
        shop.deploy(merged, at(hours + 2), f"v1.{number}.0")
    expected = {"#1": ("v1.1.0", 12.0), "#2": ("v1.2.0", 22.0)}
    assert lead_times(shop) == dict.fromkeys(LEDGERS, expected)


@pytest.mark.parametrize("method", ["squash", "merge"])
def test_a_forks_branch_may_have_the_name_of_the_default_branch(
    shop: DeployingShop, method: Literal["squash", "merge"]
) -> None:
    """As GitHub's web editor makes it: whoever names the branch decides nothing about the numbers."""
    begin = shop.commit("begin", [], at(0))
    shop.deploy(begin, at(1), "v1.0.0")
    shop.commit("work", [begin], at(10), "fix")
    pull = shop.repository.pull("Fix", branch="fix", created_at=at(15))
    sha = shop.repository.merge_pull(pull, method=method, at=at(20))
    pull.head_ref_name = "main"  # in the fork
    shop.deploy(sha, at(21), "v1.0.1")
    assert lead_times(shop) == {ledger: {"#1": ("v1.0.1", 11.0)} for ledger in LEDGERS}


def test_a_squashed_release_of_the_default_branch_starts_with_its_first_commit(shop: DeployingShop) -> None:
    """The commit that is deployed is on no other branch, so the pull request that made it is what it delivered."""
    begin = shop.commit("begin", [], at(0))
    shop.repository.git.set_ref("refs/heads/production", begin)
    shop.deploy(begin, at(1), "v1.0.0")
    shop.commit("work", [begin], at(10))
    pull = shop.repository.pull("Release 1.0.1", branch="main", base="production", created_at=at(15))
    sha = shop.repository.merge_pull(pull, method="squash", at=at(20))
    shop.deploy(sha, at(21), "v1.0.1")
    assert lead_times(shop) == {ledger: {"#1": ("v1.0.1", 11.0)} for ledger in LEDGERS}


@pytest.mark.parametrize("base", ["old", "main"])
def test_what_a_stranger_merges_in_a_fork_is_no_change_of_this_repository(shop: DeployingShop, base: str) -> None:
    """GitHub also names pull requests of forks for a commit that they hold."""
    begin = shop.commit("begin", [], at(0))
    shop.deploy(begin, at(1), "v1.0.0")
    fork = shop.github.repository("stranger/shop", empty=True)
    fork.commit({"a.txt": "a"}, message="fork", branch=base, author_date=at(0), committer_date=at(0))
    for number, hours in enumerate((10, 110), 2):
        work = shop.commit(f"work {number}", [shop.repository.head("main") or begin], at(hours))
        body = "Reverts acme/shop#1"
        pull = fork.pull("Evil", branch=f"e{number}", base=base, created_at=at(hours - 5), labels=["hotfix"], body=body)
        fork.merge_pull(pull, method="merge", at=at(hours + 1))
        shop.repository.pulls_by_commit.setdefault(work, []).append(pull)
        shop.deploy(work, at(hours + 11), f"v{number}.0.0")
    expected = {"work 2": ("v2.0.0", 11.0), "work 3": ("v3.0.0", 11.0)}
    assert lead_times(shop) == dict.fromkeys(LEDGERS, expected)
