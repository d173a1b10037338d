"""A dispatch names a job in any words: only a number of GitHub's leads to a request."""

from pathlib import Path

import pytest

from support.branch_shop import BranchShop
from support.runs import run_action

FOREIGN = ["../../../../user", "abc", "9" * 20, "-1", "1/logs", "٣", "build 12"]


def dispatch(job_id: str) -> dict[str, object]:
    payload = {"id": "x:1", "source": "deployments", "job_id": job_id, "status": "failure"}
    return {"action": "dora-deployment", "client_payload": payload}


@pytest.mark.parametrize("job_id", FOREIGN)
def test_a_job_of_another_system_is_not_asked_for(shop: BranchShop, job_id: str) -> None:
    ran = shop.run_event("repository_dispatch", dispatch(job_id))
    assert "+1 fact" in ran.summary
    assert [request.path for request in shop.github.requests if request.method == "GET"] == []


def test_a_job_of_github_is_asked_for(shop: BranchShop) -> None:
    shop.run_event("repository_dispatch", dispatch("77"))
    assert "/repos/acme/shop/actions/jobs/77" in {request.path for request in shop.github.requests}


@pytest.mark.parametrize("job_id", FOREIGN)
def test_a_sync_reads_the_jobs_of_others_as_before(shop: BranchShop, tmp_path: Path, job_id: str) -> None:
    shop.run_event("repository_dispatch", dispatch(job_id))
    inputs = {"ledger": "branch:dora-metrics", "github-token": shop.github.token}
    environment = {"GITHUB_API_URL": shop.github.api_url}
    ran = run_action(tmp_path, "schedule", {"schedule": "x"}, inputs, environment=environment)
    assert "cannot be read" not in ran.log
