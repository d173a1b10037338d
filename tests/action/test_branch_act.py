"""The action in a workflow with its default ledger, a branch of a fake GitHub: alone, and two runs at once."""

import json
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fakes.github import FakeGitHub
from support.act import DEPLOYMENT_JOB_HEAD, ActRun, ActRunner, copy_action, create_programs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="act's host mode is used on Linux only")

WORKFLOW = (
    DEPLOYMENT_JOB_HEAD
    + """\
          runtime: python
          deployment-source: deployments
"""
)


class ActShop:
    """acme/shop on the fake GitHub, and runs of its workflow."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.repository = github.repository("acme/shop")
        secrets = {"GITHUB_TOKEN": github.token}
        self.acting = ActRunner(
            copy_action(folder / "action"), github.api_url, secrets, (create_programs(folder / "bin"),)
        )

    def deploy(self, number: int) -> ActRun:
        folder = self.folder / str(number)
        folder.mkdir()
        return self.acting.run(folder, WORKFLOW, number)

    def recorded_ids(self) -> list[str]:
        """Ids of all fact lines on the branch, without those of names."""
        names = [entry.name for entry in self.repository.git.entries("refs/heads/dora-metrics:facts/")]
        paths = [
            f"facts/{year}/{entry.name}"
            for year in names
            for entry in self.repository.git.entries(f"refs/heads/dora-metrics:facts/{year}")
        ]
        lines = [line for path in paths for line in (self.repository.read(path, "dora-metrics") or b"").splitlines()]
        facts = map(json.loads, lines)
        return sorted(fact["id"] for fact in facts if fact["kind"] != "repository")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[ActShop]:
    with FakeGitHub() as github:
        yield ActShop(github, tmp_path)


def test_a_deployment_is_on_the_branch_in_the_summary_and_in_the_outputs(shop: ActShop) -> None:
    ran = shop.deploy(71)
    assert ran.code == 0, ran.log
    assert shop.recorded_ids() == ["github:deployment:71"]
    assert "in a new ledger (branch:dora-metrics)" in ran.summary
    assert [fact["id"] for fact in json.loads(ran.outputs["facts"])] == ["github:deployment:71"]
    assert shop.github.token not in ran.log


def test_two_runs_at_once_are_both_on_the_branch_once(shop: ActShop) -> None:
    shop.deploy(70)
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(shop.deploy, (71, 72)))
    assert [ran.code for ran in runs] == [0, 0], runs
    assert shop.recorded_ids() == [f"github:deployment:{number}" for number in (70, 71, 72)]
    # the later run of the earlier deployment also records with what the other one is compared now
    assert all(re.search(r"ledger ✓ \+[12] fact", ran.summary) for ran in runs)
