"""What `init` prints, as lines of plain text with the most important first."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from dora_metrics.commands.init.findings import CONFIG_PATH, Findings
from dora_metrics.commands.init.proposal import Proposal
from dora_metrics.commands.init.yaml_nodes import content_tokens
from dora_metrics.core import formatting

_WIDTH = 78
_INDENT = " " * 15
_MAX_NOTES = 12


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


def summary_lines(findings: Findings, proposal: Proposal, files: list[ProposedFile], repository: str) -> Iterator[str]:
    """Describe the findings and the proposal."""
    yield f"{repository}: a deployment is {_deployment_text(proposal)}."
    yield ""
    yield from _row_lines("Because", *proposal.source_reasons)
    yield from _row_lines("Recorded", *_trigger_lines(proposal))
    yield from _row_lines("Incidents", _incidents_text(proposal))
    yield from _row_lines("Branch", f"{findings.default_branch.name} ({findings.default_branch.reason})")
    if proposal.services:
        service_names = ", ".join(proposal.services)
        yield from _row_lines(
            "Services", f"{service_names} look like services of a monorepo; {CONFIG_PATH} has them behind a #"
        )
    yield from _row_lines("Files", *_file_states(files))
    if proposal.notes:
        yield from ("", "Worth knowing:")
        yield from (f"  - {note}" for note in proposal.notes[:_MAX_NOTES])
    if (hidden_count := len(proposal.notes) - _MAX_NOTES) > 0:
        yield f"  - and {hidden_count} more"


def _incidents_text(proposal: Proposal) -> str:
    if not proposal.triggers.issues:
        return "none from GitHub: the repository has no issues"
    labels = " or ".join(proposal.incident_labels)
    return f"issues with the label {labels} ({proposal.incident_labels_reason}), when they change"


def _file_states(files: list[ProposedFile]) -> Iterator[str]:
    states = (
        ("to write", [file.path for file in files if file.is_new]),
        ("yours, left alone", [file.path for file in files if file.is_different]),
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
        "workflow-runs": f"a run of {' or '.join(proposal.triggers.workflows) or 'a workflow named like deploy'}",
        "pushes": f"a merge to {proposal.triggers.push_branch}",
        "none": "what somebody reports by a repository_dispatch",
        "auto": "the best that GitHub has",
    }
    return ", and ".join(texts_by_source[source] for source in proposal.sources)


def _trigger_lines(proposal: Proposal) -> Iterator[str]:
    """Say when deployments are recorded."""
    triggers = proposal.triggers
    if proposal.existing_use:
        yield f"{proposal.existing_use} uses dora-metrics already, so no workflow is proposed: two would count twice"
        return
    if triggers.workflows:
        yield f"when a run of {' or '.join(triggers.workflows)} ends"
    for is_active, description in (
        (triggers.deployment_status, "when a service other than Actions reports a deployment"),
        (triggers.release, "when a release is published by hand or with another token than GITHUB_TOKEN"),
        (triggers.push_branch is not None, f"when something is merged to {triggers.push_branch}"),
    ):
        if is_active:
            yield description
    time = f"{triggers.schedule_hour:02}:{triggers.schedule_minute:02}"
    yield f"every night at {time} UTC, for what no event reports, and by hand"


def file_lines(file: ProposedFile) -> Iterator[str]:
    """Show a file: the whole text if it is new, a diff if the existing one differs."""
    if not file.is_new and not file.is_different:
        yield f"{file.path}: up to date"
        return
    if file.is_new:
        yield _heading(f"{file.path} (new)")
        yield from file.text.splitlines()
    elif file.is_unreadable:
        yield f"{file.path}: is there and could not be read, so it is left alone"
    else:
        yield _heading(f"{file.path} (yours; left alone)")
        before, after = (file.existing_text or "").splitlines(), file.text.splitlines()
        yield from difflib.unified_diff(before, after, "yours", "proposed", lineterm="")
        yield "Nothing of it is changed. Take over what you miss, or remove the file and run this again."
    yield ""


def _heading(title: str) -> str:
    return f"── {title} ".ljust(_WIDTH, "─")


def confirmation_question(new_files: list[ProposedFile]) -> str:
    """Return the question whether to write the files."""
    return f"Write {'this file' if len(new_files) == 1 else f'these {len(new_files)} files'}? [y/N] "


def file_list(new_files: list[ProposedFile]) -> str:
    """Return the files as `3 files: a, b, c`."""
    return f"{formatting.count(len(new_files), 'file')}: {', '.join(file.path for file in new_files)}"


def next_steps(findings: Findings, proposal: Proposal, *, has_placeholder: bool) -> Iterator[str]:
    """Say what the user has to do after the files were written."""
    steps = []
    if has_placeholder and not proposal.existing_use:
        steps.append("put the place where you keep dora-metrics for OWNER, and the full sha of a commit for main")
    if proposal.missing_label and proposal.has_incident_form:
        steps.append(f"make the label, without which GitHub gives the form's issues none: {proposal.missing_label}")
    elif findings.github is None and proposal.has_incident_form:
        steps.append(f"see that the label {proposal.incident_labels[0]} is there: a form gives no label that is not")
    steps.append(f"commit, and push to {findings.default_branch.name}: GitHub takes these events from there only")
    steps.append("run it once by hand (Actions, DORA metrics, Run workflow): it reads the last 90 days")
    yield "Next:"
    yield from (f"  {number}. {step}" for number, step in enumerate(steps, 1))
