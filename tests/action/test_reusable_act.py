"""The reusable workflow, called by a workflow of acme/shop, run by act against a GitHub of our own.

act does not know `$/` (https://github.com/nektos/act/issues/6189), so that one line names the action as a repository
that act is given in its place; everything else is the file as it is.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from acting import ROOT, Acting, Run, copied, event

from fakes.github import FakeGitHub

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="act's host mode is used on Linux only")

REUSABLE = (ROOT / ".github" / "workflows" / "dora.yml").read_text("utf-8")
SECRETS = {"PUSHED": "pushed-t0ken", "HMAC_KEY": "hm4c-k3y"}

CALLER = """
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


class Shop:
    """acme/shop on the fake GitHub, and what happens when its workflow calls ours."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.repository = github.repository("acme/shop")
        assert REUSABLE.count("uses: $/.\n") == 1
        called = {"dora.yml": REUSABLE.replace("uses: $/.\n", "uses: acme/dora-metrics@v1\n")}
        action, secrets = copied(folder / "action"), {"GITHUB_TOKEN": github.token, **SECRETS}
        self.acting = Acting(action, github.api_url, secrets, (Path(sys.executable).parent,), called)

    def called_on(self, name: str, payload: Mapping[str, Any]) -> Run:
        return self.acting.run_on(self.folder, CALLER, name, payload)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with FakeGitHub() as github:
        yield Shop(github, tmp_path)


def test_an_event_is_recorded_with_the_callers_inputs_and_secrets(shop: Shop) -> None:
    ran = shop.called_on("deployment_status", event(71))
    assert ran.code == 0, ran.log
    assert [fact["id"] for fact in json.loads(ran.outputs["facts"])] == ["github:deployment:71"]
    assert shop.repository.head("dora-metrics")
    assert "frequency=0.0" in ran.output
    assert [secret for secret in (shop.github.token, *SECRETS.values()) if secret in ran.log] == []


def test_the_end_of_a_run_brings_the_deployments_that_no_event_told_of(shop: Shop) -> None:
    made = shop.repository.deployment("production")
    watched = {"id": 5, "name": "Ship", "head_branch": "main", "conclusion": "success"}
    about = {"action": "completed", "workflow_run": watched, "repository": event()["repository"]}
    ran = shop.called_on("workflow_run", about)
    assert ran.code == 0, ran.log
    assert f"github:deployment:{made.database_id}" in [fact["id"] for fact in json.loads(ran.outputs["facts"])]
