"""What happens again is a deployment of its own: attempts after a success, pushes of a commit that was pushed before.

The ledger depends only on what happened, never on the order in which it was observed.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.ids import DeploymentId
from dora_metrics.core.facts.merge import changed_facts, prepare_event_facts
from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.core.ledger.layout import LedgerContents, parse_ledger, plan_merge
from support.facts import at, deployment, sha

RUN = "github:run:5"
PUSH = f"github:push:{sha('v1')}"


def attempt(number: int, status: str = "success", **fields: Any) -> Deployment:  # noqa: ANN401 - any field
    """An attempt of run 5, an hour after the one before it."""
    times = {"finished_at": f"03-05T{12 + number}:05", "started_at": at(f"03-05T{12 + number}:00")}
    usual = {"id": RUN, "source": "workflow-runs", "status": status, "sha": sha("v1"), "run_attempt": number}
    return deployment(1, **{**times, **usual, **fields})


def push(hour: int, **fields: Any) -> Deployment:  # noqa: ANN401 - any field
    usual = {"id": PUSH, "source": "pushes", "sha": sha("v1"), "ref": "main"}
    return deployment(1, f"03-05T{hour:02}:00", **{**usual, **fields})


def release(hour: int, environment: str = "production", **fields: Any) -> Deployment:  # noqa: ANN401 - any field
    usual = {"id": "github:release:3", "source": "releases", "environment": environment, "changes": None}
    return deployment(1, f"03-05T{hour:02}:00", **{**usual, **fields})


def after_event(ledger: LedgerContents, fact: Fact) -> LedgerContents:
    return plan_merge(ledger, prepare_event_facts(ledger.records_named_like(fact.id), fact)).after


def after_events(facts: Iterable[Fact], ledger: LedgerContents | None = None) -> LedgerContents:
    ledger = ledger or parse_ledger({})
    for fact in facts:
        ledger = after_event(ledger, fact)
    return ledger


def after_sync(ledger: LedgerContents, facts: Sequence[Fact]) -> LedgerContents:
    return plan_merge(ledger, changed_facts({fact.id: fact for fact in ledger.facts}, facts)).after


def summary(ledger: LedgerContents) -> dict[str, tuple[str, int | None, str]]:
    """By id: status, attempt and hour of the end."""
    deployments = [fact for fact in ledger.facts if isinstance(fact, Deployment)]
    return {d.id: (d.status, d.run_attempt, f"{d.finished_at:%H:%M}") for d in deployments}


@pytest.mark.parametrize(
    ("fact_id", "first_id", "parsed"),
    [
        ("github:run:5", "github:run:5", ("run", "5", False)),
        ("github:run:5:attempt:2", "github:run:5", ("run", "5", False)),
        ("github:run:5:eu:production:attempt:3", "github:run:5:eu:production", ("job", "5", True)),
        ("github:run:5:production:attempt:3:web", "github:run:5:production:web", ("job", "5", True)),
        ("github:push:abc", "github:push:abc", ("push", "abc", False)),
        ("github:push:abc:2026-11-20T10:00:00Z", "github:push:abc", ("push", "abc", False)),
        ("github:push:abc:2026-11-20T10:00:00.5Z:web", "github:push:abc:web", ("push", "abc", True)),
        ("github:push:abc:2026", "github:push:abc:2026", ("push", "abc", True)),
        ("github:release:3:attempt:2", "github:release:3:attempt:2", ("release", "3", True)),
        ("dispatch:attempt:2", "dispatch:attempt:2", (None, "", False)),
    ],
)
def test_an_occurrence_in_an_id_is_no_part_of_a_monorepo(
    fact_id: str, first_id: str, parsed: tuple[str | None, str, bool]
) -> None:
    assert ids.first_occurrence(fact_id) == first_id
    assert tuple(DeploymentId.parse(fact_id)) == parsed


def test_the_service_stays_last_in_an_id() -> None:
    assert ids.occurrence("github:push:abc:web", "attempt:2", "web") == "github:push:abc:attempt:2:web"
    assert ids.occurrence("github:run:5:web", "attempt:2", "web") == "github:run:5:web:attempt:2", "an environment"
    assert ids.occurrence("github:run:5", "attempt:2", "web") == "github:run:5:attempt:2", "a service of the settings"


def test_attempts_up_to_the_first_success_are_one_deployment() -> None:
    ledger = after_events([attempt(1, "failure"), attempt(2, "cancelled"), attempt(3)])
    assert summary(ledger) == {RUN: ("success", 3, "15:05")}


@pytest.mark.parametrize("status", ["success", "failure", "cancelled"])
def test_an_attempt_after_a_success_is_a_deployment_of_its_own(status: str) -> None:
    ledger = after_events([attempt(1), attempt(2, status)])
    assert summary(ledger) == {RUN: ("success", 1, "13:05"), f"{RUN}:attempt:2": (status, 2, "14:05")}


def test_the_first_success_has_the_id_of_the_run_also_if_it_arrives_last() -> None:
    ledger = after_events([attempt(2), attempt(1)])
    assert summary(ledger) == {RUN: ("success", 1, "13:05"), f"{RUN}:attempt:2": ("success", 2, "14:05")}


def test_a_failed_attempt_that_arrives_after_the_success_that_followed_it_changes_nothing() -> None:
    ledger = after_events([attempt(2)])
    assert prepare_event_facts(ledger.records_named_like(RUN), attempt(1, "failure")) == ()


def test_jobs_are_placed_by_their_attempt_as_runs_are() -> None:
    job = f"{RUN}:production:web"
    ledger = after_events([attempt(number, id=job, service="web") for number in (1, 2)])
    assert list(summary(ledger)) == [job, f"{RUN}:production:attempt:2:web"]


def test_a_commit_that_is_pushed_again_is_deployed_again() -> None:
    ledger = after_events([push(9), push(9), push(12)])
    assert list(summary(ledger)) == [PUSH, f"{PUSH}:2024-03-05T12:00:00Z"]


def test_the_earliest_push_has_the_plain_id_also_if_it_arrives_last() -> None:
    assert summary(after_events([push(12), push(9)])) == summary(after_events([push(9), push(12)]))


def test_a_merge_in_githubs_history_is_no_second_push() -> None:
    events = after_events([push(9), push(12)])
    merged = replace(push(9), finished_at=at("03-05T08:59:58"), observed_at=at("03-05T08:59:58"))
    assert after_sync(events, [merged]).files == events.files
    afterwards = after_events([push(9), push(12)], after_sync(parse_ledger({}), [merged]))
    assert summary(afterwards) == summary(events)


def test_an_attempt_that_a_dispatch_withdrew_stays_withdrawn() -> None:
    withdrawn = attempt(1, source="dispatch", retracted=True, observed_at="03-06", run_attempt=None)
    ledger = after_events([attempt(1), withdrawn, attempt(2), attempt(1)])
    ledger = after_sync(ledger, [attempt(1)])
    assert {fact.id: fact.retracted for fact in ledger.facts} == {RUN: True, f"{RUN}:attempt:2": False}


ends = st.lists(st.sampled_from(["success", "failure", "cancelled"]), min_size=1, max_size=5)


@given(ends, st.data())
def test_attempts_leave_the_same_ledger_in_any_order_with_redeliveries_and_syncs(
    statuses: list[str], data: st.DataObject
) -> None:
    attempts = [attempt(number, status) for number, status in enumerate(statuses, 1)]
    ledger = parse_ledger({})
    for fact in data.draw(st.permutations(attempts + data.draw(st.lists(st.sampled_from(attempts), max_size=4)))):
        ledger = after_event(ledger, fact)
        if data.draw(st.booleans()):
            ledger = after_sync(ledger, data.draw(st.permutations(attempts)))
    # of several failures before the first success only the newest is recorded, so a sync tells what was overwritten
    assert after_sync(ledger, attempts).files == after_events(attempts).files
    assert after_sync(parse_ledger({}), attempts).files == after_events(attempts).files


@given(st.lists(st.integers(1, 20), min_size=1, max_size=5, unique=True), st.data())
def test_pushes_leave_the_same_ledger_in_any_order_with_redeliveries(hours: list[int], data: st.DataObject) -> None:
    pushes = [push(hour) for hour in hours]
    order = data.draw(st.permutations(pushes + data.draw(st.lists(st.sampled_from(pushes), max_size=4))))
    assert after_events(order).files == after_events(pushes).files


RELEASE_EVENTS = [release(8, "prerelease"), release(12), release(15), release(16, "prerelease")]
"""A prerelease, its promotion, a publication after that, and a prerelease again."""


@given(st.lists(st.sampled_from(RELEASE_EVENTS), max_size=4), st.permutations(RELEASE_EVENTS))
def test_the_first_time_in_production_stays_in_any_order(
    redelivered: list[Deployment], order: list[Deployment]
) -> None:
    ledger = after_events([*order, *redelivered])
    assert ledger.files == after_events(RELEASE_EVENTS).files
    assert [fact.finished_at for fact in ledger.facts if isinstance(fact, Deployment)] == [at("03-05T12:00")]


def test_a_release_that_was_a_prerelease_for_minutes_is_in_production_from_its_promotion() -> None:
    promoted = replace(release(8), observed_at=at("03-05T08:07"))
    (alone,) = after_events([promoted]).facts
    assert alone == release(8)
    (fact,) = after_events([release(8, "prerelease"), promoted]).facts
    assert isinstance(fact, Deployment)
    assert fact.finished_at == at("03-05T08:07")


def test_a_promotion_is_compared_with_the_release_before_and_not_with_a_prerelease() -> None:
    early = release(8, "prerelease", changes=("commit:a",), previous="github:release:2")
    (fact,) = prepare_event_facts([early], release(12))
    assert isinstance(fact, Deployment)
    assert (fact.changes, fact.previous) == (None, None)


def test_a_record_without_the_number_of_its_attempt_is_the_first() -> None:
    ledger = after_events([replace(attempt(1), run_attempt=None), attempt(2)])
    assert list(summary(ledger)) == [RUN, f"{RUN}:attempt:2"]
