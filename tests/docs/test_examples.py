"""examples/ can be pasted: valid for GitHub, pinned, least-privileged, and every setting in them exists."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dora_metrics.core.targets import units
from dora_metrics.settings.config_file import config_layer
from dora_metrics.settings.loading import Layer, load_settings
from dora_metrics.settings.model import NAMES, Settings
from support.github_schemas import assert_github_accepts
from support.paths import ROOT
from support.tools import require_tool

EXAMPLES = ROOT / "examples"
INCIDENT_FORM = EXAMPLES / "incident-form.yml"
SETTINGS_FILE = EXAMPLES / "dora.yml"
WORKFLOWS = sorted(set(EXAMPLES.glob("*.yml")) - {INCIDENT_FORM, SETTINGS_FILE})
CALLER = EXAMPLES / "five-lines.yml"
OUR_ACTION = "OWNER/dora-metrics@main"
CALLED_WORKFLOW = "OWNER/dora-metrics/.github/workflows/dora.yml@main"

ACTION_PINS = {
    "actions/create-github-app-token": ("1b10c78c7865c340bc4f6099eb2f838309f1e8c3", "v3.1.1"),
    "actions/checkout": ("3d3c42e5aac5ba805825da76410c181273ba90b1", "v7.0.1"),
    "actions/cache": ("27d5ce7f107fe9357f9df03efb73ab90386fccae", "v5.0.5"),
    "aws-actions/configure-aws-credentials": ("e6de054238d6b7531b4efff3b6587d9aade6a06c", "v6.2.3"),
    "google-github-actions/auth": ("7c6bc770dae815cd3e89ee6cdf493a5fab2cc093", "v3.0.0"),
    "google-github-actions/get-gke-credentials": ("3da1e46a907576cefaa90c484278bb5b259dd395", "v3.0.0"),
}
"""Verified commits of these tags. Whoever moves a pin moves it here as well."""

REUSABLE_INPUTS = {"mode", "environment", "status", "version", "config", "runtime", "kubernetes"}
SECRET_INPUTS = {
    "github-token", "pushgateway-password", "remote-write-token", "bigquery-token", "endpoint-token", "endpoint-secret",
    "endpoint-tokens", "prometheus-token", "incident-tokens", "incident-hosts",
}  # fmt: skip

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
each_other_workflow = pytest.mark.parametrize("path", sorted({*WORKFLOWS} - {CALLER}), ids=lambda path: path.name)


def read_yaml(path: Path) -> dict[Any, Any]:
    content: dict[Any, Any] = yaml.safe_load(path.read_text("utf-8"))
    return content


def jobs(path: Path) -> list[dict[str, Any]]:
    return list(read_yaml(path)["jobs"].values())


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(path) for step in job.get("steps", [])]


def our_steps(path: Path) -> list[dict[str, Any]]:
    return [step for step in (*steps(path), *jobs(path)) if step.get("uses") in (OUR_ACTION, CALLED_WORKFLOW)]


@each_workflow
def test_github_accepts_the_workflow(path: Path) -> None:
    assert_github_accepts("vendor.github-workflows", path)


def test_zizmor_finds_nothing() -> None:
    """Exceptions are in the examples with their reason, or in zizmor.yml in this folder."""
    options = ["--offline", "--no-progress", "--config", str(Path(__file__).with_name("zizmor.yml"))]
    result = subprocess.run(
        [str(require_tool("zizmor")), *options, *map(str, WORKFLOWS)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


@each_workflow
def test_an_exception_for_zizmor_has_a_reason(path: Path) -> None:
    reasons = re.findall(r"# zizmor: ignore\[[\w-]+\](.*)", path.read_text("utf-8"))
    assert [reason for reason in reasons if len(reason.split()) < 3] == []


@each_workflow
def test_every_action_of_others_is_pinned_to_the_commit_of_its_tag(path: Path) -> None:
    found = re.findall(r"^\s*(?:- )?uses: (\S+?)@(\S+)(?: # (\S+))?", path.read_text("utf-8"), flags=re.MULTILINE)
    others = [use for use in found if f"{use[0]}@{use[1]}" not in (OUR_ACTION, CALLED_WORKFLOW)]
    assert [use for use in others if ACTION_PINS.get("/".join(use[0].split("/")[:2])) != (use[1], use[2])] == []


@each_workflow
def test_the_reader_is_told_what_to_put_for_the_placeholder(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("OWNER is where you keep this action") == text.count(OUR_ACTION) + text.count(CALLED_WORKFLOW) > 0


@each_workflow
def test_a_workflow_has_only_the_permissions_that_its_jobs_name(path: Path) -> None:
    named = all("permissions" in job for job in jobs(path))
    assert read_yaml(path).get("permissions") == {} or (path == CALLER and named)


NOT_GRANTED = ("vulnerability-alerts", "read")
"""Used by default if permitted, and left out of the example: it shows open alerts to all readers of the ledger."""


def test_the_job_that_calls_everything_is_five_lines_and_its_permissions_are_explained() -> None:
    _, _, job = CALLER.read_text("utf-8").partition("\njobs:\n")
    assert len(job.splitlines()) == 5
    (called,) = jobs(CALLER)
    page = (ROOT / "docs" / "adopting.md").read_text("utf-8")
    told = re.findall(r"^\| `([\w-]+): (\w+)` \|", page, flags=re.MULTILINE)
    assert told == [*called["permissions"].items(), NOT_GRANTED]


@each_other_workflow
def test_every_permission_has_a_reason_beside_it(path: Path) -> None:
    granted = re.findall(r"^ {6}[\w-]+: (?:read|write)\b(.*)$", path.read_text("utf-8"), flags=re.MULTILINE)
    assert len(granted) == sum(len(job.get("permissions", {})) for job in jobs(path))
    assert all(reason.strip().startswith("# ") for reason in granted)


@each_other_workflow
def test_a_job_ends_by_itself(path: Path) -> None:
    assert all("timeout-minutes" in job for job in jobs(path))


@each_workflow
def test_a_checkout_leaves_no_token_behind(path: Path) -> None:
    checkouts = [step for step in steps(path) if step.get("uses", "").startswith("actions/checkout@")]
    assert [step for step in checkouts if step["with"]["persist-credentials"] is not False] == []


@each_workflow
def test_no_text_of_an_event_reaches_a_shell(path: Path) -> None:
    assert [step for step in steps(path) if "${{" in step.get("run", "")] == []


@each_workflow
def test_every_input_exists_and_its_value_can_be_used(path: Path) -> None:
    declared = read_yaml(ROOT / "action.yml")["inputs"]
    for step in our_steps(path):
        given = step.get("with", {})
        assert set(given) <= set(declared)
        plain = {name: value for name, value in given.items() if "${{" not in str(value)}
        Settings.model_validate(plain)


@each_workflow
def test_every_output_that_is_used_exists(path: Path) -> None:
    used = set(re.findall(r"steps\.dora\.outputs\.([\w-]+)", path.read_text("utf-8")))
    assert used <= set(read_yaml(ROOT / "action.yml")["outputs"])


@each_workflow
def test_a_ledger_in_a_folder_is_kept_under_a_key_that_is_new_in_every_run(path: Path) -> None:
    """A cache is immutable: a run saves under its own key and restores the latest one by the prefix."""
    ledgers = [str(step.get("with", {}).get("ledger", "")) for step in our_steps(path)]
    folders = {ledger.removeprefix("dir:") for ledger in ledgers if ledger.startswith("dir:")}
    kept = [step["with"] for step in steps(path) if step.get("uses", "").startswith("actions/cache@")]
    assert {options["path"] for options in kept} == folders
    for options in kept:
        assert options["key"] == options["restore-keys"] + "${{ github.run_id }}-${{ github.run_attempt }}"
        assert read_yaml(path)["concurrency"] == {"group": "dora-metrics", "queue": "max"}


def test_the_settings_file_names_every_setting_that_belongs_into_it() -> None:
    assert set(read_yaml(SETTINGS_FILE)) == set(NAMES) - REUSABLE_INPUTS - SECRET_INPUTS


def settings_example() -> Layer:
    return config_layer("dora.yml", SETTINGS_FILE.read_bytes())


def test_the_settings_file_as_it_stands_changes_nothing() -> None:
    assert load_settings([settings_example()]) == Settings(custom=read_yaml(SETTINGS_FILE)["custom"])


def test_the_example_of_a_table_of_levels_can_be_used() -> None:
    layers = [settings_example(), Layer("input", {"benchmark": "custom"})]
    assert load_settings(layers).benchmark_levels.name == "custom"


def test_the_goals_and_thresholds_that_the_settings_file_shows_can_be_used() -> None:
    """The settings are commented out, since the file as pasted changes nothing."""
    _, _, rest = SETTINGS_FILE.read_text("utf-8").partition("goals: {}")
    shown = "".join(re.findall(r"^#(   \w.*\n)", rest.partition("# ---")[0], flags=re.MULTILINE))
    found = load_settings([Layer("file", {"goals": yaml.safe_load(shown)})])
    assert len(found.policy.goals) == len(units.METRIC_NAMES)
    _, _, rest = SETTINGS_FILE.read_text("utf-8").partition("fail-on: []")
    items = yaml.safe_load("".join(re.findall(r"^#(   - .*\n)", rest.partition("warn-on")[0], flags=re.MULTILINE)))
    assert load_settings([Layer("file", {"fail-on": items})]).fail_on == tuple(items)
