"""The permissions in examples/ suffice in a private repository: no run of a pasted workflow names a missing one."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from fakes.github import FakeGitHub
from fakes.repository import Repository
from support.github_history import at
from support.paths import ROOT
from support.runs import NOW
from support.sync_shop import SyncShop

EXAMPLES = ROOT / "examples"


LEFT_OUT = "vulnerability-alerts"
"""Not granted by the examples on purpose: it shows open alerts to all readers of the ledger."""


def record_job(path: Path) -> dict[str, Any]:
    """The job of an example that syncs each night with the job's own token; empty if there is none."""
    workflow = yaml.safe_load(path.read_text("utf-8"))
    if "schedule" not in (workflow.get(True) or {}):  # YAML reads `on` as a truth value
        return {}
    jobs = [job for job in workflow["jobs"].values() if job["permissions"] and "mode: report" not in yaml.dump(job)]
    return jobs[0] if jobs else {}


NIGHTLY = {path.stem: job for path in sorted(EXAMPLES.glob("*.yml")) if (job := record_job(path))}


def end_jobs(repository: Repository) -> None:
    """Let a deploy job be cancelled, and the job of a pull request use the environment, so that a sync reads jobs."""
    deploy_run = repository.run("Deploy", at=at(150), finished_at=at(151), conclusion="cancelled")
    repository.job_deployment(deploy_run, started_at=at(150), finished_at=at(151), conclusion="cancelled")
    plan_run = repository.run("Plan", event="pull_request", at=at(152), finished_at=at(153))
    repository.job_deployment(plan_run, started_at=at(152), finished_at=at(153), name="plan")


@pytest.mark.parametrize("name", NIGHTLY)
def test_a_nightly_sync_in_a_private_repository_lacks_no_permission(tmp_path: Path, name: str) -> None:
    job = NIGHTLY[name]
    permissions = {name.replace("-", "_"): access for name, access in job["permissions"].items()}
    inputs = (job.get("steps") or [job])[-1].get("with", {})
    sources = {name: inputs[name] for name in ("deployment-source", "deploy-workflows") if name in inputs}
    with FakeGitHub(now=lambda: NOW) as github:
        shop = SyncShop(github, tmp_path)
        shop.repository.is_private = True
        end_jobs(shop.repository)
        token = github.grant(default="none", **permissions)
        ran = shop.run(**{"github-token": token, "ledger": "dir:ledger", **sources})
    assert ran.code == 0
    missing = [
        line for line in f"{ran.log}\n{ran.summary}".splitlines() if "`permissions:" in line and LEFT_OUT not in line
    ]
    assert missing == []


def test_the_examples_with_a_nightly_sync() -> None:
    assert NIGHTLY.keys() >= {"alerts", "bigquery", "five-lines", "ledger-in-cache", "pushgateway", "workflow-run"}
