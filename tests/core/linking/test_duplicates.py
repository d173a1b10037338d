"""One deployment that several sources tell of counts once, and the notes say which one won."""

from typing import Any

import pytest

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.linking.duplicates import deduplicate
from dora_metrics.core.policy import Policy
from support.facts import at, metrics_of, sha

PAGE = "https://github.com/acme/shop/actions/runs/7"
NAMES = {"deployment": "deployments", "release": "releases", "run": "workflow-runs", "push": "pushes"}


def made(identity: str, finished_at: str = "03-05T12:10", **fields: Any) -> Deployment:  # noqa: ANN401 - any field
    """A success of commit `a` in production that began at 12:00."""
    usual: dict[str, Any] = {
        "id": f"github:{identity}",
        "repository": "acme/shop",
        "source": NAMES[identity.partition(":")[0]],
        "environment": "production",
        "status": "success",
        "sha": sha("a"),
        "observed_at": at(finished_at),
        "started_at": at("03-05T12:00"),
        "finished_at": at(finished_at),
    }
    all_fields: dict[str, Any] = {**usual, **fields}
    return Deployment(**all_fields)


def left(*deployments: Deployment) -> list[str]:
    return [one.id.removeprefix("github:") for one in deduplicate(deployments, Policy()).deployments]


def test_a_run_that_made_a_deployment_is_known_by_the_deployments_page() -> None:
    apart: dict[str, Any] = {"sha": sha("b"), "started_at": None}
    assert left(made("run:7"), made("deployment:1", url=f"{PAGE}/job/9", **apart)) == ["deployment:1"]
    assert left(made("run:7"), made("deployment:1", url=f"{PAGE}1/job/9", **apart)) == ["run:7", "deployment:1"]


def test_or_by_its_commit_and_a_beginning_while_the_run_ran() -> None:
    during = {"started_at": at("03-05T12:05")}
    assert left(made("run:7"), made("deployment:1", "03-05T12:09", **during)) == ["deployment:1"]
    later = {"started_at": at("03-05T12:11")}
    assert left(made("run:7"), made("deployment:1", "03-05T12:20", **later)) == ["run:7", "deployment:1"]
    other = {"sha": sha("b"), **during}
    assert left(made("run:7"), made("deployment:1", "03-05T12:09", **other)) == ["run:7", "deployment:1"]


def test_the_same_in_another_repository_is_another_deployment() -> None:
    assert left(made("run:7"), made("deployment:1", repository="acme/till")) == ["run:7", "deployment:1"]


def test_a_job_that_told_of_its_deployment_wins_over_github_and_over_the_observed_run() -> None:
    job = made("run:7:production", id="github:run:7:production")
    assert left(job, made("deployment:1", url=PAGE), made("run:7")) == ["run:7:production"]


def test_a_job_says_nothing_about_another_environment_of_its_run() -> None:
    job = made("run:7:production", id="github:run:7:production")
    europe = made("deployment:1", url=PAGE, environment="production-eu")
    assert left(job, europe) == ["run:7:production", "deployment:1"]


def test_a_release_wins_over_the_run_for_its_tag_and_the_run_that_published_it() -> None:
    release = made("release:3", "03-05T12:05", ref="v1", started_at=None)
    assert left(release, made("run:7", ref="v1", sha=sha("b"))) == ["release:3"]
    assert left(release, made("run:7", ref="main")) == ["release:3"]
    assert left(release, made("run:7", "03-05T12:04", ref="main")) == ["release:3", "run:7"]


def test_a_deployment_of_a_tag_wins_over_its_release() -> None:
    release = made("release:3", ref="v1", started_at=None)
    assert left(release, made("deployment:1", ref="v1", sha=sha("b"))) == ["deployment:1"]
    assert left(release, made("deployment:1", ref="v2", sha=sha("b"))) == ["release:3", "deployment:1"]


@pytest.mark.parametrize("better", ["deployment:1", "release:1", "run:1"])
def test_a_push_loses_against_anything_of_its_commit(better: str) -> None:
    push = made("push:a", ref="main", started_at=None)
    assert left(push, made(better)) == [better]
    assert left(push, made(better, sha=sha("b"))) == ["push:a", better]


def test_services_of_a_monorepo_do_not_take_each_others_deployments() -> None:
    web = {"service": "web", "ref": "v1"}
    for better in ("deployment:1", "release:1"):
        other = made(better, service="api", ref="v1")
        weaker = made("push:a" if better == "release:1" else "release:2", **web)
        assert left(weaker, other) == [weaker.id.removeprefix("github:"), better]


@pytest.mark.parametrize("kind", ["release", "push"])
def test_what_each_service_told_of_its_part_wins_over_the_whole(kind: str) -> None:
    assert left(made(f"{kind}:5"), made(f"{kind}:5:web", service="web")) == [f"{kind}:5:web"]
    assert left(made(f"{kind}:5"), made(f"{kind}:55:web", service="web")) == [f"{kind}:5", f"{kind}:55:web"]


def test_what_is_not_production_takes_nothing_away() -> None:
    staging = made("deployment:1", environment="staging")
    assert left(staging, made("run:7")) == ["deployment:1", "run:7"]


def test_a_dispatch_is_its_senders_word() -> None:
    outside = made("run:7", id="dispatch:argo-1", source="dispatch")
    assert left(outside, made("push:a")) == ["dispatch:argo-1", "push:a"]


def test_numbers_count_it_once_and_a_note_says_so() -> None:
    facts = [made("deployment:1", url=PAGE), made("run:7")]
    notes = deduplicate(facts, Policy()).notes
    assert notes == ["Not counted again beside what they deployed or released: workflow runs (1)."]
    assert metrics_of(*facts).deployment_frequency.deployments == 1
