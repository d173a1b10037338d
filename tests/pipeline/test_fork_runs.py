"""A run for a pull request from a fork shows numbers. It records nothing, and sends nothing anywhere."""

import json
from typing import Any

import pytest

from support.branch_shop import BranchShop
from support.servers import listen


def merged_pull_request(head: dict[str, Any] | None) -> dict[str, object]:
    pull_request = {
        **dict.fromkeys(("created_at", "updated_at", "closed_at", "merged_at"), "2026-11-21T11:00:00Z"),
        "number": 3,
        "title": "Pull",
        "body": "",
        "state": "closed",
        "merged": True,
        "merge_commit_sha": "a" * 40,
        "html_url": "https://github.com/acme/shop/pull/3",
        "user": {"login": "mallory", "type": "User"},
        "labels": [],
        "head": {"ref": "x", "sha": "b" * 40, "repo": head},
        "base": {"ref": "main", "sha": "c" * 40, "repo": {"full_name": "acme/shop"}},
    }
    repository = {"id": 1, "name": "shop", "full_name": "acme/shop", "default_branch": "main"}
    return {"action": "closed", "number": 3, "pull_request": pull_request, "repository": repository}


@pytest.mark.parametrize("head", [{"full_name": "mallory/shop"}, None], ids=["a fork", "a deleted fork"])
@pytest.mark.parametrize("ledger", ["branch:dora-metrics", "dir:ledger", "none"])
def test_a_run_for_a_pull_request_from_a_fork_sends_nothing(
    shop: BranchShop, head: dict[str, Any] | None, ledger: str
) -> None:
    with listen() as endpoint, listen() as gateway, listen() as target:
        addresses = {"endpoint-url": endpoint.url, "pushgateway-url": gateway.url, "remote-write-url": target.url}
        store = {"name": "store", "url": f"{endpoint.url}/store", "token": "store"}
        shop.repository.commit({".github/dora.yml": json.dumps({"endpoints": [store]})}, message="Configure")
        inputs = {**addresses, "ledger": ledger, "endpoint-tokens": "store: "}
        token = shop.github.grant(default="read")
        ran = shop.run_event("pull_request", merged_pull_request(head), inputs, token=token)
    assert ran.code == 0
    assert (endpoint.requests, gateway.requests, target.requests) == ([], [], [])
    for name in ("endpoint", "endpoint store", "Pushgateway", "remote write"):
        assert f"{name}: a run for a pull request from a fork sends nothing" in ran.summary
    assert shop.repository.head("dora-metrics") is None


@pytest.mark.parametrize(
    ("event", "head"), [("pull_request", "Acme/Shop"), ("pull_request_target", "mallory/shop")], ids=["own", "target"]
)
def test_other_runs_for_pull_requests_send_their_fact(shop: BranchShop, event: str, head: str) -> None:
    with listen() as endpoint:
        shop.run_event(event, merged_pull_request({"full_name": head}), {"endpoint-url": endpoint.url})
    assert len(endpoint.requests) == 1
