"""Every example payload that GitHub publishes, and our own samples of what it does not publish."""

import json

import jsonschema  # type: ignore[import-untyped]
import pytest

from dora_metrics.core.facts import jsonl
from dora_metrics.github.events.observe import Observation, observe
from support import npm_packages
from support.events import SAMPLES, change, deployment, incident, make_run, observe_event, sample, settings

EVENTS = [
    "deployment",
    "deployment_status",
    "workflow_run",
    "release",
    "issues",
    "pull_request",
    "push",
    "repository_dispatch",
    "workflow_dispatch",
    "merge_group",
    "fork",
]


def check_observed(observed: Observation) -> None:
    assert observed.title
    assert "\n" not in observed.title
    assert bool(observed.facts) != observed.title.startswith("Nothing to record: ")
    for fact in observed.facts:
        assert jsonl.decode_line(jsonl.encode_fact(fact)) == fact


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("job", [None, "production"])
def test_every_example_maps_to_facts_that_survive_the_ledger(event: str, job: str | None) -> None:
    for payload in npm_packages.example_payloads(event):
        repository = payload.get("repository", {}).get("full_name", "octo-org/octo-repo")
        given = settings(environment=job, incident_labels=("bug",), deploy_workflows=("test",))
        observed = observe(make_run(event, repository=repository), payload, given, frozenset())
        check_observed(observed)
        assert len([fact for fact in observed.facts if fact.id.startswith("github:run:99:")]) == bool(job)


def test_examples_are_recorded_where_they_say_something() -> None:
    recorded = dict.fromkeys(EVENTS, 0)
    for event in EVENTS:
        for payload in npm_packages.example_payloads(event):
            given = settings(incident_labels=("bug",), deploy_workflows=("test",))
            observed = observe(make_run(event, repository="octo-org/octo-repo"), payload, given, frozenset())
            recorded[event] += len(observed.facts)
    assert {event for event, count in recorded.items() if count} == {
        "deployment_status",
        "workflow_run",
        "release",
        "issues",
        "push",
    }


def test_an_example_with_a_success() -> None:
    payload = npm_packages.example_payloads("deployment_status")[0]
    fact = deployment(observe(make_run("deployment_status"), payload, settings(), frozenset()))
    assert jsonl.encode_fact(fact) == (
        b'{"changes":null,"commit_count":null,"environment":"production",'
        b'"finished_at":"2019-05-15T15:20:55Z","health":null,"id":"github:deployment:145988746",'
        b'"kind":"deployment","observed_at":"2019-05-15T15:20:55Z","previous":null,"reached_users":false,'
        b'"ref":"master","remediates":null,"repository":"acme/shop","retracted":false,"service":null,'
        b'"sha":"f95f852bd8fca8fcc58a9a2d6c842781e32a215e","source":"deployments",'
        b'"started_at":"2019-05-15T15:20:53Z","status":"success",'
        b'"url":"https://github.com/acme/shop/deployments","v":1,"version":null}'
    )


NAMES = sorted(path.stem for path in SAMPLES.glob("*.json") if path.stem != "schedule")


@pytest.mark.parametrize("name", NAMES)
def test_our_samples_fit_githubs_schemas(name: str) -> None:
    event, action = name.split(".")[:2]
    jsonschema.Draft7Validator(npm_packages.event_schema(f"{event}${action}")).validate(sample(name))


@pytest.mark.parametrize("name", [*NAMES, "schedule"])
def test_our_samples_map_to_facts_that_survive_the_ledger(name: str) -> None:
    check_observed(observe_event(name.split(".", maxsplit=1)[0], sample(name)))


def test_lock_file_names_no_registry() -> None:
    lock = (npm_packages.NODE_MODULES.parent / "package-lock.json").read_text(encoding="utf-8")
    assert "://" not in lock
    assert all("resolved" not in package for package in json.loads(lock)["packages"].values())


def test_a_merged_pull_request() -> None:
    fact = change(observe_event("pull_request", sample("pull_request.closed.merged")))
    assert jsonl.encode_fact(fact) == (
        b'{"bot":false,"branch":"express","commits":null,"first_commit_at":null,"first_review_at":null,'
        b'"id":"github:pull:acme/shop#42","kind":"change","labels":["feature"],'
        b'"merged_at":"2026-11-20T10:30:05Z","observed_at":"2026-11-20T10:30:05Z",'
        b'"opened_at":"2026-11-18T09:00:00Z","repository":"acme/shop","retracted":false,"reverts":null,'
        b'"service":null,"sha":"4444444444444444444444444444444444444444","source":"github",'
        b'"title":"Add express checkout","url":"https://github.com/acme/shop/pull/42","v":1}'
    )


def test_an_incident_from_the_form() -> None:
    fact = incident(observe_event("issues", sample("issues.opened")))
    assert jsonl.encode_fact(fact) == (
        b'{"deployment":"v1.4.0","detected_at":"2026-11-20T14:05:00Z","environment":null,'
        b'"id":"github:issue:acme/shop#7","kind":"incident","observed_at":"2026-11-20T14:12:30Z",'
        b'"repository":"acme/shop","resolved_at":null,"retracted":false,"service":null,'
        b'"severity":"high","source":"github","title":"Checkout answers 500",'
        b'"url":"https://github.com/acme/shop/issues/7","v":1}'
    )
