"""The reports of a run: claimed in the ledger, written, filed; every failure is told and costs the run nothing else."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from msgspec.structs import replace

from dora_metrics.core import periods
from dora_metrics.core.ledger.layout import Contents
from dora_metrics.core.linking.link import Scope
from dora_metrics.core.markdown import Md, joined, link, md
from dora_metrics.core.periods import KINDS, Kind, Period
from dora_metrics.core.reports.periodic.claims import Entry
from dora_metrics.core.reports.summary import Told
from dora_metrics.errors import LedgerError
from dora_metrics.github.client import ForbiddenError, GitHubError, NotFoundError
from dora_metrics.github.events.observe import Run
from dora_metrics.github.issues import Desk, Issue, IssuesOffError
from dora_metrics.pipeline.record import Recorded
from dora_metrics.pipeline.report_issues import Filing, OvertakenError
from dora_metrics.pipeline.shelf import Claimant, Shelf
from dora_metrics.settings.model import EVERY_REPOSITORY, Settings
from dora_metrics.storage.base import Ledger


@dataclass
class Reporting:
    """The reports of one run. `asked`: a schedule or a person started it, so that what is filed is looked at again.

    `template`: reads the user's. `numbers`: the issues of this run by scope, once it has published.
    """

    desk: Desk
    settings: Settings
    run: Run
    asked: bool
    template: Callable[[Path], str]
    numbers: dict[Scope, int] = field(default_factory=dict)

    @cached_property
    def _claimant(self) -> Claimant:
        return Claimant(self.run.repository, self.run.now, self.asked)

    @cached_property
    def _due(self) -> dict[Kind, Period]:
        zone, day = self.settings.zone, self.settings.report_day
        return {kind: periods.due(kind, self.run.now, zone, day) for kind in KINDS if kind in self.settings.report}

    def claim(self, before: Contents) -> Mapping[str, bytes]:
        """The ledger's file with this run's claim on every report that is due; nothing where none is."""
        return self._claimant.claims(before.files, self._due)

    def publish(self, recorded: Recorded, ledger: Ledger) -> Iterator[Told]:
        """Makes what this run has claimed, and writes anew what has changed of what was made before."""
        if self._due and not ledger.remembers:
            yield Told("report", "skipped", "it needs a ledger that this run can write, which tells who makes it")
            return
        shelf = Shelf(ledger, recorded.saved, self.run.repository)
        for period in self._due.values():
            entry = shelf.entry(period.kind)
            if entry and entry.period == period.name and (self._claimant.owns(entry) or self.asked):
                yield from self._told(period, entry, recorded, shelf)

    def _told(self, period: Period, entry: Entry, recorded: Recorded, shelf: Shelf) -> Iterator[Told]:
        """One report; what fails is a warning where somebody looks at it, and a remark beside an event."""
        if not entry.done and not self._claimant.owns(entry):
            yield Told("report", "skipped", f"another run has begun that of {period.title} a moment ago")
            return
        try:
            yield from self._filed(period, entry, recorded, shelf)
        except OvertakenError:
            yield Told("report", "skipped", f"another run has taken over that of {period.title}")
        except (GitHubError, LedgerError) as problem:
            if not entry.done and isinstance(problem, ForbiddenError | NotFoundError | IssuesOffError):
                with suppress(LedgerError):
                    shelf.keep(period.kind, replace(entry, refused=True))
            yield Told("report", "failed" if self.asked else "skipped", _advised(period, problem))

    def _filed(self, period: Period, entry: Entry, recorded: Recorded, shelf: Shelf) -> Iterator[Told]:
        """Makes it, or brings it up to date."""
        from dora_metrics.pipeline.reports import letters  # noqa: PLC0415 - most runs make no report

        about = EVERY_REPOSITORY if self.settings.repositories else self.run.repository
        found = letters(recorded.subject, about, period, self.settings, self.template)
        filing = Filing(self.desk, shelf, self._claimant, period, entry, found)
        self.numbers |= filing.numbers()
        if not entry.done or (filing.lacks_some and filing.take_up()):
            issues = filing.made()
            self.numbers |= {scope: issue.number for scope, issue in issues.items()}
            yield _made(period, issues.values(), found.rest)
        elif filing.renewed():
            yield Told("report", "done", f"{period.title} says what is known by now")
        else:
            return
        if found.problem:
            yield Told("report", "failed", found.problem)


def _made(period: Period, issues: Iterable[Issue], rest: str) -> Told:
    """`week 47, 2026: #12`; GitHub makes no number in a summary a link by itself."""
    links = joined(", ", (link(Md(f"#{issue.number}"), issue.url) for issue in issues))
    if not links:
        return Told("report", "skipped", f"none of {period.title}: no production deployment or incident is known")
    return Told("report", "done", joined("; ", (md("{}: {}", period.title, links), md("{}", rest))))


def _advised(period: Period, problem: Exception) -> str:
    what = f"that of {period.title} could not be filed: {problem}"
    match problem:
        case IssuesOffError():
            return f"{what}; switch them on under Settings → General → Features, or set `report: off`"
        case ForbiddenError() | NotFoundError():
            return f"{what}; give the job `permissions: issues: write`, or set `report: off`"
        case _:
            return f"{what}; the next run goes on with it"
