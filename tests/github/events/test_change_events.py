"""Changes: merged pull requests."""

import pytest

from dora_metrics.github.events.observe import observe
from support.events import NOW, change, make_run, observe_event, pull_request, sample, settings


def test_a_closed_pull_request_without_a_merge_is_no_change() -> None:
    assert observe_event("pull_request", pull_request(merged=False, merged_at=None)).facts == ()


def test_an_opened_pull_request_is_no_change_yet() -> None:
    assert observe_event("pull_request", sample("pull_request.closed.merged") | {"action": "opened"}).facts == ()


def test_a_merge_into_another_branch_is_no_change() -> None:
    observed = observe_event("pull_request", pull_request(base={"ref": "next"}))
    assert (observed.facts, "into next" in observed.title) == ((), True)


def test_a_pull_request_of_a_fork_is_seen_by_pull_request_target() -> None:
    assert observe_event("pull_request_target", pull_request()) == observe_event("pull_request", pull_request())


@pytest.mark.parametrize(
    ("user", "bot"),
    [
        ({"login": "dependabot[bot]", "type": "Bot"}, True),
        ({"login": "app", "type": "Bot"}, True),
        ({"login": "renovate[bot]", "type": "User"}, True),
        ({"login": "robot", "type": "User"}, False),
        (None, False),
    ],
)
def test_bots_and_deleted_accounts(user: dict[str, str] | None, *, bot: bool) -> None:
    assert change(observe_event("pull_request", pull_request(user=user))).bot == bot


@pytest.mark.parametrize(
    ("body", "reverts"),
    [
        ("Reverts acme/shop#12", "github:pull:acme/shop#12"),
        ("Reverts Acme/Shop#12\r\n\r\nIt broke the till.", "github:pull:acme/shop#12"),
        ("It broke.\n\nReverts #12", "github:pull:acme/shop#12"),
        ("Reverts acme/till#3", "github:pull:acme/till#3"),
        (f"This reverts commit {'b' * 40}.", "b" * 40),
        ("This reverts commit bbbbbbb.", None),
        ("We think that nothing here Reverts #12", None),
        ("Reverts #12\nReverts #13", ("github:pull:acme/shop#12", "github:pull:acme/shop#13")),
        ("> Reverts #12", None),
        (None, None),
        ("", None),
    ],
)
def test_reverts(body: str | None, reverts: str | tuple[str, ...] | None) -> None:
    assert change(observe_event("pull_request", pull_request(body=body))).reverts == reverts


def test_what_may_be_missing() -> None:
    fact = change(
        observe_event("pull_request", pull_request(merge_commit_sha=None, labels=None, head=None, title=None))
    )
    assert (fact.sha, fact.labels, fact.branch, fact.title) == (None, (), None, None)


def test_hostile_titles_stay_as_they_are_but_for_nul_and_length() -> None:
    title = "##[set-env name=a]b ::error::@everyone <img src=x> | `$(id)` \n\0 “é”"
    fact = change(observe_event("pull_request", pull_request(title=title)))
    assert fact.title == title.replace("\0", "")
    assert len(change(observe_event("pull_request", pull_request(title="x" * 999))).title or "") == 300


def test_half_surrogate_pairs_cannot_break_the_ledger() -> None:
    assert change(observe_event("pull_request", pull_request(title="a\ud800b"))).title == "a?b"


def test_redeliveries_are_the_same_fact() -> None:
    again = make_run("pull_request", run_id="100", now=NOW.replace(year=2027))
    known = frozenset({"pushes"})
    assert observe(again, pull_request(), settings(), known) == observe_event("pull_request", pull_request())


def test_a_change_has_the_settings_service_but_in_a_monorepo_that_of_its_paths() -> None:
    assert change(observe_event("pull_request", pull_request(), service="till")).service == "till"
    assert (
        change(observe_event("pull_request", pull_request(), service="till", services={"web": "web/**"})).service
        is None
    )
