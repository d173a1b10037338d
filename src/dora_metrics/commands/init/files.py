"""From the proposal to the text of each file. What strangers have named gets its quotes from the YAML library."""

from collections.abc import Iterator
from typing import get_args

from dora_metrics.commands.init.findings import CONFIG, FORM, WORKFLOW
from dora_metrics.commands.init.proposal import Proposal, When
from dora_metrics.commands.init.yaml_nodes import quoted
from dora_metrics.settings.model import NAMES, Settings, default_text

PLACEHOLDER = "OWNER/"
ACTION = f"{PLACEHOLDER}dora-metrics@main"
"""There is no release yet: OWNER is where it is kept."""

_HINTS = (
    "production-environments", "incident-labels", "hotfix-labels", "lead-time-start", "window", "timezone",
    "report", "fail-on", "health-check-url",
)  # fmt: skip
_ON_ITS_OWN = "${{ github.event_name == 'workflow_run' && 'sync' || inputs.mode || 'auto' }}"
"""As the reusable workflow has it."""


def texts(proposal: Proposal, action: str, form: str) -> dict[str, str]:
    """The files by their paths; `action` is `OWNER/NAME@REF`, `form` the issue form as it is shipped."""
    found = {} if proposal.recorded_by else {WORKFLOW: _joined(_workflow(proposal, action))}
    found[CONFIG] = _joined(_config(proposal))
    if proposal.form:
        found[FORM] = form.replace("labels: [incident]\n", f"labels: {quoted([proposal.labels[0]])}\n")
    return found


def _joined(lines: Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


# --- The workflow ---


def _workflow(proposal: Proposal, action: str) -> Iterator[str]:
    yield f"# Records deployments and incidents; settings are in {CONFIG}. Proposed by `dora-metrics init`, yours now."
    yield from ("name: DORA metrics", "", "on:")
    yield from (f"  {line}" for line in _events(proposal.when))
    yield from ("", "permissions: {}", "", "jobs:", "  dora:")
    yield from (f"    {line}" for line in _condition(proposal))
    if proposal.direct:
        yield from ("    runs-on: ubuntu-latest", "    timeout-minutes: 30")
    yield "    permissions:"
    yield from (f"      {line}" for line in _permissions(proposal))
    yield from (f"    {line}" for line in _call(proposal, action))


def _events(when: When) -> Iterator[str]:
    if when.workflows:
        yield "workflow_run: # zizmor: ignore[dangerous-triggers] no code and no artifact of that run is used"
        yield f"  workflows: {quoted(list(when.workflows))}"
        yield "  types: [completed]"
    if when.deployment_status:
        yield "deployment_status:"
    if when.release:
        yield from ("release:", "  types: [published]")
    if when.push:
        yield from ("push:", f"  branches: {quoted([_literal(when.push)])}")
    if when.issues:
        yield from ("issues:", "  types: [opened, edited, labeled, unlabeled, closed, reopened, transferred, deleted]")
    yield from ("schedule:", f'  - cron: "{when.minute} {when.hour} * * *" # every night, for what no event told of')
    yield from ("workflow_dispatch:", "  inputs:", "    mode:", "      description: What to do", "      type: choice")
    yield f"      options: {quoted(list(get_args(Settings.model_fields['mode'].annotation)))}"
    yield "      default: auto"


def _literal(branch: str) -> str:
    """A branch as a pattern that fits it alone."""
    return "".join(f"\\{letter}" if letter in "*?+[]!" else letter for letter in branch)


def _condition(proposal: Proposal) -> Iterator[str]:
    """The events that are worth a run, each kind by a part of its own."""
    when, parts = proposal.when, []
    if when.issues:
        parts.append(["github.event_name != 'issues'", *(one for label in proposal.labels for one in _labelled(label))])
    if when.deployment_status:
        ended = 'contains(fromJSON(\'["success", "failure", "error"]\'), github.event.deployment_status.state)'
        parts.append(["github.event_name != 'deployment_status'", ended])
    if when.pulls and all(_is_text(name) for name in when.merges):
        merging = (f"github.event.workflow.name == {_text(name)}" for name in when.merges)
        no_pull = "github.event.workflow_run.event != 'pull_request'"
        parts.append(["github.event_name != 'workflow_run'", no_pull, *merging])
    if parts:
        yield from ("# What would record nothing is not worth a run.", "if: >-")
    for number, part in enumerate(parts, 1):
        yield from (f"  {line}" for line in _alternatives(part, alone=len(parts) == 1, last=number == len(parts)))


def _labelled(label: str) -> Iterator[str]:
    """The label was just given or taken away, or is there."""
    yield f"github.event.label.name == {_text(label)}"
    yield f"contains(github.event.issue.labels.*.name, {_text(label)})"


def _text(name: str) -> str:
    """As GitHub's expressions write a text."""
    return "'" + name.replace("'", "''") + "'"


def _is_text(name: str) -> bool:
    """Whether a name can stand in an expression that is written over several lines."""
    return name.isprintable() and "${{" not in name


def _alternatives(part: list[str], *, alone: bool, last: bool) -> Iterator[str]:
    first, *others = part
    yield f"{'' if alone else '('}{first} ||"
    yield from (f"{other} ||" for other in others[:-1])
    yield f"{others[-1]}{'' if alone else ')'}{'' if last else ' &&'}"


def _permissions(proposal: Proposal) -> Iterator[str]:
    yield "contents: write # the ledger is a branch of this repository, dora-metrics; nothing else is written"
    yield "pull-requests: read # which changes a deployment brought, and since when they waited"
    if {"deployments", "auto"} & set(proposal.sources):
        yield "deployments: read # deployments that no event told of"
    if {"workflow-runs", "auto"} & set(proposal.sources):
        yield "actions: read # earlier runs of the workflows that deploy"
    if proposal.when.issues:
        yield (
            "issues: write # incidents are read, and a report is an issue" if _reports() else "issues: read # incidents"
        )


def _reports() -> bool:
    return "report" in NAMES


def _call(proposal: Proposal, action: str) -> Iterator[str]:
    """The job's body: the reusable workflow, or, where GitHub does not know what that needs, the action in a step."""
    name, _, reference = action.partition("@")
    if action.startswith(PLACEHOLDER):
        yield "# There is no release yet: OWNER is where you keep this action; pin the full sha of a commit, not main."
    if proposal.direct:
        yield from ("steps:", f"  - uses: {quoted(action)}", "    with:")
        yield f"      mode: {quoted(_ON_ITS_OWN)} # the end of a run is when to look for what it made"
    else:
        yield f"uses: {quoted(f'{name}/.github/workflows/dora.yml@{reference}')}"
        yield from ("with:", "  mode: ${{ inputs.mode }}")


# --- The config file ---


def _config(proposal: Proposal) -> Iterator[str]:
    yield "# Settings of dora-metrics that differ from its defaults, proposed by `dora-metrics init`. They are read"
    yield "# from the default branch; an input of the workflow wins over them."
    for one in proposal.settings:
        yield ""
        yield from (f"# {_comment(line)}" for line in one.because)
        yield f"{one.name}: {quoted(one.value)}"
    named = {one.name for one in proposal.settings}
    if _reports() and proposal.when.issues and default_text("report") != "weekly":
        named.add("report")
        yield from ("", "# One issue a week; with `off`, `issues: read` is enough in the workflow.", "report: weekly")
    if proposal.services:
        yield from (
            "",
            "# These folders look like services of a monorepo. Without the # each has numbers of its own, where a",
        )
        yield from ("# deployment says which one it is: docs/definitions.md#monorepos of dora-metrics.", "# services:")
        yield from (f"#   {quoted(name)}: {quoted([f'{_glob(path)}/**'])}" for name, path in proposal.services.items())
    yield from (
        "",
        "# More, with the defaults: remove the # of a line that you change. examples/dora.yml of dora-metrics has all.",
    )
    for name in _HINTS:
        if name in NAMES and name not in named:
            description = Settings.model_fields[name.replace("-", "_")].description or ""
            yield f"# {name}: {quoted(default_text(name))} # {description.rstrip('.')}"


def _comment(text: str) -> str:
    """On one line: what stood behind a line break would be no comment."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _glob(path: str) -> str:
    """A path as a pattern that fits it alone."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in path)
