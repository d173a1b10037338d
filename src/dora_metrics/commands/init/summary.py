"""What `init` prints, as lines of plain text with the most important first."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from dora_metrics.commands.init.findings import CONFIG_PATH, WORKFLOW_PATH, Findings
from dora_metrics.commands.init.proposal import Proposal
from dora_metrics.commands.init.yaml_nodes import content_tokens
from dora_metrics.core import formatting
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.reports.sections import level_text, sample_size
from dora_metrics.core.scope import Scope, scope_label
from dora_metrics.core.targets import units
from dora_metrics.core.targets.metric import METRICS

_WIDTH = 78
_INDENT = " " * 18
_MAX_NOTES = 12
_MAX_DIFF_LINES, _DIFF_HEADER_LINES = 60, 2
_MAX_NUMBER_NOTES = 3
_MAX_PROBLEMS = 3


@dataclass(frozen=True)
class ProposedFile:
    """A proposed file, and its existing text, None if there is none or it is unreadable."""

    path: str
    text: str
    existing_text: str | None
    is_unreadable: bool = False

    @property
    def is_new(self) -> bool:
        return self.existing_text is None and not self.is_unreadable

    @property
    def is_different(self) -> bool:
        """Whether the existing content differs. Comments do not count: the reasons in them may be older."""
        return self.is_unreadable or (
            self.existing_text is not None and content_tokens(self.existing_text) != content_tokens(self.text)
        )


@dataclass(frozen=True)
class FirstNumbers:
    """What the first sync of a proposal found.

    Attributes:
        results: None if there are none, as `problems` says.
        scope: the scope that was deployed last; None if nothing is known of any.
        deployment_count: the deployments in all scopes.
        since: from when on GitHub was read; None if from the start.
        problems: what could not be read, as sentences.
    """

    results: Results | None = None
    scope: Scope | None = None
    deployment_count: int = 0
    since: datetime | None = None
    problems: tuple[str, ...] = ()

    @property
    def since_text(self) -> str:
        return f" since {self.since:%Y-%m-%d}" if self.since else ""


def summary_lines(
    findings: Findings, proposal: Proposal, files: list[ProposedFile], repository: str, root: str
) -> Iterator[str]:
    """Describe the findings and the proposal. `root` is the folder that the paths of the files are relative to."""
    yield f"{repository}: a deployment is {_deployment_text(proposal)}."
    yield ""
    yield from _row_lines("Because", *proposal.source_reasons)
    yield from _row_lines("Recorded", *_trigger_lines(proposal))
    yield from _row_lines("Incidents", _incidents_text(proposal))
    yield from _row_lines("Report", _report_text(proposal))
    yield from _row_lines("Default branch", f"{findings.default_branch.name} ({findings.default_branch.reason})")
    if proposal.services:
        service_names = ", ".join(proposal.services)
        yield from _row_lines("Services", f"{service_names}: {CONFIG_PATH} has them as a comment")
    yield from _row_lines("Folder", root)
    yield from _row_lines("Files", *_file_states(files))
    if proposal.notes:
        yield from ("", "Notes:")
        yield from (f"  - {note}." for note in proposal.notes[:_MAX_NOTES])
    if (hidden_count := len(proposal.notes) - _MAX_NOTES) > 0:
        yield f"  - {hidden_count} more"


def number_lines(numbers: FirstNumbers) -> Iterator[str]:
    """Show the numbers of the first sync, or say why there are none."""
    yield ""
    if numbers.results is None or numbers.scope is None:
        yield "init could not compute the numbers:" if numbers.problems else _no_deployments(numbers)
    else:
        yield f"The workflow would show ({scope_label(numbers.scope)}, {numbers.results.window_text}):"
        yield from _metric_lines(numbers.results, numbers.scope)
        yield from _other_scopes_lines(numbers.results)
        yield from (f"  - {note}" for note in numbers.results.document.notes[:_MAX_NUMBER_NOTES])
        if not numbers.deployment_count:
            yield _no_deployments(numbers)
        if numbers.problems:
            yield "init could not read everything:"
    yield from (f"  - {problem}" for problem in numbers.problems[:_MAX_PROBLEMS])


def _no_deployments(numbers: FirstNumbers) -> str:
    return (
        f"GitHub has no such deployment{numbers.since_text}. Check whether this is what you call a deployment before "
        "you write the files."
    )


def _metric_lines(results: Results, scope: Scope) -> Iterator[str]:
    """Yield a line for each metric: its name, value, level and sample, in columns."""
    scope_metrics = results.metrics_of(scope)
    if scope_metrics is None:
        return
    metric_results = [(metric.label, metric.result_in(scope_metrics.metrics)) for metric in METRICS.values()]
    benchmark = results.policy.benchmark
    rows = [
        (label, units.format_result(each), level_text(each, benchmark), sample_size(each))
        for label, each in metric_results
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def _other_scopes_lines(results: Results) -> Iterator[str]:
    if (other_count := len(results.document.scopes) - 1) > 0:
        yield f"  {formatting.count(other_count, 'more scope')}"


def _report_text(proposal: Proposal) -> str:
    if proposal.report:
        return f"an issue with a {proposal.report} report"
    return "none" if not proposal.triggers.issues else f"as {CONFIG_PATH} says"


def _incidents_text(proposal: Proposal) -> str:
    if not proposal.triggers.issues:
        return "none from GitHub, since issues are disabled there"
    labels = " or ".join(proposal.incident_labels)
    return f"issues with the label {labels} ({proposal.incident_labels_reason})"


def _file_states(files: list[ProposedFile]) -> Iterator[str]:
    states = (
        ("to write", [file.path for file in files if file.is_new]),
        ("yours, unchanged", [file.path for file in files if file.is_different]),
        ("up to date", [file.path for file in files if not file.is_new and not file.is_different]),
    )
    yield from (f"{state}: {', '.join(paths)}" for state, paths in states if paths)


def _row_lines(name: str, *lines: str) -> Iterator[str]:
    yield f"  {name:<{len(_INDENT) - 2}}{lines[0] if lines else ''}"
    yield from (f"{_INDENT}{line}" for line in lines[1:])


def _deployment_text(proposal: Proposal) -> str:
    texts_by_source = {
        "deployments": f"a GitHub deployment to {' or '.join(proposal.production_environments) or 'production'}",
        "releases": "a published release",
        "workflow-runs": f"a run of {' or '.join(proposal.triggers.workflows) or 'a workflow that deploys'}",
        "pushes": f"a push to {proposal.triggers.push_branch}",
        "none": "whatever is reported by a repository_dispatch",
        "auto": "what the best source on GitHub has",
    }
    return ", and ".join(texts_by_source[source] for source in proposal.sources)


def _trigger_lines(proposal: Proposal) -> Iterator[str]:
    """Say when deployments are recorded."""
    triggers = proposal.triggers
    if proposal.existing_use:
        yield f"by {proposal.existing_use}, which uses dora-metrics already; a second workflow would record twice"
        return
    if triggers.workflows:
        yield f"when a run of {' or '.join(triggers.workflows)} finishes"
    for is_active, description in (
        (triggers.deployment_status, "when a service other than Actions reports a deployment"),
        (triggers.release, "when a release is published, unless GITHUB_TOKEN published it"),
        (triggers.push_branch is not None, f"when {triggers.push_branch} is pushed to"),
        (triggers.repository_dispatch, "when a repository_dispatch reports a deployment or an incident"),
    ):
        if is_active:
            yield description
    time = f"{triggers.schedule_hour:02}:{triggers.schedule_minute:02}"
    yield f"every night at {time} UTC, to find what no event reports"


def file_lines(file: ProposedFile) -> Iterator[str]:
    """Show a file: the whole text if it is new, a short diff if the existing one differs."""
    if not file.is_new and not file.is_different:
        yield f"{file.path}: up to date"
        return
    if file.is_new:
        yield _heading(f"{file.path} (new)")
        yield from file.text.splitlines()
    elif file.is_unreadable:
        yield f"{file.path}: exists and could not be read; init does not change it"
    else:
        yield _heading(f"{file.path} (yours, unchanged)")
        yield from _differences((file.existing_text or "").splitlines(), file.text.splitlines())
        yield (
            "init does not change this file. If you need its proposal, copy the lines you want, or move your file away "
            "and run init again."
        )
    yield ""


def _differences(before: list[str], after: list[str]) -> list[str]:
    """Return a diff if it is short enough to read, otherwise the number of its removed and added lines."""
    diff = list(difflib.unified_diff(before, after, "yours", "proposed", lineterm=""))
    if len(diff) <= _MAX_DIFF_LINES:
        return diff
    count = sum(line.startswith(("+", "-")) for line in diff[_DIFF_HEADER_LINES:])
    return [f"differs in {count} lines"]


def _heading(title: str) -> str:
    return f"── {title} ".ljust(_WIDTH, "─")


def confirmation_question(new_files: list[ProposedFile]) -> str:
    """Return the question whether to write the files."""
    return f"Write {'this file' if len(new_files) == 1 else f'these {len(new_files)} files'}? [y/N] "


def file_list(new_files: list[ProposedFile]) -> str:
    """Return the files as `3 files: a, b, c`."""
    return f"{formatting.count(len(new_files), 'file')}: {', '.join(file.path for file in new_files)}"


def next_steps(findings: Findings, proposal: Proposal, *, has_placeholder: bool) -> Iterator[str]:
    """Say what to do after the files were written."""
    steps = []
    if has_placeholder and not proposal.existing_use:
        steps.append(
            f"in {WORKFLOW_PATH}, replace OWNER with the owner of your copy of dora-metrics, and main with a sha"
        )
    if proposal.missing_label and proposal.has_incident_form:
        steps.append(f"create the label {proposal.missing_label}: an issue form cannot create it")
    elif findings.github is None and proposal.has_incident_form:
        steps.append(f"check that the label {proposal.incident_labels[0]} exists: an issue form cannot create it")
    steps.append(
        f"commit, and push to {findings.default_branch.name}: GitHub starts the workflow from this branch only"
    )
    steps.append("run it once by hand (Actions → DORA metrics → Run workflow): the first run reads the last 90 days")
    yield "Next:"
    yield from (f"  {number}. {step}" for number, step in enumerate(steps, 1))
