"""GitHub's present state against what events reported: what is written, and which one wins."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dora_metrics.core.facts.merge import changed_facts, reconcile
from dora_metrics.core.facts.model import Change, Deployment, Fact
from support.facts import at, change, deployment, failed_deployment, incident, vulnerability

TICK = timedelta(microseconds=1)


def as_deployment(fact: Fact | None) -> Deployment:
    assert isinstance(fact, Deployment)
    return fact


def reconcile_fields(known: Fact, **fields: Any) -> Fact | None:  # noqa: ANN401 - any field
    return reconcile(known, replace(known, **fields))


def test_what_nobody_knew_is_news() -> None:
    assert reconcile(None, deployment(1)) == deployment(1)
    assert changed_facts({}, [deployment(1), change(2)]) == (deployment(1), change(2))


def test_the_same_at_another_time_is_no_news() -> None:
    assert reconcile_fields(deployment(1), observed_at=at("03-09")) is None
    assert reconcile_fields(change(1), observed_at=at("03-09")) is None


def test_news_wins_the_merge_whatever_time_it_has() -> None:
    known = change(1, observed_at=at("03-09"))
    found = reconcile_fields(known, labels=("hotfix",), observed_at=at("03-01"))
    assert found is not None
    assert found.observed_at == known.observed_at + TICK


def test_what_github_has_forgotten_erases_nothing() -> None:
    assert (
        reconcile_fields(deployment(1, ref="v1", version="v1", started_at=at("03-05")), ref=None, version=None) is None
    )
    assert reconcile_fields(change(1, bot=True, first_review_at=at("03-02")), bot=False, first_review_at=None) is None


def test_what_was_linked_stays_linked_and_what_was_not_is() -> None:
    linked = deployment(1, changes=("commit:a",), previous="d", commit_count=1)
    assert reconcile_fields(linked, changes=None, previous=None, commit_count=None) is None
    found = as_deployment(reconcile_fields(deployment(1, changes=None), changes=("commit:a",)))
    assert found.changes == ("commit:a",)


def test_an_incident_is_as_it_is_now_also_if_it_was_opened_again() -> None:
    closed = incident(1, resolved_at=at("03-06"))
    found = reconcile_fields(closed, resolved_at=None)
    assert found == replace(closed, resolved_at=None, observed_at=closed.observed_at + TICK)


def test_a_success_that_no_event_told_of_replaces_the_failure_before_it() -> None:
    found = as_deployment(reconcile(failed_deployment(1, "03-05T12:00"), deployment(1, "03-05T12:30")))
    assert (found.status, found.finished_at) == ("success", at("03-05T12:30"))


def test_the_newest_success_stays_the_end_of_a_deployment() -> None:
    assert reconcile(deployment(1, "03-05T12:30"), failed_deployment(1, "03-05T12:40")) is None
    assert reconcile(deployment(1, "03-05T12:30"), deployment(1, "03-05T12:00")) is None


def test_a_run_that_github_touched_later_ended_when_the_event_said() -> None:
    run = deployment(1, id="github:run:1", started_at=at("03-05T11:00"))
    assert reconcile_fields(run, finished_at=at("03-05T13:00"), observed_at=at("03-05T13:00")) is None


def test_a_newer_attempt_of_a_run_counts_and_an_older_does_not() -> None:
    run = failed_deployment(1, id="github:run:1", started_at=at("03-05T11:00"))
    again = replace(run, status="success", started_at=at("03-06T11:00"), finished_at=at("03-06T12:00"))
    assert as_deployment(reconcile(run, again)).status == "success"
    assert reconcile(again, run) is None


def test_a_release_stays_as_it_was_published() -> None:
    release = deployment(1, id="github:release:1")
    assert reconcile_fields(release, environment="prerelease") is None
    assert reconcile_fields(release, finished_at=at("03-09")) is None


def test_a_prerelease_that_is_stable_by_now_is_in_production_with_changes_of_its_own() -> None:
    early = deployment(1, id="github:release:1", environment="prerelease", changes=("commit:a",), previous="d")
    stable = as_deployment(reconcile_fields(early, environment="production", changes=None, previous=None))
    assert (stable.environment, stable.finished_at) == ("production", early.finished_at)
    assert (stable.changes, stable.previous) == (None, None), "it was compared with another prerelease"


def test_a_service_that_somebody_named_stays() -> None:
    assert reconcile_fields(deployment(1, service="till"), service="shop") is None
    assert reconcile_fields(deployment(1, service="till"), service=None) is None
    assert reconcile_fields(change(1, service="till"), service="shop") is None


@pytest.mark.parametrize("service", ["shop", None])
def test_the_service_of_an_incident_or_a_vulnerability_is_the_one_that_github_shows_now(service: str | None) -> None:
    typo = incident(1, service="shpo")
    assert reconcile_fields(typo, service=service) == replace(
        typo, service=service, observed_at=typo.observed_at + TICK
    )
    found = reconcile_fields(vulnerability(1, service="till"), service=service)
    assert found is not None
    assert found.service == service


def test_what_somebody_told_by_another_way_is_not_githubs_to_change() -> None:
    unhealthy = deployment(1, source="dispatch", health="failed", status="failure")
    assert reconcile_fields(unhealthy, source="deployments", status="success", health=None) is None
    withdrawn = deployment(1, retracted=True)
    assert reconcile_fields(withdrawn, retracted=False) is None


def test_an_incident_whose_label_is_back_counts_again() -> None:
    found = reconcile_fields(incident(1, retracted=True), retracted=False)
    assert found is not None
    assert not found.retracted


def test_things_of_different_kinds_with_one_id_are_left_alone() -> None:
    assert reconcile(deployment(1, id="x"), Change(id="x", repository="a/b", observed_at=at("03-01"))) is None
