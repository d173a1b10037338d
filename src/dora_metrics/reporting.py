"""The report issues: claimed in the ledger, written, filed; every failure is told and costs the run nothing else."""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from dora_metrics.core.ledger import REPORTS, Contents
from dora_metrics.core.linking import Scope
from dora_metrics.core.markdown import Md, joined, link, md
from dora_metrics.core.periodic import filed, periods
from dora_metrics.core.periodic.filed import Cabinet, Drawer, Entry, Filed
from dora_metrics.core.periodic.letter import Letter, has_work
from dora_metrics.core.periodic.periods import KINDS, Kind, Period
from dora_metrics.core.report import Told
from dora_metrics.errors import LedgerError
from dora_metrics.github.client import ForbiddenError, GitHubError, NotFoundError
from dora_metrics.github.events import Run
from dora_metrics.github.issues import Desk, Issue, IssuesOffError
from dora_metrics.ledgers.port import Ledger
from dora_metrics.recording import Recorded
from dora_metrics.settings import EVERY_REPOSITORY, Settings

if TYPE_CHECKING:
    from dora_metrics.letters import Letters

_TRIES = 3
_BETWEEN_SECONDS = 1.0
_FILED = "File the report"


@dataclass
class Reporting:
    """The reports of one run. `asked`: a schedule or a person started it, so that what is filed is looked at again.

    `numbers`: the issues of this run by scope, once it has published.
    """

    desk: Desk
    settings: Settings
    run: Run
    asked: bool
    workspace: Path
    numbers: dict[Scope, int] = field(default_factory=dict)
    _name: str = field(default_factory=lambda: secrets.token_hex(8))

    @cached_property
    def _due(self) -> dict[Kind, Period]:
        zone, day = self.settings.zone, self.settings.report_day
        return {kind: periods.due(kind, self.run.now, zone, day) for kind in KINDS if kind in self.settings.report}

    def claim(self, before: Contents) -> Mapping[str, bytes]:
        """The ledger's file with this run's claim on every report that is due; nothing where none is.

        A run of an event makes only what runs before it have made: it may not have the permission, and should not
        complain of that with every deployment.
        """
        cabinet, drawer = self._opened(before.files)
        known = {kind: period for kind, period in self._due.items() if self.asked or kind in drawer}
        found = ((kind, filed.claimed(drawer, one, self._name, self.run.now)) for kind, one in known.items())
        claims = {str(kind): entry for kind, entry in found if entry}
        return {REPORTS: filed.encoded({**cabinet, self.run.repository: {**drawer, **claims}})} if claims else {}

    def _opened(self, files: Mapping[str, bytes]) -> tuple[Cabinet, Drawer]:
        """What was filed, in all repositories that share the ledger, and in this one."""
        cabinet = filed.decoded(files.get(REPORTS, b""))
        return cabinet, cabinet.get(self.run.repository, {})

    def publish(self, recorded: Recorded, ledger: Ledger) -> Iterator[Told]:
        """Makes what this run has claimed, and writes anew what has changed of what was made before."""
        if self._due and not ledger.remembers:
            yield Told("report", "skipped", "it needs a ledger that this run can write, which tells who makes it")
            return
        _, drawer = self._opened(recorded.saved.files)
        for kind, period in self._due.items():
            entry = drawer.get(kind)
            if entry is None or entry.period != period.name or not (self._owns(entry) or self.asked):
                continue
            yield from self._told(period, entry, recorded, ledger)

    def _owns(self, entry: Entry) -> bool:
        return entry.claimed_by == self._name and not entry.done

    def _told(self, period: Period, entry: Entry, recorded: Recorded, ledger: Ledger) -> Iterator[Told]:
        """One report; what fails is a warning where somebody looks at it, and a remark beside an event."""
        try:
            if entry.done:
                yield from self._again(period, entry, recorded, ledger)
            elif self._owns(entry):
                yield from self._first(period, entry, recorded, ledger)
            else:
                yield Told("report", "skipped", f"another run has begun that of {period.title} a moment ago")
        except (GitHubError, LedgerError) as problem:
            yield Told("report", "failed" if self.asked else "skipped", _advised(period, problem))

    def _first(self, period: Period, entry: Entry, recorded: Recorded, ledger: Ledger) -> Iterator[Told]:
        """Makes the issues of a period, closes those of the last one, and remembers both."""
        found = self._letters(recorded, period)
        yield from _unusable(found)
        if not found.letters:
            self._keep(period, msgspec.structs.replace(entry, done=True), recorded, ledger)
            yield Told("report", "skipped", f"none of {period.title}: no production deployment or incident is known")
            return
        there = self.desk.reports(frozenset(entry.before.values()))
        made = {scope: self._placed(one, entry, there) for scope, one in found.letters.items()}
        self._close(entry, there, made.values())
        kept = {one.marker: Filed(made[scope].number, one.digest) for scope, one in found.letters.items()}
        self._keep(period, msgspec.structs.replace(entry, done=True, filed=kept), recorded, ledger)
        self.numbers |= {scope: issue.number for scope, issue in made.items()}
        yield Told("report", "done", _links(period, made.values(), found.rest))

    def _again(self, period: Period, entry: Entry, recorded: Recorded, ledger: Ledger) -> Iterator[Told]:
        """Writes anew what says something else by now."""
        found = self._letters(recorded, period)
        of_ours = ((scope, one) for scope, one in found.letters.items() if one.marker in entry.filed)
        known = {scope: (one, entry.filed[one.marker]) for scope, one in of_ours}
        self.numbers |= {scope: was.number for scope, (_, was) in known.items()}
        other = [(one, was) for one, was in known.values() if one.digest != was.digest]
        if not other:
            return
        yield from _unusable(found)
        for one, was in other:
            if issue := self._there(was.number):
                self._rewrite(one, issue, entry)
        kept = entry.filed | {one.marker: Filed(was.number, one.digest) for one, was in other}
        self._keep(period, msgspec.structs.replace(entry, filed=kept), recorded, ledger)
        yield Told("report", "done", f"{period.title} says what is known by now")

    def _letters(self, recorded: Recorded, period: Period) -> "Letters":
        from dora_metrics.letters import letters  # noqa: PLC0415 - most runs make no report

        about = EVERY_REPOSITORY if self.settings.repositories else self.run.repository
        return letters(recorded.subject, about, period, self.settings, self.workspace)

    def _placed(self, one: Letter, entry: Entry, there: Mapping[str, Issue]) -> Issue:
        """The issue of a letter: the one that an earlier run has left, with today's words, or a new one."""
        if found := there.get(one.marker):
            self._rewrite(one, found, entry)
            return found
        issue = self.desk.create(one, _number_before(one, entry))
        self.desk.client.pause(_BETWEEN_SECONDS)
        return issue

    def _rewrite(self, one: Letter, issue: Issue, entry: Entry) -> None:
        """What is ours of an issue; one whose marks were taken away belongs to people."""
        text = one.renewed(issue.body.replace("\r\n", "\n"), _number_before(one, entry))
        if text is not None and text != issue.body:
            self.desk.rewrite(issue.number, one.title, text)

    def _close(self, entry: Entry, there: Mapping[str, Issue], made: Iterable[Issue]) -> None:
        """The issues of the report before, unless somebody has work left in them."""
        by_number = {issue.number: issue for issue in there.values()}
        for number in set(entry.before.values()) - {issue.number for issue in made}:
            issue = by_number.get(number) or self._there(number)
            if issue and issue.is_open and not has_work(issue.body):
                self.desk.close(number)

    def _there(self, number: int) -> Issue | None:
        """An issue that was filed; None where somebody has deleted it."""
        with suppress(NotFoundError):
            return self.desk.issue(number)
        return None

    def _keep(self, period: Period, entry: Entry, recorded: Recorded, ledger: Ledger) -> None:
        """Remembers what was filed, on top of what others have written meanwhile."""
        now = recorded.saved
        for _ in range(_TRIES):
            cabinet, drawer = self._opened(now.files)
            kept = filed.encoded({**cabinet, self.run.repository: {**drawer, period.kind: entry}})
            if ledger.write(now, {REPORTS: kept}, _FILED) is not None:
                return
            now = ledger.read(now.reach)
        raise LedgerError("other runs wrote to the ledger first; the next run finds the issue by its marker")


def _unusable(found: "Letters") -> Iterator[Told]:
    """The user's template, where it had to give way to the usual one."""
    if found.problem:
        yield Told("report", "failed", found.problem)


def _number_before(one: Letter, entry: Entry) -> int | None:
    return entry.before.get(filed.scope_of(one.marker))


def _links(period: Period, made: Iterable[Issue], rest: str) -> Md:
    """`week 47, 2026: #12`; GitHub makes no number in a summary a link by itself."""
    issues = joined(", ", (link(Md(f"#{issue.number}"), issue.url) for issue in made))
    return joined("; ", (md("{}: {}", period.title, issues), md("{}", rest)))


def _advised(period: Period, problem: Exception) -> str:
    what = f"that of {period.title} could not be filed: {problem}"
    match problem:
        case IssuesOffError():
            return f"{what}; switch them on under Settings → General → Features, or set `report: off`"
        case ForbiddenError() | NotFoundError():
            return f"{what}; give the job `permissions: issues: write`, or set `report: off`"
        case _:
            return f"{what}; the next run goes on with it"
