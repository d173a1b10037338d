"""action.yml as GitHub and a careful reviewer read it."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.github_schemas import assert_github_accepts
from support.paths import ROOT
from support.tools import require_tool

ACTION = ROOT / "action.yml"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
REUSABLE_WORKFLOW = ROOT / ".github" / "workflows" / "dora.yml"
PINNED_ACTION = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
OWN_ACTION = re.compile(r"\./\S*|\$/\S+")
"""This repository's own actions: what was checked out, or the commit that runs. The runner refuses `$/` alone."""


@pytest.fixture(scope="module")
def action() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    return content


def uses_of(path: Path) -> list[str]:
    return re.findall(r"^\s*(?:- )?uses: *(\S+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("schema", "path"),
    [("vendor.github-actions", ACTION), *(("vendor.github-workflows", path) for path in WORKFLOWS)],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_github_accepts_the_file(schema: str, path: Path) -> None:
    assert_github_accepts(schema, path)


def test_the_action_is_one_step_that_runs_the_script(action: dict[str, Any]) -> None:
    assert action["runs"]["using"] == "composite"
    (step,) = action["runs"]["steps"]
    assert step["run"] == 'exec bash "$DORA_ACTION_PATH/action/run.sh"'


def test_no_expression_reaches_a_shell(action: dict[str, Any]) -> None:
    assert [step["run"] for step in action["runs"]["steps"] if "${{" in step.get("run", "")] == []


def test_all_inputs_travel_as_one_object(action: dict[str, Any]) -> None:
    (step,) = action["runs"]["steps"]

    assert step["env"]["DORA_INPUTS"] == "${{ toJSON(inputs) }}"


def test_the_job_says_which_one_of_its_run_it_is(action: dict[str, Any]) -> None:
    (step,) = action["runs"]["steps"]

    assert {name: step["env"][name] for name in ("DORA_CHECK_RUN_ID", "DORA_JOB_INDEX", "DORA_JOB_TOTAL")} == {
        "DORA_CHECK_RUN_ID": "${{ job.check_run_id }}",
        "DORA_JOB_INDEX": "${{ strategy.job-index }}",
        "DORA_JOB_TOTAL": "${{ strategy.job-total }}",
    }


def test_every_input_is_optional_and_explained(action: dict[str, Any]) -> None:
    for name, declared in action["inputs"].items():
        assert set(declared) == {"description", "default"}, name
        assert isinstance(declared["default"], str), name
        assert declared["description"].endswith("."), name


def test_every_output_is_the_step_output_of_the_same_name(action: dict[str, Any]) -> None:
    for name, declared in action["outputs"].items():
        assert declared["value"] == f"${{{{ steps.dora.outputs.{name} }}}}"


@pytest.mark.parametrize("path", [ACTION, *WORKFLOWS], ids=lambda path: path.name)
def test_every_action_used_is_pinned_to_a_commit(path: Path) -> None:
    assert [
        used for used in uses_of(path) if not OWN_ACTION.fullmatch(used) and not PINNED_ACTION.fullmatch(used)
    ] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_pin_says_which_release_it_is(path: Path) -> None:
    """Dependabot updates both, and a reader sees how old the pin is."""
    pinned = re.findall(r"@[0-9a-f]{40}(.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [rest for rest in pinned if not re.fullmatch(r" # v\d+\.\d+\.\d+", rest)] == []


def test_zizmor_finds_nothing() -> None:
    """Exceptions are in the files, with their reason."""
    command = [str(require_tool("zizmor")), "--offline", "--no-progress", str(ROOT / ".github"), str(ACTION)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout + result.stderr


# Permissions of a called workflow: tests/contract/test_reusable_workflow.py.
@pytest.mark.parametrize("path", sorted({*WORKFLOWS} - {REUSABLE_WORKFLOW}), ids=lambda path: path.name)
def test_a_workflow_has_only_the_permissions_that_its_jobs_name(path: Path) -> None:
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["permissions"] == {}


LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_each_package_is_locked_with_hashes(path: Path) -> None:
    locked = re.split(r"\n(?=\S)", path.read_text(encoding="utf-8"))
    assert [text for text in locked if not re.match(r"[\w.-]+==\S+.* \\\n    --hash=sha256:[0-9a-f]{64}", text)] == []


def test_the_uv_of_a_run_is_the_one_that_tests_use() -> None:
    versions = {
        version
        for path in LOCKS
        for version in re.findall(r"^uv==(\S+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
    assert len(versions) == 1


def test_the_base_image_is_pinned_to_a_digest() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")

    (base,) = re.findall(r"^ARG BASE=(\S+)$", dockerfile, flags=re.MULTILINE)
    assert re.fullmatch(r"python:[\w.-]+@sha256:[0-9a-f]{64}", base)
    assert set(re.findall(r"^FROM (\S+)", dockerfile, flags=re.MULTILINE)) == {"${BASE}"}
