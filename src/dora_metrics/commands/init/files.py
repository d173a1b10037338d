"""From the proposal to the text of each file. What strangers have named gets its quotes from the YAML library."""

from collections.abc import Iterator
from typing import get_args

from dora_metrics.commands.init.findings import CONFIG_PATH, FORM_PATH, WORKFLOW_PATH
from dora_metrics.commands.init.proposal import Proposal, Triggers
from dora_metrics.commands.init.yaml_nodes import inline_yaml
from dora_metrics.settings.model import NAMES, Settings, default_text

PLACEHOLDER_OWNER = "OWNER/"
DEFAULT_ACTION = f"{PLACEHOLDER_OWNER}dora-metrics@main"
"""There is no release yet: OWNER is where it is kept."""

_SUGGESTED_SETTINGS = (
    "production-environments", "incident-labels", "hotfix-labels", "lead-time-start", "window", "timezone",
    "report", "fail-on", "health-check-url",
)  # fmt: skip
_MODE_EXPRESSION = "${{ github.event_name == 'workflow_run' && 'sync' || inputs.mode || 'auto' }}"
"""As the reusable workflow has it."""


def render_files(proposal: Proposal, action: str, form_template: str) -> dict[str, str]:
    """The files by their paths; `action` is `OWNER/NAME@REF`, `form` the issue form as it is shipped."""
    files = {} if proposal.existing_use else {WORKFLOW_PATH: _join_lines(_workflow_lines(proposal, action))}
    files[CONFIG_PATH] = _join_lines(_config_lines(proposal))
    if proposal.has_incident_form:
        files[FORM_PATH] = form_template.replace(
            "labels: [incident]\n", f"labels: {inline_yaml([proposal.incident_labels[0]])}\n"
        )
    return files


def _join_lines(lines: Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


# --- The workflow ---


def _workflow_lines(proposal: Proposal, action: str) -> Iterator[str]:
    yield (
        f"# Records deployments and incidents; settings are in {CONFIG_PATH}. Proposed by `dora-metrics "
        "init`, yours now."
    )
    yield from ("name: DORA metrics", "", "on:")
    yield from (f"  {line}" for line in _trigger_lines(proposal.triggers))
    yield from ("", "permissions: {}", "", "jobs:", "  dora:")
    yield from (f"    {line}" for line in _condition_lines(proposal))
    if proposal.calls_action_in_step:
        yield from ("    runs-on: ubuntu-latest", "    timeout-minutes: 30")
    yield "    permissions:"
    yield from (f"      {line}" for line in _permission_lines(proposal))
    yield from (f"    {line}" for line in _call_lines(proposal, action))


def _trigger_lines(triggers: Triggers) -> Iterator[str]:
    if triggers.workflows:
        yield "workflow_run: # zizmor: ignore[dangerous-triggers] no code and no artifact of that run is used"
        yield f"  workflows: {inline_yaml(list(triggers.workflows))}"
        yield "  types: [completed]"
    if triggers.deployment_status:
        yield "deployment_status:"
    if triggers.release:
        yield from ("release:", "  types: [published]")
    if triggers.push_branch:
        yield from ("push:", f"  branches: {inline_yaml([_literal_pattern(triggers.push_branch)])}")
    if triggers.issues:
        yield from ("issues:", "  types: [opened, edited, labeled, unlabeled, closed, reopened, transferred, deleted]")
    yield from (
        "schedule:",
        (
            f'  - cron: "{triggers.schedule_minute} {triggers.schedule_hour} * * *" '
            "# every night, for what no event told of"
        ),
    )
    yield from ("workflow_dispatch:", "  inputs:", "    mode:", "      description: What to do", "      type: choice")
    yield f"      options: {inline_yaml(list(get_args(Settings.model_fields['mode'].annotation)))}"
    yield "      default: auto"


def _literal_pattern(branch: str) -> str:
    """A branch as a pattern that fits it alone."""
    return "".join(f"\\{character}" if character in "*?+[]!" else character for character in branch)


def _condition_lines(proposal: Proposal) -> Iterator[str]:
    """The events that are worth a run, each kind by a part of its own."""
    triggers, clauses = proposal.triggers, []
    if triggers.issues:
        clauses.append(
            [
                "github.event_name != 'issues'",
                *(alternative for label in proposal.incident_labels for alternative in _label_alternatives(label)),
            ]
        )
    if triggers.deployment_status:
        is_finished = 'contains(fromJSON(\'["success", "failure", "error"]\'), github.event.deployment_status.state)'
        clauses.append(["github.event_name != 'deployment_status'", is_finished])
    if triggers.has_pull_request_runs and all(_fits_expression(name) for name in triggers.merge_workflows):
        from_merge = (f"github.event.workflow.name == {_expression_string(name)}" for name in triggers.merge_workflows)
        not_pull_request = "github.event.workflow_run.event != 'pull_request'"
        clauses.append(["github.event_name != 'workflow_run'", not_pull_request, *from_merge])
    if clauses:
        yield from ("# What would record nothing is not worth a run.", "if: >-")
    for number, clause in enumerate(clauses, 1):
        yield from (
            f"  {line}"
            for line in _alternative_lines(clause, is_only=len(clauses) == 1, is_last=number == len(clauses))
        )


def _label_alternatives(label: str) -> Iterator[str]:
    """The label was just given or taken away, or is there."""
    yield f"github.event.label.name == {_expression_string(label)}"
    yield f"contains(github.event.issue.labels.*.name, {_expression_string(label)})"


def _expression_string(name: str) -> str:
    """As GitHub's expressions write a text."""
    return "'" + name.replace("'", "''") + "'"


def _fits_expression(name: str) -> bool:
    """Whether a name can stand in an expression that is written over several lines."""
    return name.isprintable() and "${{" not in name


def _alternative_lines(alternatives: list[str], *, is_only: bool, is_last: bool) -> Iterator[str]:
    first, *others = alternatives
    yield f"{'' if is_only else '('}{first} ||"
    yield from (f"{other} ||" for other in others[:-1])
    yield f"{others[-1]}{'' if is_only else ')'}{'' if is_last else ' &&'}"


def _permission_lines(proposal: Proposal) -> Iterator[str]:
    yield "contents: write # the ledger is a branch of this repository, dora-metrics; nothing else is written"
    yield "pull-requests: read # which changes a deployment brought, and since when they waited"
    if {"deployments", "auto"} & set(proposal.sources):
        yield "deployments: read # deployments that no event told of"
    if {"workflow-runs", "auto"} & set(proposal.sources):
        yield "actions: read # earlier runs of the workflows that deploy"
    if proposal.triggers.issues:
        yield (
            "issues: write # incidents are read, and a report is an issue"
            if _has_report_setting()
            else "issues: read # incidents"
        )


def _has_report_setting() -> bool:
    return "report" in NAMES


def _call_lines(proposal: Proposal, action: str) -> Iterator[str]:
    """The job's body: the reusable workflow, or, where GitHub does not know what that needs, the action in a step."""
    action_repository, _, reference = action.partition("@")
    if action.startswith(PLACEHOLDER_OWNER):
        yield "# There is no release yet: OWNER is where you keep this action; pin the full sha of a commit, not main."
    if proposal.calls_action_in_step:
        yield from ("steps:", f"  - uses: {inline_yaml(action)}", "    with:")
        yield f"      mode: {inline_yaml(_MODE_EXPRESSION)} # the end of a run is when to look for what it made"
    else:
        yield f"uses: {inline_yaml(f'{action_repository}/.github/workflows/dora.yml@{reference}')}"
        yield from ("with:", "  mode: ${{ inputs.mode }}")


# --- The config file ---


def _config_lines(proposal: Proposal) -> Iterator[str]:
    yield "# Settings of dora-metrics that differ from its defaults, proposed by `dora-metrics init`. They are read"
    yield "# from the default branch; an input of the workflow wins over them."
    for setting in proposal.settings:
        yield ""
        yield from (f"# {_one_line(line)}" for line in setting.reasons)
        yield f"{setting.name}: {inline_yaml(setting.value)}"
    shown_names = {setting.name for setting in proposal.settings}
    if _has_report_setting() and proposal.triggers.issues and default_text("report") != "weekly":
        shown_names.add("report")
        yield from ("", "# One issue a week; with `off`, `issues: read` is enough in the workflow.", "report: weekly")
    if proposal.services:
        yield from (
            "",
            "# These folders look like services of a monorepo. Without the # each has numbers of its own, where a",
        )
        yield from ("# deployment says which one it is: docs/definitions.md#monorepos of dora-metrics.", "# services:")
        yield from (
            f"#   {inline_yaml(name)}: {inline_yaml([f'{_literal_glob(path)}/**'])}"
            for name, path in proposal.services.items()
        )
    yield from (
        "",
        "# More, with the defaults: remove the # of a line that you change. examples/dora.yml of dora-metrics has all.",
    )
    for name in _SUGGESTED_SETTINGS:
        if name in NAMES and name not in shown_names:
            description = Settings.model_fields[name.replace("-", "_")].description or ""
            yield f"# {name}: {inline_yaml(default_text(name))} # {description.rstrip('.')}"


def _one_line(text: str) -> str:
    """On one line: what stood behind a line break would be no comment."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _literal_glob(path: str) -> str:
    """A path as a pattern that fits it alone."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)
