"""What `init` says, as lines of plain text; the most important first."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from dora_metrics.commands.init.findings import CONFIG, Found
from dora_metrics.commands.init.proposal import Proposal, When
from dora_metrics.commands.init.yaml_nodes import meaning
from dora_metrics.core import formatting

_WIDTH = 78
_INDENT = " " * 15
_MOST_NOTES = 12


@dataclass(frozen=True)
class File:
    """A file as it is proposed, and as it is, None where there is none. `odd`: it is there and cannot be read."""

    path: str
    text: str
    existing: str | None
    odd: bool = False

    @property
    def is_new(self) -> bool:
        return self.existing is None and not self.odd

    @property
    def differs(self) -> bool:
        """In what it says: the reasons in comments may be older than what was found now."""
        return self.odd or (self.existing is not None and meaning(self.existing) != meaning(self.text))


def summary(found: Found, proposal: Proposal, files: list[File], name: str) -> Iterator[str]:
    """What was found and what is proposed."""
    yield f"{name}: a deployment is {_source(proposal)}."
    yield ""
    yield from _row("Because", *proposal.because)
    yield from _row("Recorded", *_when(proposal.when, proposal))
    yield from _row("Incidents", _incidents(proposal))
    yield from _row("Branch", f"{_branch(found)} ({_branch_because(found)})")
    if proposal.services:
        named = ", ".join(proposal.services)
        yield from _row("Services", f"{named} look like services of a monorepo; {CONFIG} has them behind a #")
    yield from _row("Files", *_states(files))
    if proposal.notes:
        yield from ("", "Worth knowing:")
        yield from (f"  - {note}" for note in proposal.notes[:_MOST_NOTES])
    if (more := len(proposal.notes) - _MOST_NOTES) > 0:
        yield f"  - and {more} more"


def _incidents(proposal: Proposal) -> str:
    if not proposal.when.issues:
        return "none from GitHub: the repository has no issues"
    return f"issues with the label {' or '.join(proposal.labels)} ({proposal.labels_because}), when they change"


def _states(files: list[File]) -> Iterator[str]:
    states = (
        ("to write", [file.path for file in files if file.is_new]),
        ("yours, left alone", [file.path for file in files if file.differs]),
        ("up to date", [file.path for file in files if not file.is_new and not file.differs]),
    )
    yield from (f"{state}: {', '.join(paths)}" for state, paths in states if paths)


def _row(name: str, *lines: str) -> Iterator[str]:
    yield f"  {name:<{len(_INDENT) - 2}}{lines[0] if lines else ''}"
    yield from (f"{_INDENT}{line}" for line in lines[1:])


def _source(proposal: Proposal) -> str:
    told = {
        "deployments": f"a GitHub deployment to {' or '.join(proposal.environments) or 'production'}",
        "releases": "a published release",
        "workflow-runs": f"a run of {' or '.join(proposal.when.workflows) or 'a workflow named like deploy'}",
        "pushes": f"a merge to {proposal.when.push}",
        "none": "what somebody reports by a repository_dispatch",
        "auto": "the best that GitHub has",
    }
    return ", and ".join(told[source] for source in proposal.sources)


def _when(when: When, proposal: Proposal) -> Iterator[str]:
    if proposal.recorded_by:
        yield f"{proposal.recorded_by} uses dora-metrics already, so no workflow is proposed: two would count twice"
        return
    if when.workflows:
        yield f"when a run of {' or '.join(when.workflows)} ends"
    for happens, told in (
        (when.deployment_status, "when a service other than Actions reports a deployment"),
        (when.release, "when a release is published by hand or with another token than GITHUB_TOKEN"),
        (when.push is not None, f"when something is merged to {when.push}"),
    ):
        if happens:
            yield told
    yield f"every night at {when.hour:02}:{when.minute:02} UTC, for what no event tells of, and by hand"


def _branch(found: Found) -> str:
    return (found.github and found.github.branch) or found.checkout.branch.value


def _branch_because(found: Found) -> str:
    return "GitHub says so" if found.github and found.github.branch else found.checkout.branch.because


def shown(file: File) -> Iterator[str]:
    """A new file whole, one that differs as a diff."""
    if not file.is_new and not file.differs:
        yield f"{file.path}: up to date"
        return
    if file.is_new:
        yield _rule(f"{file.path} (new)")
        yield from file.text.splitlines()
    elif file.odd:
        yield f"{file.path}: is there and could not be read, so it is left alone"
    else:
        yield _rule(f"{file.path} (yours; left alone)")
        before, after = (file.existing or "").splitlines(), file.text.splitlines()
        yield from difflib.unified_diff(before, after, "yours", "proposed", lineterm="")
        yield "Nothing of it is changed. Take over what you miss, or remove the file and run this again."
    yield ""


def _rule(title: str) -> str:
    return f"── {title} ".ljust(_WIDTH, "─")


def question(new: list[File]) -> str:
    return f"Write {'this file' if len(new) == 1 else f'these {len(new)} files'}? [y/N] "


def listed(new: list[File]) -> str:
    """`3 files: a, b, c`."""
    return f"{formatting.count(len(new), 'file')}: {', '.join(file.path for file in new)}"


def afterwards(found: Found, proposal: Proposal, *, placeholder: bool) -> Iterator[str]:
    """What is left to do."""
    steps = []
    if placeholder and not proposal.recorded_by:
        steps.append("put the place where you keep dora-metrics for OWNER, and the full sha of a commit for main")
    if proposal.missing_label and proposal.form:
        steps.append(f"make the label, without which GitHub gives the form's issues none: {proposal.missing_label}")
    elif found.github is None and proposal.form:
        steps.append(f"see that the label {proposal.labels[0]} is there: a form gives no label that is not")
    steps.append(f"commit, and push to {_branch(found)}: GitHub takes these events from there only")
    steps.append("run it once by hand (Actions, DORA metrics, Run workflow): it reads the last 90 days")
    yield "Next:"
    yield from (f"  {number}. {step}" for number, step in enumerate(steps, 1))
