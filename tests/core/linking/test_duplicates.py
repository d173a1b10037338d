"""A deployment that several sources report counts once, and the notes name the source that was used."""

from typing import Any

import pytest

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.linking.duplicates import deduplicate
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy
from support.facts import at, deployment, metrics_of, sha

PAGE = "https://github.com/acme/shop/actions/runs/7"
SOURCES_BY_KIND = {"deployment": "deployments", "release": "releases", "run": "workflow-runs", "push": "pushes"}


def deployment_of(identity: str, finished_at: str = "03-05T12:10", **fields: Any) -> Deployment:  # noqa: ANN401 - any field
    """A success of commit `a` in production that began at 12:00."""
    usual: dict[str, Any] = {
        "id": f"github:{identity}",
        "repository": "acme/shop",
        "source": SOURCES_BY_KIND[identity.partition(":")[0]],
        "environment": "production",
        "status": "success",
        "sha": sha("a"),
        "observed_at": at(finished_at),
        "started_at": at("03-05T12:00"),
        "finished_at": at(finished_at),
    }
    all_fields: dict[str, Any] = {**usual, **fields}
    return Deployment(**all_fields)


def remaining_ids(*deployments: Deployment) -> list[str]:
    return [one.id.removeprefix("github:") for one in deduplicate(deployments, Policy()).deployments]


def test_a_run_that_made_a_deployment_is_known_by_the_deployments_page() -> None:
    apart: dict[str, Any] = {"sha": sha("b"), "started_at": None}
    assert remaining_ids(deployment_of("run:7"), deployment_of("deployment:1", url=f"{PAGE}/job/9", **apart)) == [
        "deployment:1"
    ]
    assert remaining_ids(deployment_of("run:7"), deployment_of("deployment:1", url=f"{PAGE}1/job/9", **apart)) == [
        "run:7",
        "deployment:1",
    ]


def test_or_by_its_commit_and_a_beginning_while_the_run_ran() -> None:
    during = {"started_at": at("03-05T12:05")}
    assert remaining_ids(deployment_of("run:7"), deployment_of("deployment:1", "03-05T12:09", **during)) == [
        "deployment:1"
    ]
    later = {"started_at": at("03-05T12:11")}
    assert remaining_ids(deployment_of("run:7"), deployment_of("deployment:1", "03-05T12:20", **later)) == [
        "run:7",
        "deployment:1",
    ]
    other = {"sha": sha("b"), **during}
    assert remaining_ids(deployment_of("run:7"), deployment_of("deployment:1", "03-05T12:09", **other)) == [
        "run:7",
        "deployment:1",
    ]


def test_the_same_in_another_repository_is_another_deployment() -> None:
    assert remaining_ids(deployment_of("run:7"), deployment_of("deployment:1", repository="acme/till")) == [
        "run:7",
        "deployment:1",
    ]


def test_a_job_that_told_of_its_deployment_wins_over_github_and_over_the_observed_run() -> None:
    job = deployment_of("run:7:production", id="github:run:7:production")
    assert remaining_ids(job, deployment_of("deployment:1", url=PAGE), deployment_of("run:7")) == ["run:7:production"]


def test_a_job_says_nothing_about_another_environment_of_its_run() -> None:
    job = deployment_of("run:7:production", id="github:run:7:production")
    europe = deployment_of("deployment:1", url=PAGE, environment="production-eu")
    assert remaining_ids(job, europe) == ["run:7:production", "deployment:1"]


def test_a_release_wins_over_the_run_for_its_tag_and_the_run_that_published_it() -> None:
    release = deployment_of("release:3", "03-05T12:05", ref="v1", started_at=None)
    assert remaining_ids(release, deployment_of("run:7", ref="v1", sha=sha("b"))) == ["release:3"]
    assert remaining_ids(release, deployment_of("run:7", ref="main")) == ["release:3"]
    assert remaining_ids(release, deployment_of("run:7", "03-05T12:04", ref="main")) == ["release:3", "run:7"]


def test_a_deployment_of_a_tag_wins_over_its_release() -> None:
    release = deployment_of("release:3", ref="v1", started_at=None)
    assert remaining_ids(release, deployment_of("deployment:1", ref="v1", sha=sha("b"))) == ["deployment:1"]
    assert remaining_ids(release, deployment_of("deployment:1", ref="v2", sha=sha("b"))) == [
        "release:3",
        "deployment:1",
    ]


@pytest.mark.parametrize("better", ["deployment:1", "release:1", "run:1"])
def test_a_push_loses_against_anything_of_its_commit(better: str) -> None:
    push = deployment_of("push:a", ref="main", started_at=None)
    assert remaining_ids(push, deployment_of(better)) == [better]
    assert remaining_ids(push, deployment_of(better, sha=sha("b"))) == ["push:a", better]


def test_a_push_loses_against_the_rollout_of_its_commit() -> None:
    rollout = deployment(9, "03-05T12:20", id=f"flux:apps/shop:main@sha1:{sha('a')}:2024-03-05T12:20:00Z", sha=sha("a"))
    other = deployment(8, "03-05T12:20", id=f"flux:apps/shop:main@sha1:{sha('b')}:2024-03-05T12:20:00Z", sha=sha("b"))
    assert remaining_ids(deployment_of("push:a"), rollout) == [rollout.id]
    assert remaining_ids(deployment_of("push:a"), other) == ["push:a", other.id]


def test_services_of_a_monorepo_do_not_take_each_others_deployments() -> None:
    web = {"service": "web", "ref": "v1"}
    for better in ("deployment:1", "release:1"):
        other = deployment_of(better, service="api", ref="v1")
        weaker = deployment_of("push:a" if better == "release:1" else "release:2", **web)
        assert remaining_ids(weaker, other) == [weaker.id.removeprefix("github:"), better]


@pytest.mark.parametrize("kind", ["release", "push"])
def test_what_each_service_told_of_its_part_wins_over_the_whole(kind: str) -> None:
    assert remaining_ids(deployment_of(f"{kind}:5"), deployment_of(f"{kind}:5:web", service="web")) == [f"{kind}:5:web"]
    assert remaining_ids(deployment_of(f"{kind}:5"), deployment_of(f"{kind}:55:web", service="web")) == [
        f"{kind}:5",
        f"{kind}:55:web",
    ]


def test_what_is_not_production_takes_nothing_away() -> None:
    staging = deployment_of("deployment:1", environment="staging")
    assert remaining_ids(staging, deployment_of("run:7")) == ["deployment:1", "run:7"]


def test_a_dispatch_is_its_senders_word() -> None:
    outside = deployment_of("run:7", id="dispatch:argo-1", source="dispatch")
    assert remaining_ids(outside, deployment_of("push:a")) == ["dispatch:argo-1", "push:a"]


def test_numbers_count_it_once_and_a_note_says_so() -> None:
    facts = [deployment_of("deployment:1", url=PAGE), deployment_of("run:7")]
    notes = deduplicate(facts, Policy()).notes
    assert notes == ["1 workflow run is not counted, because the deployment or release of the run counts."]
    assert metrics_of(*facts).deployment_frequency.deployments == 1


def counted_ids(*facts: Deployment) -> list[str]:
    """Ids of the deployments that count."""
    return [d.id for history in evaluate_facts(facts, Policy()).histories for d in history.deployments]


def test_a_staging_job_of_a_run_leaves_the_runs_production_deployment_alone() -> None:
    run = deployment(1, id="github:run:1", source=None)
    staging = deployment(2, id="github:run:1:staging", source=None, environment="staging")
    assert counted_ids(run, staging) == ["github:run:1"]


def test_a_production_job_of_a_run_and_the_run_that_was_watched_are_one_deployment() -> None:
    run = deployment(1, id="github:run:1", source=None)
    job = deployment(2, id="github:run:1:production", source=None)
    assert counted_ids(run, job) == ["github:run:1:production"]
