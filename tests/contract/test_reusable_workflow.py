""".github/workflows/dora.yml passes on every input of the action with its default, and nothing else.

`DORA_GOLDEN=write` writes the parts of the workflow that are made from action.yml.
"""

import os
import re
from typing import Any

import yaml

from dora_metrics.settings.model import INPUTS, SECRETS
from support.paths import ROOT

WORKFLOW = ROOT / ".github" / "workflows" / "dora.yml"
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))

OWN_JOB_INPUTS = {"environment", "status", "version", "kubernetes"}
"""Inputs about the job that the action is a step of, and its earlier steps; a called workflow is a job of its own."""

TOO_LARGE_OUTPUTS = {"metrics", "facts"}
"""Outputs that may exceed the 1 MB that GitHub allows for a job's outputs; the ledger has them."""

ADDRESS_OR_SECRET = "endpoint-url"
"""An input that is a secret as well: the address of a webhook is one, and a caller has no secrets in its inputs."""

RUNS_ON_INPUT = """\
      runs-on:
        description: >-
          Label of the runner, or several as a JSON list.
        type: string
        default: ubuntu-latest
"""
SYNC_CONDITION = (
    "(inputs.mode == '' || inputs.mode == 'auto') && github.event_name == 'workflow_run' && "
    "!contains(inputs.deployment-source, 'workflow-runs') && 'sync' || inputs.mode"
)
# Comes before `mode`, which is not passed on unchanged.
SYNC_COMMENT = """\
          # The end of a workflow run is when to look for the deployments and releases that it made: no event reports
          # what is done with GITHUB_TOKEN. Where the runs are the deployments, the event itself says all.
"""


def input_names() -> list[str]:
    return [name for name in ACTION["inputs"] if name not in SECRETS | OWN_JOB_INPUTS]


def output_names() -> list[str]:
    return [name for name in ACTION["outputs"] if name not in TOO_LARGE_OUTPUTS]


def _declared_inputs() -> str:
    """The inputs as in action.yml, with their type."""
    text = (ROOT / "action.yml").read_text("utf-8")
    (block,) = re.findall(r"^inputs:\n(.*?)^outputs:", text, flags=re.DOTALL | re.MULTILINE)
    each = re.findall(r"^  ([\w-]+):\n((?:    .*\n)+)", block, flags=re.MULTILINE)
    kept = (f"  {name}:\n{body}" for name, body in each if name in input_names())
    lines = "".join(kept).replace("    default:", "    type: string\n    default:").splitlines(keepends=True)
    return "".join(f"    {line}" for line in lines) + RUNS_ON_INPUT


def _declared_outputs() -> str:
    each = (
        f"      {name}:\n        description: {ACTION['outputs'][name]['description']}\n"
        f"        value: ${{{{ jobs.dora.outputs.{name} }}}}\n"
        for name in output_names()
    )
    return "".join(each)


def _passed_inputs() -> str:
    lines = []
    for name in INPUTS:
        if name == "github-token":
            lines.append(f"          {name}: ${{{{ secrets.token || github.token }}}}\n")
        elif name == "mode":
            lines.append(f"{SYNC_COMMENT}          {name}: ${{{{ {SYNC_CONDITION} }}}}\n")
        elif name == ADDRESS_OR_SECRET:
            lines.append(f"          {name}: ${{{{ secrets.{name} || inputs.{name} }}}}\n")
        elif name not in OWN_JOB_INPUTS:
            lines.append(f"          {name}: ${{{{ {'secrets' if name in SECRETS else 'inputs'}.{name} }}}}\n")
    return "".join(lines)


def _expected_workflow(text: str) -> str:
    """The workflow with the parts that are made from action.yml."""
    job_outputs = "".join(f"      {name}: ${{{{ steps.dora.outputs.{name} }}}}\n" for name in output_names())
    for before, made, after in (
        ("    inputs:\n", _declared_inputs(), "    secrets:\n"),
        ("    outputs:\n", _declared_outputs(), "\njobs:\n"),
        ("    timeout-minutes: 30\n    outputs:\n", job_outputs, "    steps:\n"),
        ("        with:\n", _passed_inputs(), ""),
    ):
        head, _, rest = text.partition(before)
        _, found, tail = rest.partition(after) if after else ("", "", "")
        text = head + before + made + found + tail
    return text


def test_the_reusable_workflow_is_made_from_action_yml() -> None:
    text = WORKFLOW.read_text("utf-8")
    expected = _expected_workflow(text)
    if os.environ.get("DORA_GOLDEN") == "write":
        WORKFLOW.write_text(expected, "utf-8", newline="\n")
    else:
        assert text == expected


def _action_step() -> dict[str, Any]:
    content: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text("utf-8"))
    called: dict[str, Any] = content[True]["workflow_call"]  # YAML 1.1 reads `on` as true
    return called | {"job": content["jobs"]["dora"]}


def test_every_input_has_the_default_of_the_setting_and_reaches_the_action() -> None:
    call, (step,) = _action_step(), _action_step()["job"]["steps"]
    declared = {name: one["default"] for name, one in call["inputs"].items() if name != "runs-on"}
    assert declared == {name: ACTION["inputs"][name]["default"] for name in input_names()}
    assert {name for name in declared if f"inputs.{name}" not in step["with"][name]} == set()
    assert "inputs.runs-on" in call["job"]["runs-on"]


def test_every_input_of_the_action_is_handed_on_or_is_about_its_own_job() -> None:
    (step,) = _action_step()["job"]["steps"]
    assert set(step["with"]) == set(ACTION["inputs"]) - OWN_JOB_INPUTS


def test_every_secret_reaches_the_action_and_is_optional() -> None:
    call, (step,) = _action_step(), _action_step()["job"]["steps"]
    assert set(call["secrets"]) == (SECRETS - {"github-token"}) | {"token", ADDRESS_OR_SECRET}
    handed_on = " ".join(step["with"][name] for name in (*SECRETS, ADDRESS_OR_SECRET))
    assert [name for name in call["secrets"] if f"secrets.{name}" not in handed_on] == []
    assert not any("required" in secret for secret in call["secrets"].values())


def test_every_output_comes_from_the_action() -> None:
    call = _action_step()
    for name, declared in call["outputs"].items():
        assert declared["value"] == f"${{{{ jobs.dora.outputs.{name} }}}}"
        assert call["job"]["outputs"][name] == f"${{{{ steps.dora.outputs.{name} }}}}"
    assert set(call["outputs"]) == set(output_names())
    assert set(call["job"]["outputs"]) == set(output_names())


def test_it_asks_for_no_permission_since_a_caller_that_grants_less_could_not_start() -> None:
    content = yaml.safe_load(WORKFLOW.read_text("utf-8"))
    assert "permissions" not in content
    assert "permissions" not in content["jobs"]["dora"]
