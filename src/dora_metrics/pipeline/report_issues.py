"""One period's report: its issues made, written anew, and those of the one before closed.

The reports of a run: claimed in the ledger, written, filed; every failure is told and costs the run nothing else.

The ledger's file of reports: who makes one, and what was filed.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dora_metrics.core import periods
from dora_metrics.core.ledger.layout import REPORTS_FILE, LedgerContents
from dora_metrics.core.markdown import Md, join_non_empty, link, md
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.periods import PERIOD_KINDS, Period, PeriodKind
from dora_metrics.core.reports.periodic import claims as filed
from dora_metrics.core.reports.periodic.claims import (
    CLAIM_DURATION,
    FiledIssue,
    KindClaims,
    ReportClaim,
    complete_claim,
    scope_key_of,
)
from dora_metrics.core.reports.periodic.issue_body import (
    MAX_BODY_UTF16_LENGTH,
    IssueBody,
    has_open_tasks,
    marker_in,
    utf16_length,
)
from dora_metrics.core.reports.render import TemplateError
from dora_metrics.core.scope import Scope
from dora_metrics.errors import LedgerError
from dora_metrics.github.client import ForbiddenError, GitHubError, MovedError, NotFoundError
from dora_metrics.github.events.observe import Run
from dora_metrics.github.issues import GitHubIssue, IssuesDisabledError, ReportIssueTracker
from dora_metrics.pipeline.record import RunResult
from dora_metrics.settings.model import EVERY_REPOSITORY, Settings
from dora_metrics.storage.base import Snapshot, Storage

if TYPE_CHECKING:
    from dora_metrics.pipeline.reports import RenderedReports


_TRIES = 3
_FILED = "File the report"


@dataclass(frozen=True)
class Claimant:
    """A run that makes reports, under a name of its own. `began`: when, by the clock of `now`."""

    repository: str
    began: datetime
    asked: bool
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    _started: float = field(default_factory=time.monotonic)

    @property
    def now(self) -> datetime:
        """As long after the run began as it is by now."""
        return self.began + timedelta(seconds=time.monotonic() - self._started)

    def claims(self, files: Mapping[str, bytes], due: Mapping[PeriodKind, Period]) -> dict[str, bytes]:
        """The file with this run's claim on every report that is due and free; nothing where none is."""
        drawer = repository_claims(files, self.repository)
        found = (
            (k, filed.claim_report(drawer, one, self.name, self.now, is_requested=self.asked)) for k, one in due.items()
        )
        return _put(files, self.repository, {str(kind): entry for kind, entry in found if entry})

    def owns(self, entry: ReportClaim) -> bool:
        return entry.claimed_by == self.name and not entry.done


def repository_claims(files: Mapping[str, bytes], repository: str) -> KindClaims:
    """What was filed in one of the repositories that share a ledger."""
    return filed.decode_claims(files.get(REPORTS_FILE, b"")).get(repository, {})


def _put(files: Mapping[str, bytes], repository: str, entries: KindClaims) -> dict[str, bytes]:
    """The file with other entries of a repository; nothing without any."""
    cabinet = filed.decode_claims(files.get(REPORTS_FILE, b""))
    drawer = {**cabinet.get(repository, {}), **entries}
    return {REPORTS_FILE: filed.encode_claims({**cabinet, repository: drawer})} if entries else {}


@dataclass
class ClaimStore:
    """The file in a ledger as this run has last seen it."""

    ledger: Storage
    snapshot: Snapshot
    repository: str

    def claim(self, kind: PeriodKind) -> ReportClaim | None:
        return repository_claims(self.snapshot.files, self.repository).get(kind)

    def reload(self, kind: PeriodKind) -> ReportClaim | None:
        """As the ledger has it now.

        Raises:
            LedgerError: if it cannot be read.
        """
        self.snapshot = self.ledger.read(self.snapshot.months)
        return self.claim(kind)

    def try_put(self, kind: PeriodKind, entry: ReportClaim) -> bool:
        """Puts an entry there, unless another run has changed the ledger since.

        Raises:
            LedgerError: if it cannot be written.
        """
        saved = self.ledger.write(self.snapshot, _put(self.snapshot.files, self.repository, {kind: entry}), _FILED)
        self.snapshot = saved or self.snapshot
        return saved is not None

    def put(self, kind: PeriodKind, entry: ReportClaim) -> None:
        """Puts an entry there, on top of what others have written meanwhile.

        Raises:
            LedgerError: if it cannot be written.
        """
        for _ in range(_TRIES):
            if self.try_put(kind, entry):
                return
            self.reload(kind)
        raise LedgerError("other runs wrote to the ledger first; the next run finds the issue by its marker")


_BETWEEN_SECONDS = 1.0
"""GitHub asks for that much between things that notify people."""


class OvertakenError(Exception):
    """Another run makes the report."""


@dataclass
class IssueFiling:
    """The letters of a period, and where they go."""

    desk: ReportIssueTracker
    shelf: ClaimStore
    claimant: Claimant
    period: Period
    entry: ReportClaim
    found: "RenderedReports"
    _has_created: bool = False

    def create_issues(self) -> dict[Scope, GitHubIssue]:
        """Makes the issues that are not there yet, closes those of the last report, and remembers both.

        Raises:
            GitHubError: by meaning.
            LedgerError: if nothing can be remembered.
            OvertakenError: if another run has taken the report over.
        """
        there = self.desk.find_reports(self._known)
        issues = {scope: self._placed(scope, one, there) for scope, one in self.found.bodies.items()}
        self._close(there, issues.values())
        kept = {one.marker: FiledIssue(issues[scope].number, one.digest) for scope, one in self.found.bodies.items()}
        self.shelf.put(self.period.kind, complete_claim(self.entry, kept))
        return issues

    def update_issues(self) -> bool:
        """Writes anew what says something else by now; whether there was anything.

        Raises:
            GitHubError: by meaning.
            LedgerError: if it cannot be remembered.
        """
        changed = list(self._changed())
        for scope, one, number in changed:
            if issue := self._there(number):
                self._rewrite(scope, one, issue)
        if changed:
            kept = self.entry.filed | {one.marker: FiledIssue(number, one.digest) for _, one, number in changed}
            self.shelf.put(self.period.kind, replace(self.entry, filed=kept))
        return bool(changed)

    def numbers(self) -> dict[Scope, int]:
        """The issues that are known, by scope."""
        letters = self.found.bodies.items()
        return {scope: was.number for scope, one in letters if (was := self.entry.filed.get(one.marker))}

    def take_up(self) -> bool:
        """Claims a report that is done, for the sake of scopes that it does not have yet; whether that can be."""
        mine = replace(self.entry, claimed_at=self.claimant.now, claimed_by=self.claimant.name, done=False)
        if not self.shelf.try_put(self.period.kind, mine):
            return False
        self.entry = mine
        return True

    @property
    def lacks_some(self) -> bool:
        """Whether a scope has a letter and no issue."""
        return any(one.marker not in self.entry.filed for one in self.found.bodies.values())

    @property
    def _known(self) -> frozenset[int]:
        ours = (one.number for one in self.entry.filed.values())
        return frozenset((*ours, *self.entry.before.values(), *self.entry.closing.values()))

    def _changed(self) -> Iterator[tuple[Scope, IssueBody, int]]:
        for scope, one in self.found.bodies.items():
            was = self.entry.filed.get(one.marker)
            if was and was.digest != one.digest:
                yield scope, one, was.number

    def _placed(self, scope: Scope, one: IssueBody, there: Mapping[str, GitHubIssue]) -> GitHubIssue:
        """The issue of a letter: the one that an earlier run has left, with today's words, or a new one."""
        if found := there.get(one.marker):
            self._rewrite(scope, one, found)
            return found
        if self._has_created:
            self.desk.client.sleep(_BETWEEN_SECONDS)
        self._hold()
        self._has_created = True
        return self.desk.create(one, self._before(one))

    def _hold(self) -> None:
        """A claim that has become old, by waiting for rate limits, is made anew before anything is made by it."""
        if self.claimant.now - self.entry.claimed_at < CLAIM_DURATION:
            return
        found = self.shelf.reload(self.period.kind)
        mine = replace(self.entry, claimed_at=self.claimant.now)
        if found is None or not self.claimant.owns(found) or not self.shelf.try_put(self.period.kind, mine):
            raise OvertakenError
        self.entry = mine

    def _rewrite(self, scope: Scope, one: IssueBody, issue: GitHubIssue) -> None:
        """What is ours of an issue; one whose marks were taken away belongs to people."""
        body = issue.body.replace("\r\n", "\n")
        text = one.update_in(body, self._before(one))
        if text is not None and utf16_length(text) > MAX_BODY_UTF16_LENGTH:
            with suppress(TemplateError):  # people left no room: it stays as it is
                text = self.found.shorter(scope, utf16_length(text) - utf16_length(one.generated)).update_in(
                    body, self._before(one)
                )
        if text is not None and text != body and utf16_length(text) <= MAX_BODY_UTF16_LENGTH:
            self.desk.update(issue.number, one.title, text)

    def _close(self, there: Mapping[str, GitHubIssue], made: Iterable[GitHubIssue]) -> None:
        """The issues of the report before, unless somebody has work left in them; what cannot be closed stays open."""
        by_number = {issue.number: issue for issue in there.values()}
        new = {issue.number for issue in made}
        for key, number in self.entry.closing.items():
            with suppress(GitHubError):
                issue = None if number in new else by_number.get(number) or self._there(number)
                if issue and issue.is_open and _is_of(issue, key) and not has_open_tasks(issue.body):
                    self.desk.close(number)

    def _there(self, number: int) -> GitHubIssue | None:
        """An issue that was filed; None where somebody has deleted or transferred it."""
        with suppress(NotFoundError, MovedError):
            return self.desk.get_issue(number)
        return None

    def _before(self, one: IssueBody) -> int | None:
        return self.entry.before.get(scope_key_of(one.marker))


def _is_of(issue: GitHubIssue, key: str) -> bool:
    """Whether an issue is a report of a scope; numbers alone may lead to anything."""
    marker = marker_in(issue.body)
    return marker is not None and scope_key_of(marker) == key


@dataclass
class ReportRun:
    """The reports of one run. `asked`: a schedule or a person started it, so that what is filed is looked at again.

    `template`: reads the user's. `numbers`: the issues of this run by scope, once it has published.
    """

    desk: ReportIssueTracker
    settings: Settings
    run: Run
    asked: bool
    template: Callable[[Path], str]
    issue_numbers: dict[Scope, int] = field(default_factory=dict)

    @cached_property
    def _claimant(self) -> Claimant:
        return Claimant(self.run.repository, self.run.now, self.asked)

    @cached_property
    def _due(self) -> dict[PeriodKind, Period]:
        zone, day = self.settings.zone, self.settings.report_day
        return {
            kind: periods.due_period(kind, self.run.now, zone, day)
            for kind in PERIOD_KINDS
            if kind in self.settings.report
        }

    def claim(self, before: LedgerContents) -> Mapping[str, bytes]:
        """The ledger's file with this run's claim on every report that is due; nothing where none is."""
        return self._claimant.claims(before.files, self._due)

    def file(self, recorded: RunResult, ledger: Storage) -> Iterator[Outcome]:
        """Makes what this run has claimed, and writes anew what has changed of what was made before."""
        if self._due and not ledger.is_persistent:
            yield Outcome("report", "skipped", "it needs a ledger that this run can write, which tells who makes it")
            return
        shelf = ClaimStore(ledger, recorded.snapshot, self.run.repository)
        for period in self._due.values():
            entry = shelf.claim(period.kind)
            if entry and entry.period == period.name and (self._claimant.owns(entry) or self.asked):
                yield from self._told(period, entry, recorded, shelf)

    def _told(self, period: Period, entry: ReportClaim, recorded: RunResult, shelf: ClaimStore) -> Iterator[Outcome]:
        """One report; what fails is a warning where somebody looks at it, and a remark beside an event."""
        if not entry.done and not self._claimant.owns(entry):
            yield Outcome("report", "skipped", f"another run has begun that of {period.title} a moment ago")
            return
        try:
            yield from self._filed(period, entry, recorded, shelf)
        except OvertakenError:
            yield Outcome("report", "skipped", f"another run has taken over that of {period.title}")
        except (GitHubError, LedgerError) as problem:
            if not entry.done and isinstance(problem, ForbiddenError | NotFoundError | IssuesDisabledError):
                with suppress(LedgerError):
                    shelf.put(period.kind, replace(entry, refused=True))
            yield Outcome("report", "failed" if self.asked else "skipped", _advised(period, problem))

    def _filed(self, period: Period, entry: ReportClaim, recorded: RunResult, shelf: ClaimStore) -> Iterator[Outcome]:
        """Makes it, or brings it up to date."""
        from dora_metrics.pipeline.reports import render_reports  # noqa: PLC0415 - most runs make no report

        about = EVERY_REPOSITORY if self.settings.repositories else self.run.repository
        found = render_reports(recorded.results, about, period, self.settings, self.template)
        filing = IssueFiling(self.desk, shelf, self._claimant, period, entry, found)
        self.issue_numbers |= filing.numbers()
        if not entry.done or (filing.lacks_some and filing.take_up()):
            issues = filing.create_issues()
            self.issue_numbers |= {scope: issue.number for scope, issue in issues.items()}
            yield _made(period, issues.values(), found.rest)
        elif filing.update_issues():
            yield Outcome("report", "done", f"{period.title} says what is known by now")
        else:
            return
        if found.problem:
            yield Outcome("report", "failed", found.problem)


def _made(period: Period, issues: Iterable[GitHubIssue], rest: str) -> Outcome:
    """`week 47, 2026: #12`; GitHub makes no number in a summary a link by itself."""
    links = join_non_empty(", ", (link(Md(f"#{issue.number}"), issue.url) for issue in issues))
    if not links:
        return Outcome("report", "skipped", f"none of {period.title}: no production deployment or incident is known")
    return Outcome("report", "done", join_non_empty("; ", (md("{}: {}", period.title, links), md("{}", rest))))


def _advised(period: Period, problem: Exception) -> str:
    what = f"that of {period.title} could not be filed: {problem}"
    match problem:
        case IssuesDisabledError():
            return f"{what}; switch them on under Settings → General → Features, or set `report: off`"
        case ForbiddenError() | NotFoundError():
            return f"{what}; give the job `permissions: issues: write`, or set `report: off`"
        case _:
            return f"{what}; the next run goes on with it"
