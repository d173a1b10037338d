"""The reusable workflow, called by a workflow of acme/shop and by the one that `init` writes, run by act.

act does not support `$/` (https://github.com/nektos/act/issues/6189), so one line names the action as a local
repository of act instead; the rest of the file is unchanged.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest

from dora_metrics.cli import run
from dora_metrics.runtime import Runtime
from fakes.github import FakeGitHub
from support.act import ActRun, ActRunner, copy_action, create_programs, deployment_event
from support.paths import ROOT
from support.tools import require_tool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="act's host mode is used on Linux only")

NOW = datetime.now(UTC)
REUSABLE_WORKFLOW = (ROOT / ".github" / "workflows" / "dora.yml").read_text("utf-8")
SECRETS = {"PUSHED": "pushed-t0ken", "HMAC_KEY": "hm4c-k3y"}

CALLER_WORKFLOW = """
on: [deployment_status, workflow_run, workflow_dispatch]
jobs:
  dora:
    uses: ./.github/workflows/dora.yml
    with:
      mode: ${{ inputs.mode }}
      runtime: python
      production-environments: production, eu
    secrets:
      endpoint-token: ${{ secrets.PUSHED }}
      endpoint-secret: ${{ secrets.HMAC_KEY }}
  after:
    needs: dora
    runs-on: ubuntu-latest
    steps:
      - env:
          FREQUENCY: ${{ needs.dora.outputs.deployment-frequency }}
        run: echo "frequency=$FREQUENCY"
"""


class CallerShop:
    """acme/shop on the fake GitHub, and runs of its workflow that calls ours."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.repository = github.repository("acme/shop")
        assert REUSABLE_WORKFLOW.count("uses: $/.\n") == 1
        called = {"dora.yml": REUSABLE_WORKFLOW.replace("uses: $/.\n", "uses: acme/dora-metrics@v1\n")}
        action, secrets = copy_action(folder / "action"), {"GITHUB_TOKEN": github.token, **SECRETS}
        (action / ".github" / "workflows").mkdir(parents=True)
        (action / ".github" / "workflows" / "dora.yml").write_text(called["dora.yml"])
        self.acting = ActRunner(action, github.api_url, secrets, (create_programs(folder / "bin"),), called)

    def run_caller(self, name: str, payload: Mapping[str, Any], caller: str = CALLER_WORKFLOW) -> ActRun:
        return self.acting.run_event(self.folder, caller, name, payload)

    def recorded_ids(self) -> set[str]:
        """Ids of all fact lines on the branch."""
        months = [f"facts/{NOW.year}/{month:02}.jsonl" for month in range(1, 13)]
        lines = (line for path in months for line in (self.repository.read(path, "dora-metrics") or b"").splitlines())
        return {json.loads(line)["id"] for line in lines}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[CallerShop]:
    with FakeGitHub() as github:
        yield CallerShop(github, tmp_path)


def test_an_event_is_recorded_with_the_callers_inputs_and_secrets(shop: CallerShop) -> None:
    ran = shop.run_caller("deployment_status", deployment_event(71))
    assert ran.code == 0, ran.log
    assert [fact["id"] for fact in json.loads(ran.outputs["facts"])] == ["github:deployment:71"]
    assert shop.repository.head("dora-metrics")
    assert "frequency=0.0" in ran.output
    assert [secret for secret in (shop.github.token, *SECRETS.values()) if secret in ran.log] == []


def test_the_end_of_a_run_brings_the_deployments_that_no_event_told_of(shop: CallerShop) -> None:
    made = shop.repository.deployment("production")
    watched = {"id": 5, "name": "Ship", "head_branch": "main", "conclusion": "success"}
    about = {"action": "completed", "workflow_run": watched, "repository": deployment_event()["repository"]}
    ran = shop.run_caller("workflow_run", about)
    assert ran.code == 0, ran.log
    assert f"github:deployment:{made.database_id}" in [fact["id"] for fact in json.loads(ran.outputs["facts"])]


DEPLOY_WORKFLOW = "on: push\nname: Ship\njobs: {go: {environment: production, runs-on: x, steps: [{run: x}]}}\n"


@pytest.mark.parametrize("host", ["github.com", "github.acme.example"])
def test_what_init_writes_brings_a_deployment_into_the_ledger(shop: CallerShop, tmp_path: Path, host: str) -> None:
    checkout, git = tmp_path / "checkout", require_tool("git")
    (checkout / ".github" / "workflows").mkdir(parents=True)
    (checkout / ".github" / "workflows" / "deploy.yml").write_text(DEPLOY_WORKFLOW)
    subprocess.run([git, "init", "--quiet"], cwd=checkout, check=True)
    subprocess.run([git, "remote", "add", "origin", f"https://{host}/acme/shop.git"], cwd=checkout, check=True)
    world = Runtime({"PATH": os.environ["PATH"]}, BytesIO(), StringIO(), StringIO(), NOW, lambda _: None)
    options = ["--directory", str(checkout), "--action", "acme/dora-metrics@v1", "--yes"]
    assert run(["init", *options], world) == 0

    caller = (checkout / ".github" / "workflows" / "dora.yml").read_text("utf-8")
    shop.repository.commit(
        {".github/dora.yml": (checkout / ".github" / "dora.yml").read_text("utf-8")}, message="Adopt"
    )
    made = shop.repository.deployment("production")
    ran = shop.run_caller("schedule", {"schedule": "17 5 * * *"}, caller)
    assert ran.code == 0, ran.log
    assert shop.recorded_ids() >= {f"github:deployment:{made.database_id}"}
