"""The finish of a deployment with several statuses, and facts in the ledger that outrank an event."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.facts.merge import fill_enriched_fields, keep_counted_end
from dora_metrics.core.facts.model import Change, Commit, Deployment, Incident, Status
from support.events import SHA, at

START = at("20T10:00")


def status_deployment(minute: int, outcome: Status, **fields: object) -> Deployment:
    time = START + timedelta(minutes=minute)
    usual: dict[str, Any] = {
        "id": "github:deployment:5",
        "repository": "acme/shop",
        "observed_at": time,
        "finished_at": time,
        "status": outcome,
    }
    given: dict[str, Any] = {**usual, **fields}
    return Deployment(**given)


def merge_observation(recorded: Deployment | None, observed: Deployment) -> Deployment:
    """The deployment in the ledger after an observation."""
    filled = fill_enriched_fields(recorded, observed)
    assert isinstance(filled, Deployment)
    records = [keep_counted_end(recorded, filled), *([recorded] if recorded else [])]
    return max(records, key=lambda fact: (fact.observed_at, canonical_json(fact)))


def ledger_after(*observed: Deployment, recorded: Deployment | None = None) -> Deployment:
    for fact in observed:
        recorded = merge_observation(recorded, fact)
    assert recorded is not None
    return recorded


def test_a_failure_after_a_success_does_not_undo_it() -> None:
    end = ledger_after(status_deployment(1, "success"), status_deployment(2, "failure"))
    assert (end.status, end.finished_at) == ("success", START + timedelta(minutes=1))


def test_a_success_that_arrives_late_wins_over_a_failure_that_came_after_it() -> None:
    end = ledger_after(status_deployment(2, "failure"), status_deployment(1, "success"))
    assert (end.status, end.finished_at) == ("success", START + timedelta(minutes=1))
    assert end == ledger_after(status_deployment(1, "success"), status_deployment(2, "failure"))


def test_the_newest_success_counts_even_when_an_older_one_was_observed_again() -> None:
    end = ledger_after(
        status_deployment(1, "success"), status_deployment(3, "failure"), status_deployment(2, "success")
    )
    assert (end.status, end.finished_at) == ("success", START + timedelta(minutes=2))


def test_of_failures_alone_the_newest_counts() -> None:
    assert ledger_after(status_deployment(2, "failure"), status_deployment(1, "failure")) == status_deployment(
        2, "failure"
    )


def test_a_single_status_keeps_its_own_time() -> None:
    assert ledger_after(status_deployment(1, "success")) == status_deployment(1, "success")


def test_attempts_of_a_workflow_run_follow_the_newest() -> None:
    run = "github:run:7"
    assert (
        ledger_after(status_deployment(1, "success", id=run), status_deployment(2, "failure", id=run)).status
        == "failure"
    )


def publication(minute: int, **fields: object) -> Deployment:
    fixed: dict[str, object] = {"id": "github:release:3", "source": "releases", "environment": "production"}
    return status_deployment(minute, "success", **{**fixed, **fields})


def test_a_release_that_is_published_again_stays_where_it_was() -> None:
    end = ledger_after(publication(1, sha=SHA), publication(9))
    assert (end.finished_at, end.sha) == (START + timedelta(minutes=1), SHA)


def test_a_prerelease_that_is_published_again_as_stable_is_deployed_to_production_then() -> None:
    end = ledger_after(publication(1, environment="prerelease"), publication(9))
    assert (end.environment, end.finished_at) == ("production", START + timedelta(minutes=9))


def test_a_release_that_was_retracted_stays_retracted_until_it_is_published_again() -> None:
    retraction = publication(5, source="dispatch", status="cancelled")
    assert ledger_after(publication(1), retraction) == retraction
    assert ledger_after(publication(1), retraction, publication(9)) == publication(9)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_of_publications_in_any_order_the_first_counts(minutes: list[int]) -> None:
    end = ledger_after(*map(publication, minutes))
    assert replace(end, observed_at=end.finished_at) == publication(min(minutes))


STATUSES = st.builds(
    lambda minute, outcome, delay, url: status_deployment(
        minute, outcome, url=url, observed_at=START + timedelta(minutes=minute, seconds=delay)
    ),
    st.integers(0, 5),
    st.sampled_from(["success", "failure"]),
    st.sampled_from([0, 0, 30]),
    st.sampled_from(["https://a", "https://b", None]),
)
RECORDED = st.none() | st.builds(
    lambda known, changes: replace(known, changes=changes, previous="github:deployment:4", commit_count=2),
    STATUSES,
    st.sampled_from([(), ("github:pull:acme/shop#1",)]),
)


@st.composite
def ordered_twice(draw: st.DrawFn) -> tuple[list[Deployment], list[Deployment]]:
    """The same statuses in two orders, each with its own repetitions."""
    once = draw(st.lists(STATUSES, min_size=1, max_size=5))
    again = [once + draw(st.lists(st.sampled_from(once), max_size=4)) for _ in range(2)]
    return draw(st.permutations(again[0])), draw(st.permutations(again[1]))


@given(ordered_twice(), RECORDED)
def test_any_order_and_repetition_ends_in_the_same_record(
    orders: tuple[list[Deployment], list[Deployment]], known: Deployment | None
) -> None:
    assert ledger_after(*orders[0], recorded=known) == ledger_after(*orders[1], recorded=known)


@given(st.lists(st.builds(replace, STATUSES, environment=st.sampled_from(["a", "b"])), min_size=1, max_size=6))
def test_the_end_is_the_newest_success_if_there_is_one(seen: list[Deployment]) -> None:
    end = ledger_after(*seen)
    successes = [fact.finished_at for fact in seen if fact.status == "success"]
    assert (end.status == "success") == bool(successes)
    assert not successes or end.finished_at == max(successes)


def test_what_the_ledger_knows_is_not_lost_to_an_event_that_does_not() -> None:
    known = status_deployment(
        1,
        "success",
        changes=(),
        previous="p",
        commit_count=0,
        health="failed",
        remediates="r",
        url="https://a",
    )
    filled = fill_enriched_fields(known, status_deployment(2, "success"))
    assert filled == replace(
        known, observed_at=filled.observed_at, finished_at=status_deployment(2, "success").finished_at, url=None
    )
    seen = status_deployment(2, "success", changes=("x",), health="passed")
    assert fill_enriched_fields(known, seen) == replace(seen, previous="p", commit_count=0, remediates="r")


def test_changes_keep_their_history() -> None:
    seen = Change(id="c", repository="r", observed_at=START, title="new")
    commits = (Commit(SHA, START),)
    known = replace(seen, title="old", first_commit_at=START, first_review_at=START, commits=commits, reverts="d")
    assert fill_enriched_fields(known, seen) == replace(known, title="new")
    assert fill_enriched_fields(replace(known, service="till"), seen).service == "till"


def test_an_incident_that_is_open_again_stays_open() -> None:
    seen = Incident(id="i", repository="r", observed_at=START, detected_at=START)
    assert fill_enriched_fields(replace(seen, resolved_at=START), seen) == seen


@pytest.mark.parametrize("known", [None, Change(id="c", repository="r", observed_at=START)])
def test_nothing_is_taken_from_nothing_or_another_kind(known: Change | None) -> None:
    assert fill_enriched_fields(known, status_deployment(1, "success")) == status_deployment(1, "success")
