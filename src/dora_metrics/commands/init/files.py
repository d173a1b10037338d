"""Renders a proposal as the files that `init` writes. Pure: the templates in `templates/init` are passed in.

Names from the repository are untrusted, so the templates write them through filters that quote or escape them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

from jinja2 import Environment, StrictUndefined

from dora_metrics.commands.init.findings import CONFIG_PATH, FORM_PATH, WORKFLOW_PATH
from dora_metrics.commands.init.proposal import Proposal
from dora_metrics.commands.init.yaml_nodes import inline_yaml
from dora_metrics.core.markdown import printable
from dora_metrics.settings.model import Settings, default_text

PLACEHOLDER_OWNER = "OWNER/"
DEFAULT_ACTION = f"{PLACEHOLDER_OWNER}dora-metrics@main"
"""The action has no release yet; OWNER is to be replaced by the owner of the user's copy."""

TEMPLATE_NAMES = ("workflow.yml.j2", "dora.yml.j2", "incident-form.yml.j2")
"""The templates that `render_files` needs, in `templates/init`."""

_SUGGESTED_SETTINGS = (
    "production-environments", "incident-labels", "hotfix-labels", "lead-time-start", "window", "timezone",
    "fail-on", "health-check-url",
)  # fmt: skip
_MODE_EXPRESSION = "${{ github.event_name == 'workflow_run' && 'sync' || inputs.mode || 'auto' }}"
"""The `mode` of the reusable workflow."""


def render_files(proposal: Proposal, action: str, templates: Mapping[str, str]) -> dict[str, str]:
    """Return the text of each proposed file by its path.

    Args:
        action: the action to call, as `OWNER/NAME@REF`.
        templates: the text of each of TEMPLATE_NAMES.
    """
    environment = _environment()

    def render(name: str, **values: object) -> str:
        return environment.from_string(templates[name]).render(values)

    files = {}
    if not proposal.existing_use:
        files[WORKFLOW_PATH] = render("workflow.yml.j2", **_workflow_values(proposal, action))
    files[CONFIG_PATH] = render("dora.yml.j2", **_config_values(proposal))
    if proposal.has_incident_form:
        files[FORM_PATH] = render("incident-form.yml.j2", labels=[proposal.incident_labels[0]])
    return files


def _environment() -> Environment:
    environment = Environment(  # noqa: S701 - the output is YAML; untrusted values go through the filters
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
    )
    environment.filters |= {
        "yaml": inline_yaml,
        "comment": _one_line,
        "branch_pattern": _literal_branch_pattern,
        "glob_pattern": _literal_glob_pattern,
    }
    return environment


# --- The workflow ---


def _workflow_values(proposal: Proposal, action: str) -> dict[str, object]:
    repository, _, reference = action.partition("@")
    return {
        "action": action,
        "calls_action_in_step": proposal.calls_action_in_step,
        "conditions": list(_conditions(proposal)),
        "config_path": CONFIG_PATH,
        "has_placeholder": action.startswith(PLACEHOLDER_OWNER),
        "mode_expression": _MODE_EXPRESSION,
        "modes": get_args(Settings.model_fields["mode"].annotation),
        "report": proposal.report,
        "reusable_workflow": f"{repository}/.github/workflows/dora.yml@{reference}",
        "sources": proposal.sources,
        "triggers": proposal.triggers,
    }


def _conditions(proposal: Proposal) -> Iterator[list[str]]:
    """Yield the conditions of the job, each as a list of alternatives: which events of each kind are worth a run."""
    triggers = proposal.triggers
    if triggers.issues and all(map(_fits_expression, proposal.incident_labels)):
        labels = (alternative for label in proposal.incident_labels for alternative in _label_alternatives(label))
        yield ["github.event_name != 'issues'", *labels]
    if triggers.deployment_status:
        has_finished = 'contains(fromJSON(\'["success", "failure", "error"]\'), github.event.deployment_status.state)'
        yield ["github.event_name != 'deployment_status'", has_finished]
    if triggers.has_pull_request_runs and all(map(_fits_expression, triggers.merge_workflows)):
        merge_runs = (f"github.event.workflow.name == {_expression_string(name)}" for name in triggers.merge_workflows)
        is_no_pull_request = "github.event.workflow_run.event != 'pull_request'"
        yield ["github.event_name != 'workflow_run'", is_no_pull_request, *merge_runs]


def _label_alternatives(label: str) -> Iterator[str]:
    """Yield the conditions for an issue to which a label was just added or removed, or that has it."""
    yield f"github.event.label.name == {_expression_string(label)}"
    yield f"contains(github.event.issue.labels.*.name, {_expression_string(label)})"


def _expression_string(text: str) -> str:
    """Return a string literal of GitHub's expression syntax."""
    return "'" + text.replace("'", "''") + "'"


def _fits_expression(name: str) -> bool:
    """Return whether a name can be part of an expression in a multi-line YAML scalar."""
    return printable(name) == name and "${{" not in name


def _literal_branch_pattern(branch: str) -> str:
    """Return a filter pattern of GitHub's that matches only this branch."""
    return "".join(f"\\{character}" if character in "*?+[]!" else character for character in branch)


# --- The config file ---


@dataclass(frozen=True)
class _Suggestion:
    """A setting that the config file shows as a comment, with its default."""

    name: str
    default: str
    description: str


def _config_values(proposal: Proposal) -> dict[str, object]:
    return {
        "services": proposal.services,
        "settings": proposal.settings,
        "suggestions": list(_suggestions({setting.name for setting in proposal.settings})),
    }


def _suggestions(proposed_names: set[str]) -> Iterator[_Suggestion]:
    for name in _SUGGESTED_SETTINGS:
        if name not in proposed_names:
            description = Settings.model_fields[name.replace("-", "_")].description or ""
            yield _Suggestion(name, default_text(name), description.rstrip("."))


def _one_line(text: str) -> str:
    """Return a text on one line: what follows a line break would not be part of the comment."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _literal_glob_pattern(path: str) -> str:
    """Return a path pattern of `services` that matches only this path."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)
