"""Files that `init` writes are valid for GitHub and for the action; hostile names stay names."""

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dora_metrics.commands.init.files import DEFAULT_ACTION, TEMPLATE_NAMES, render_files
from dora_metrics.commands.init.findings import GitHubDeployment, GitHubFindings
from dora_metrics.commands.init.proposal import Proposal, Triggers
from dora_metrics.core.facts.model import Incident
from dora_metrics.settings.config_file import config_layer
from dora_metrics.settings.loading import Layer, load_settings
from dora_metrics.settings.model import Settings
from support.checkouts import (
    CONFIG_PATH,
    DEPLOY_WORKFLOW,
    FORM_PATH,
    RELEASE_WORKFLOW,
    WORKFLOW_PATH,
    Checkout,
    workflow,
)
from support.events import form, issue, observe_event
from support.github_schemas import assert_github_accepts
from support.paths import ROOT
from support.tools import require_tool

TEMPLATES = {name: (ROOT / "templates" / "init" / name).read_text("utf-8") for name in TEMPLATE_NAMES}
ZIZMOR_CONFIG = ROOT / "tests" / "docs" / "zizmor.yml"

DEPLOY_PATH = ".github/workflows/deploy.yml"
SAMPLES: dict[str, tuple[dict[str, str], GitHubFindings | None]] = {
    "nothing": ({}, None),
    "environment": ({DEPLOY_PATH: DEPLOY_WORKFLOW}, None),
    "releases": ({".github/workflows/release.yml": RELEASE_WORKFLOW}, None),
    "named": ({DEPLOY_PATH: workflow("Deploy: #1 'it' \"now\"", go={"steps": [{"run": "x"}]})}, None),
    "monorepo": (
        {f"services/{name}/go.mod": "" for name in ("a: b", "#web", "[x]", "*")},
        GitHubFindings(deployments=(GitHubDeployment("production", "2026-11-20", "vercel"),)),
    ),
    "service": (
        {},
        GitHubFindings(
            labels=("sev1", "it's an incident"), deployments=(GitHubDeployment("Prod & more", "2026-11-20", "vercel"),)
        ),
    ),
    "pulls": (
        {DEPLOY_PATH: DEPLOY_WORKFLOW.replace("on: {push: {branches: [main]}}", "on: [push, pull_request]")},
        None,
    ),
    "merges": (
        {
            DEPLOY_PATH: DEPLOY_WORKFLOW.replace("{push: {branches: [main]}}", "[push, pull_request]"),
            ".github/workflows/merged.yml": DEPLOY_WORKFLOW.replace(
                "{push: {branches: [main]}}", "{pull_request: {types: [closed]}}"
            ).replace("Ship it", '"it\'s #merged"'),
        },
        None,
    ),
    "no-issues": ({}, GitHubFindings(has_issues=False)),
    "elsewhere": ({DEPLOY_PATH: workflow("Deploy", go={"steps": [{"name": "Update staging", "run": "x"}]})}, None),
    "controller": ({"apps/shop.yaml": "apiVersion: argoproj.io/v1alpha1\nkind: Application\n"}, None),
    "content": ({DEPLOY_PATH: workflow("Main: #1", **{"deploy-prod": {"steps": [{"run": "x"}]}})}, None),
}
each_sample = pytest.mark.parametrize("name", SAMPLES)


def write_sample(folder: Path, name: str, *, origin: str = "https://github.com/acme/shop.git") -> dict[str, str]:
    files, github = SAMPLES[name]
    return render_files(Checkout.create(folder, files, origin=origin).proposal(github), DEFAULT_ACTION, TEMPLATES)


def triggers_of(text: str) -> dict[str, Any]:
    content: dict[Any, Any] = yaml.safe_load(text)
    found: dict[str, Any] = content[True]  # YAML 1.1 reads `on` as true
    return found


def check_schema(schema: str, text: str, folder: Path) -> None:
    path = folder / "checked.yml"
    path.write_text(text, "utf-8")
    assert_github_accepts(schema, path)


@each_sample
@pytest.mark.parametrize("origin", ["https://github.com/acme/shop.git", "https://github.acme.example/acme/shop.git"])
def test_github_accepts_the_workflow_and_zizmor_finds_nothing(tmp_path: Path, name: str, origin: str) -> None:
    text = write_sample(tmp_path, name, origin=origin)[WORKFLOW_PATH]
    check_schema("vendor.github-workflows", text, tmp_path)
    command = [
        str(require_tool("zizmor")),
        "--offline",
        "--no-progress",
        "--config",
        str(ZIZMOR_CONFIG),
        str(tmp_path / "checked.yml"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@each_sample
def test_the_action_reads_the_config_file(tmp_path: Path, name: str) -> None:
    layer = config_layer(CONFIG_PATH, write_sample(tmp_path, name)[CONFIG_PATH].encode())
    assert load_settings([layer]).deployment_source != ("auto",)


@each_sample
def test_every_hint_of_the_config_file_can_be_used_and_is_the_default(tmp_path: Path, name: str) -> None:
    _, _, hints = write_sample(tmp_path, name)[CONFIG_PATH].partition("# More settings with their defaults")
    shown = yaml.safe_load("".join(re.findall(r"^# ([\w-]+: .*\n)", hints, flags=re.MULTILINE)))
    assert len(shown) >= 6
    assert load_settings([Layer(CONFIG_PATH, shown)]) == Settings()


@each_sample
def test_services_can_be_taken_over_by_removing_the_number_signs(tmp_path: Path, name: str) -> None:
    _, found, rest = write_sample(tmp_path, name)[CONFIG_PATH].partition("# services:\n")
    assert bool(found) == (name == "monorepo")
    if found:
        lines = re.findall(r"^# (  .*\n)", rest.partition("\n\n")[0] + "\n", flags=re.MULTILINE)
        services = yaml.safe_load("services:\n" + "".join(lines))["services"]
        assert set(services) == {"a: b", "#web", "[x]", "*"}
        assert load_settings([Layer(CONFIG_PATH, {"services": services})]).services


@pytest.mark.parametrize("label", ["incident", "it's an incident", "sev: 1", "#outage"])
def test_the_form_is_one_for_github_and_its_answers_make_an_incident(tmp_path: Path, label: str) -> None:
    github = GitHubFindings(labels=(label,))
    proposal = Checkout.create(tmp_path).proposal(github)
    text = render_files(proposal, DEFAULT_ACTION, TEMPLATES)[FORM_PATH]
    check_schema("vendor.github-issue-forms", text, tmp_path)
    labels = yaml.safe_load(text)["labels"]
    assert labels == [proposal.incident_labels[0]]
    body = form(severity="high", detected_at="2026-11-20T14:00Z", deployment="v1.4.0")
    (fact,) = observe_event(
        "issues", issue("opened", *labels, body=body), **{"incident-labels": list(proposal.incident_labels)}
    ).facts
    assert isinstance(fact, Incident)
    assert (fact.severity, fact.deployment) == ("high", "v1.4.0")
    assert fact.detected_at == datetime(2026, 11, 20, 14, tzinfo=UTC)


def test_the_form_that_is_shipped_is_the_example() -> None:
    example = (ROOT / "examples" / "incident-form.yml").read_text("utf-8")
    assert render_files(make_proposal(), DEFAULT_ACTION, TEMPLATES)[FORM_PATH] == example


@pytest.mark.parametrize("name", ["pulls", "merges"])
def test_what_runs_for_pull_requests_starts_nothing_but_where_it_runs_for_merges(tmp_path: Path, name: str) -> None:
    condition = yaml.safe_load(write_sample(tmp_path, name)[WORKFLOW_PATH])["jobs"]["dora"]["if"]
    _, _, last = condition.partition(" && (")
    let_through = " || github.event.workflow.name == 'it''s #merged'" if name == "merges" else ""
    assert last == (
        "github.event_name != 'workflow_run' || github.event.workflow_run.event != 'pull_request'" + let_through + ")"
    )


@pytest.mark.parametrize("name", ["a\nb", "a ${{ b }}"])
def test_a_name_that_no_expression_can_hold_lets_everything_through(name: str) -> None:
    made = make_proposal(triggers=Triggers(workflows=(name,), has_pull_request_runs=True, merge_workflows=(name,)))
    text = render_files(made, DEFAULT_ACTION, TEMPLATES)[WORKFLOW_PATH]
    assert "github.event.workflow" not in yaml.safe_load(text)["jobs"]["dora"]["if"]


@pytest.mark.parametrize("name", ["elsewhere", "controller"])
def test_a_report_by_what_deploys_starts_the_workflow(tmp_path: Path, name: str) -> None:
    triggers = triggers_of(write_sample(tmp_path, name)[WORKFLOW_PATH])
    assert triggers["repository_dispatch"] == {"types": ["dora-deployment", "dora-incident"]}


def test_permissions_are_those_that_the_source_needs(tmp_path: Path) -> None:
    granted = {}
    for name in ("environment", "releases", "named", "no-issues"):
        (tmp_path / name).mkdir()
        job = yaml.safe_load(write_sample(tmp_path / name, name)[WORKFLOW_PATH])["jobs"]["dora"]
        granted[name] = set(job["permissions"]) - {"contents", "pull-requests", "issues"}
    assert granted == {
        "environment": {"deployments", "actions"},
        "releases": set(),
        "named": {"actions"},
        "no-issues": set(),
    }


@pytest.mark.parametrize("origin", ["https://github.com/acme/shop.git", "https://github.acme.example/acme/shop.git"])
def test_the_workflow_asks_for_the_weekly_report(tmp_path: Path, origin: str) -> None:
    job = yaml.safe_load(write_sample(tmp_path, "environment", origin=origin)[WORKFLOW_PATH])["jobs"]["dora"]
    (inputs,) = [place["with"] for place in (job, *job.get("steps", ())) if "with" in place]
    assert inputs["report"] == "weekly"


def test_a_report_that_the_config_file_sets_is_left_to_it(tmp_path: Path) -> None:
    proposal = Checkout.create(tmp_path, {CONFIG_PATH: "report: monthly\n"}).proposal()
    assert "report:" not in render_files(proposal, DEFAULT_ACTION, TEMPLATES)[WORKFLOW_PATH]


def test_without_issues_there_is_no_report(tmp_path: Path) -> None:
    made = write_sample(tmp_path, "no-issues")
    assert "report:" not in made[WORKFLOW_PATH] + made[CONFIG_PATH]
    assert FORM_PATH not in made


def test_every_permission_has_a_reason_beside_it(tmp_path: Path) -> None:
    text = write_sample(tmp_path, "environment")[WORKFLOW_PATH]
    reasons = re.findall(r"^ {6}[\w-]+: (?:read|write)\b(.*)$", text, flags=re.MULTILINE)
    assert len(reasons) == len(yaml.safe_load(text)["jobs"]["dora"]["permissions"])
    assert all(reason.startswith(" # ") for reason in reasons)


@pytest.mark.parametrize("host", ["github.acme.example", "git.acme.example"])
def test_on_an_enterprise_server_the_action_is_called_in_a_step(tmp_path: Path, host: str) -> None:
    text = write_sample(tmp_path, "environment", origin=f"git@{host}:acme/shop.git")[WORKFLOW_PATH]
    (step,) = yaml.safe_load(text)["jobs"]["dora"]["steps"]
    assert step["uses"] == DEFAULT_ACTION
    assert step["with"]["mode"].startswith("${{ github.event_name == 'workflow_run' && 'sync'")


def test_a_manual_run_offers_every_mode_that_there_is(tmp_path: Path) -> None:
    offered = triggers_of(write_sample(tmp_path, "nothing")[WORKFLOW_PATH])["workflow_dispatch"]["inputs"]["mode"][
        "options"
    ]
    for mode in offered:
        assert Settings.model_validate({"mode": mode}).mode == mode
    assert len(offered) == 4


# --- Hostile names ---

names = st.text(min_size=1).filter(str.strip)


def make_proposal(**fields: Any) -> Proposal:  # noqa: ANN401 - any field
    usual: dict[str, Any] = {
        "sources": ("workflow-runs",),
        "source_reasons": ("x",),
        "triggers": Triggers(),
        "production_environments": (),
        "incident_labels": ("incident",),
        "incident_labels_reason": "x",
        "settings": (),
        "report": "weekly",
        "services": {},
        "calls_action_in_step": False,
        "existing_use": None,
        "has_incident_form": True,
        "notes": (),
        "missing_label": None,
    }
    return Proposal(**{**usual, **fields})


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(names, min_size=1, max_size=3))
def test_a_workflow_is_listened_to_by_its_name_whatever_that_is(shown: list[str]) -> None:
    text = render_files(make_proposal(triggers=Triggers(workflows=tuple(shown))), DEFAULT_ACTION, TEMPLATES)[
        WORKFLOW_PATH
    ]
    assert triggers_of(text)["workflow_run"]["workflows"] == shown


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"), min_size=1))
def test_a_folder_and_a_reason_stay_in_their_comments_whatever_they_hold(name: str, reason: str) -> None:
    from dora_metrics.commands.init.proposal import ProposedSetting  # noqa: PLC0415

    made = make_proposal(
        services={name: name, "x": "y"}, settings=(ProposedSetting("deployment-source", "pushes", (reason,)),)
    )
    found = yaml.safe_load(render_files(made, DEFAULT_ACTION, TEMPLATES)[CONFIG_PATH])
    assert found["deployment-source"] == "pushes"
    assert set(found) <= {"deployment-source", "report"}


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1).filter(str.strip))
def test_a_label_stays_one_text_of_the_condition_whatever_it_holds(label: str) -> None:
    job = yaml.safe_load(
        render_files(make_proposal(incident_labels=(label,)), DEFAULT_ACTION, TEMPLATES)[WORKFLOW_PATH]
    )["jobs"]["dora"]
    wanted = "'" + label.replace("'", "''") + "'"
    assert f"github.event.label.name == {wanted} ||" in job["if"]
    assert job["if"].endswith(f", {wanted})")
