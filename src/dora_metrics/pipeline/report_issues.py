"""File the periodic reports as issues: claim them in the ledger, create, update and close their issues.

Only one run can change the ledger at a time, so a claim in it decides which run creates a report's issues.
"""

import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dora_metrics.core import periods
from dora_metrics.core.ledger.layout import REPORTS_FILE, LedgerContents
from dora_metrics.core.ledger.snapshot import Snapshot
from dora_metrics.core.markdown import Md, join_non_empty, md, number_link
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.periods import PERIOD_KINDS, Period, PeriodKind
from dora_metrics.core.reports.periodic import claims
from dora_metrics.core.reports.periodic.claims import (
    CLAIM_RENEWAL,
    FiledIssue,
    KindClaims,
    OpenIssue,
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
from dora_metrics.core.reports.sandbox import TemplateError
from dora_metrics.core.scope import Scope
from dora_metrics.errors import LedgerError
from dora_metrics.github.client import ForbiddenError, GitHubError, MovedError, NotFoundError
from dora_metrics.github.issues import GitHubIssue, IssuesDisabledError, ReportIssueTracker
from dora_metrics.github.observation import Run
from dora_metrics.pipeline.plan import RunResult
from dora_metrics.settings.model import EVERY_REPOSITORY, Settings
from dora_metrics.storage.base import Storage, attempts

if TYPE_CHECKING:
    from dora_metrics.pipeline.reports import DueReports, RenderedReports, ReportSubject

_MAX_TRIES = 3
_MESSAGE = "Record who makes the report, and its issues"

_MISSING = (
    "GitHub did not return issue {} (the report of {}), so it was not updated: somebody deleted or transferred it, or "
    "GitHub has a problem; the next scheduled run looks again"
)
_UNCLOSED = "issue {} of an earlier report is still open: {}; the next scheduled run tries again"
_UNSEEN = (
    "GitHub did not return issue {} of an earlier report, so it was not closed: somebody deleted or transferred it, or "
    "GitHub has a problem; {}"
)
_UNSEEN_LAST = "if it is still open, close it by hand"
_MAX_UNSEEN = 3
"""Runs to which GitHub did not return an issue, after which it counts as gone."""
_UNCLOSED_SURPLUS = "issue {} holds the same report as another one and could not be closed: {}; close it by hand"
_PAUSE_BETWEEN_ISSUES_SECONDS = 1.0
"""GitHub asks for that much between requests that notify people."""


class OvertakenError(Exception):
    """Another run creates the report."""


@dataclass
class ReportRun:
    """The reports of one run.

    Attributes:
        tracker: the issues of the repository.
        settings: which reports are on, and when they are due.
        run: the workflow run.
        is_requested: whether a schedule or a person started the run, so that filed reports are brought up to date.
        read_template: reads the user's template by its path.
        monotonic: the seconds of a clock that never goes back.
        issue_numbers: the issues of this run by scope, once it has filed them. Several scopes may share one.
    """

    tracker: ReportIssueTracker
    settings: Settings
    run: Run
    is_requested: bool
    read_template: Callable[[Path], str]
    monotonic: Callable[[], float] = time.monotonic
    issue_numbers: dict[Scope, int] = field(default_factory=dict)

    @cached_property
    def _claimant(self) -> "Claimant":
        started_seconds = self.monotonic()

        def clock() -> datetime:
            """The start of the run, and the seconds since then."""
            return self.run.now + timedelta(seconds=self.monotonic() - started_seconds)

        return Claimant(self.is_requested, clock)

    @cached_property
    def _due(self) -> dict[PeriodKind, Period]:
        zone, day = self.settings.zone, self.settings.report_day
        kinds = (kind for kind in PERIOD_KINDS if kind in self.settings.report)
        return {kind: periods.due_period(kind, self.run.now, zone, day) for kind in kinds}

    def claim(self, contents: LedgerContents) -> Mapping[str, bytes]:
        """The ledger's file with this run's claim on every report that is due; empty if there is none to claim."""
        return self._claimant.claim_due(contents.files, contents.names.stable_name(self.run.repository), self._due)

    def file(self, result: RunResult) -> Iterator[Outcome]:
        """Create the reports that this run has claimed, and update those that were filed before."""
        if self._due and not result.storage.is_persistent:
            yield Outcome("report", "skipped", "a report needs a ledger that this run can write")
            return
        names = result.merge.after.names
        store = ClaimStore(result.storage, result.snapshot, names.stable_name(self.run.repository))
        for period in self._due.values():
            claim = store.claim(period.kind)
            is_current = claim is not None and claim.period == period.name
            if claim and is_current and (self._claimant.owns(claim) or self.is_requested):
                yield from self._file_safely(period, claim, result, store)

    def _file_safely(
        self, period: Period, claim: ReportClaim, result: RunResult, store: "ClaimStore"
    ) -> Iterator[Outcome]:
        """File one report; a failure is a warning in a requested run, and a remark in the run of an event."""
        if not claim.done and not self._claimant.owns(claim):
            yield Outcome("report", "skipped", f"{period.title}: another run is filing it")
            return
        try:
            yield from self._file(period, claim, result, store)
        except OvertakenError:
            yield Outcome("report", "skipped", f"{period.title}: another run has taken it over")
        except (GitHubError, LedgerError, TemplateError) as error:
            if not claim.done and isinstance(error, ForbiddenError | NotFoundError | IssuesDisabledError):
                with suppress(LedgerError):
                    store.put(period.kind, replace(claim, refused=True))
            yield Outcome("report", "failed" if self.is_requested else "skipped", _failure_text(period, error))

    def _file(self, period: Period, claim: ReportClaim, result: RunResult, store: "ClaimStore") -> Iterator[Outcome]:
        filing = IssueFiling(self.tracker, store, self._claimant, claim, self._due_reports(period, result, store))
        self._note_numbers(filing.known_numbers())
        outcomes = tuple(self._create_or_update_issues(filing))
        yield from outcomes
        if outcomes and filing.reports.problem:
            yield Outcome("report", "failed", filing.reports.problem)

    def _due_reports(self, period: Period, result: RunResult, store: "ClaimStore") -> "DueReports":
        from dora_metrics.pipeline.reports import DueReports, page_address  # noqa: PLC0415 - most runs file no report

        present_name = result.merge.after.names.present_name(self.run.repository)
        return DueReports(
            results=result.results,
            repository=EVERY_REPOSITORY if self.settings.covers_several_repositories else present_name,
            period=period,
            settings=self.settings,
            read_template=self.read_template,
            host=store.repository,
            page=page_address(self.settings, self.run),
        )

    def _note_numbers(self, numbers: Mapping["ReportSubject", int]) -> None:
        self.issue_numbers |= {scope: number for subject, number in numbers.items() for scope in subject.scopes}

    def _create_or_update_issues(self, filing: "IssueFiling") -> Iterator[Outcome]:
        """Create the issues of a report, or update those that were filed before."""
        if not filing.claim.done or (filing.has_unfiled_scopes and filing.try_reclaim()):
            issues = filing.create_issues()
            self._note_numbers({subject: issue.number for subject, issue in issues.items()})
            if issues or not filing.refusals:
                yield _created(filing, issues.values())
        elif filing.update_issues():
            yield Outcome("report", "done", f"{filing.period.title} is up to date")
        for number in filing.missing_numbers.values():
            yield Outcome("report", "skipped", _MISSING.format(number, filing.period.title))
        for note in filing.unseen_notes():
            yield Outcome("report", "skipped", note)
        for problem in filing.problems():
            yield Outcome("report", "failed" if self.is_requested else "skipped", problem)


@dataclass(frozen=True)
class Claimant:
    """A run that claims reports, under a random name.

    Attributes:
        is_requested: whether a schedule or a person started it.
        clock: the current time.
        name: the name in its claims.
    """

    is_requested: bool
    clock: Callable[[], datetime]
    name: str = field(default_factory=lambda: secrets.token_hex(8))

    def claim_due(
        self, files: Mapping[str, bytes], repository: str, due: Mapping[PeriodKind, Period]
    ) -> dict[str, bytes]:
        """The ledger's file with a claim on every report of a repository that is due and free; empty without any."""
        existing = repository_claims(files, repository)
        new: KindClaims = {}
        for kind, period in due.items():
            if claim := claims.claim_report(existing, period, self.name, self.clock(), is_requested=self.is_requested):
                new[str(kind)] = claim
        return _with_claims(files, repository, new)

    def owns(self, claim: ReportClaim) -> bool:
        """Whether a claim is this run's, and its report is not filed yet."""
        return claim.claimed_by == self.name and not claim.done


def repository_claims(files: Mapping[str, bytes], repository: str) -> KindClaims:
    """The claims of one of the repositories that share a ledger, by its first known name."""
    return claims.decode_claims(files.get(REPORTS_FILE, b"")).get(repository, {})


def _with_claims(files: Mapping[str, bytes], repository: str, new: KindClaims) -> dict[str, bytes]:
    """The ledger's file with new claims of a repository; empty without any."""
    existing = claims.decode_claims(files.get(REPORTS_FILE, b""))
    merged = {**existing.get(repository, {}), **new}
    return {REPORTS_FILE: claims.encode_claims({**existing, repository: merged})} if new else {}


@dataclass
class ClaimStore:
    """The claims of one repository in a ledger, as this run last read them. `repository` is its first known name."""

    storage: Storage
    snapshot: Snapshot
    repository: str

    def claim(self, kind: PeriodKind) -> ReportClaim | None:
        return repository_claims(self.snapshot.files, self.repository).get(kind)

    def reload(self) -> None:
        """Read the ledger again.

        Raises:
            LedgerError: if it cannot be read.
        """
        self.snapshot = self.storage.read(self.snapshot.months)

    def try_put(self, kind: PeriodKind, claim: ReportClaim) -> bool:
        """Write a claim, unless another run has changed the ledger since it was read.

        Raises:
            LedgerError: if it cannot be written.
        """
        files = _with_claims(self.snapshot.files, self.repository, {kind: claim})
        written = self.storage.write(self.snapshot, files, _MESSAGE)
        self.snapshot = written or self.snapshot
        return written is not None

    def put(self, kind: PeriodKind, claim: ReportClaim) -> None:
        """Write a claim on top of what other runs have written in the meantime.

        Raises:
            LedgerError: if it cannot be written.
        """
        for _ in attempts(_MAX_TRIES):
            if self.try_put(kind, claim):
                return
            self.reload()
        raise LedgerError("other runs kept changing the ledger; the next run finds the issue by its marker")


@dataclass
class IssueFiling:
    """The reports of one period, and the issues that hold them.

    Attributes:
        existing_markers: the reports that have an issue, besides those in the claim, once the issues were read.
        refusals: the subjects whose issue GitHub refused, such as for its text. The next requested run tries again.
        missing_numbers: the issues that GitHub did not show, by subject. The next requested run looks again.
        unclosed: the issues that are to be closed and could not be, by number, with the reason.
        unseen: the issues that are to be closed and that GitHub did not show.
        foreign_issues: issues that say that they hold one of these reports, by accounts whose word does not count.
    """

    tracker: ReportIssueTracker
    store: ClaimStore
    claimant: Claimant
    claim: ReportClaim
    due: "DueReports"
    existing_markers: Collection[str] = ()
    refusals: dict["ReportSubject", GitHubError] = field(default_factory=dict)
    missing_numbers: dict["ReportSubject", int] = field(default_factory=dict)
    unclosed: dict[int, GitHubError] = field(default_factory=dict)
    unseen: list[OpenIssue] = field(default_factory=list)
    foreign_issues: Sequence[GitHubIssue] = ()
    _has_created: bool = False

    @property
    def period(self) -> Period:
        return self.due.period

    @property
    def reports(self) -> "RenderedReports":
        """The reports, in the form of those that were filed before."""
        return self.due.render(self.claim.filed, self.existing_markers)

    def create_issues(self) -> dict["ReportSubject", GitHubIssue]:
        """Create the issues that do not exist yet, close those of the previous report, and record both.

        Raises:
            GitHubError: if GitHub refuses all issues or does not answer.
            LedgerError: if nothing can be recorded.
            OvertakenError: if another run has taken over the report.
        """
        report_issues = self.tracker.find_reports(self._recorded_numbers)
        existing = report_issues.by_marker
        self.existing_markers = existing.keys()
        self.foreign_issues = [
            issue for body in self.reports.bodies.values() if (issue := report_issues.foreign.get(body.marker))
        ]
        issues: dict[ReportSubject, GitHubIssue] = {}
        for subject, body in self.reports.bodies.items():
            with self._noting_refusal(subject):
                issues[subject] = self._place(subject, body, existing)
        left_open = self._close_earlier(self._to_close, existing, {issue.number for issue in issues.values()})
        self._close_surplus(report_issues.surplus)
        bodies = self.reports.bodies
        filed = {bodies[key].marker: FiledIssue(each.number, bodies[key].digest) for key, each in issues.items()}
        complete = replace(complete_claim(self.claim, filed), closing=self._kept_open, left_open=left_open)
        self.store.put(self.period.kind, complete)
        return issues

    def update_issues(self) -> bool:
        """Rewrite the issues whose report has changed, and close what could not be closed; return whether any changed.

        Raises:
            GitHubError: if GitHub refuses all issues or does not answer.
            LedgerError: if it cannot be recorded.
        """
        changed = list(self._changed_bodies())
        for subject, body, number in changed:
            with self._noting_refusal(subject):
                if issue := self._issue(number):
                    self._rewrite(subject, body, issue)
                else:
                    self.missing_numbers[subject] = number
        untaken = self.refusals.keys() | self.missing_numbers.keys()
        taken = [(body, number) for subject, body, number in changed if subject not in untaken]
        rewritten = {body.marker: FiledIssue(number, body.digest) for body, number in taken}
        left_open = self._close_earlier(self.claim.left_open, {}, {filed.number for filed in self.claim.filed.values()})
        updated = replace(self.claim, filed=self.claim.filed | rewritten, left_open=left_open)
        if updated != self.claim:
            self.store.put(self.period.kind, updated)
        return bool(taken)

    def problems(self) -> Iterator[str]:
        """Say which issues GitHub refused, and which are still open."""
        for subject, error in self.refusals.items():
            yield _refusal_text(self.period, subject, error)
        to_close_again = {issue.number for issue in self._to_close}
        for number, error in self.unclosed.items():
            yield (_UNCLOSED if number in to_close_again else _UNCLOSED_SURPLUS).format(number, error)

    @contextmanager
    def _noting_refusal(self, subject: "ReportSubject") -> Iterator[None]:
        """Go on with the other issues when GitHub refuses one; a permission, limit or outage concerns them all.

        Raises:
            GitHubError: if it concerns them all.
        """
        try:
            yield
        except GitHubError as error:
            if type(error) is not GitHubError:
                raise
            self.refusals[subject] = error

    @property
    def _kept_open(self) -> dict[str, int]:
        """The previous issues of refused subjects, which are closed once there is a new one."""
        refused = {scope_key_of(self.reports.bodies[subject].marker) for subject in self.refusals}
        is_kept = self._all_scopes_key in refused
        return {key: number for key, number in self.claim.closing.items() if is_kept or key in refused}

    @property
    def _to_close(self) -> tuple[OpenIssue, ...]:
        """The issues of earlier reports to close now."""
        replaced = self.claim.closing.items() - self._kept_open.items()
        return (*self.claim.left_open, *(OpenIssue(number, key) for key, number in replaced))

    @property
    def _all_scopes_key(self) -> str:
        return scope_key_of(self.due.all_scopes_marker)

    def known_numbers(self) -> dict["ReportSubject", int]:
        """The issues that were filed before."""
        bodies = self.reports.bodies.items()
        return {subject: filed.number for subject, body in bodies if (filed := self.claim.filed.get(body.marker))}

    def try_reclaim(self) -> bool:
        """Claim a filed report again, for scopes that have no issue yet; return whether that succeeded."""
        claim = replace(self.claim, claimed_at=self.claimant.clock(), claimed_by=self.claimant.name, done=False)
        if not self.store.try_put(self.period.kind, claim):
            return False
        self.claim = claim
        return True

    @property
    def has_unfiled_scopes(self) -> bool:
        """Whether a scope has a report and no issue."""
        return any(body.marker not in self.claim.filed for body in self.reports.bodies.values())

    @property
    def _recorded_numbers(self) -> frozenset[int]:
        """Every issue that the ledger knows to hold a report."""
        filed = (issue.number for issue in self.claim.filed.values())
        left_open = (issue.number for issue in self.claim.left_open)
        return frozenset((*filed, *self.claim.before.values(), *self.claim.closing.values(), *left_open))

    def _changed_bodies(self) -> Iterator[tuple["ReportSubject", IssueBody, int]]:
        for subject, body in self.reports.bodies.items():
            filed = self.claim.filed.get(body.marker)
            if filed and filed.digest != body.digest:
                yield subject, body, filed.number

    def _place(self, subject: "ReportSubject", body: IssueBody, existing: Mapping[str, GitHubIssue]) -> GitHubIssue:
        """The issue of a report: one that an earlier run created, rewritten, or a new one."""
        if issue := existing.get(body.marker):
            self._rewrite(subject, body, issue)
            return issue
        if self._has_created:
            self.tracker.client.sleep(_PAUSE_BETWEEN_ISSUES_SECONDS)
        self._renew_claim()
        self._has_created = True
        with self.tracker.client.waiting_at_most(CLAIM_RENEWAL):
            return self.tracker.create(body, self._previous_issue(body))

    def _renew_claim(self) -> None:
        """Renew a claim that became old while the run waited for rate limits, before anything is created.

        Raises:
            OvertakenError: if another run has taken it over.
            LedgerError: if it cannot be written.
        """
        if self.claimant.clock() - self.claim.claimed_at < CLAIM_RENEWAL:
            return
        self.store.reload()
        current = self.store.claim(self.period.kind)
        renewed = replace(self.claim, claimed_at=self.claimant.clock())
        is_own = current is not None and self.claimant.owns(current)
        if not is_own or not self.store.try_put(self.period.kind, renewed):
            raise OvertakenError
        self.claim = renewed

    def _rewrite(self, subject: "ReportSubject", body: IssueBody, issue: GitHubIssue) -> None:
        """Replace the generated part of an issue; an issue without its marks belongs to people and stays."""
        previous = self._previous_issue(body)
        present = issue.body.replace("\r\n", "\n")
        text = body.update_in(present, previous)
        if text is not None and utf16_length(text) > MAX_BODY_UTF16_LENGTH:
            user_length = utf16_length(text) - utf16_length(body.generated)
            with suppress(TemplateError):  # people left no room, so the issue stays as it is
                text = self.reports.shorter(subject, user_length).update_in(present, previous)
        if text is not None and text != present and utf16_length(text) <= MAX_BODY_UTF16_LENGTH:
            self.tracker.update(issue.number, body.title, text)

    def _close_earlier(
        self, earlier: Sequence[OpenIssue], existing: Mapping[str, GitHubIssue], own_numbers: Collection[int]
    ) -> tuple[OpenIssue, ...]:
        """Close issues of earlier reports without open tasks, but for this report's; return those to look at again."""
        existing_by_number = {issue.number: issue for issue in existing.values()}
        for each in earlier:
            with self._noting_unclosed(each.number):
                is_own = each.number in own_numbers
                issue = None if is_own else existing_by_number.get(each.number) or self._earlier_issue(each)
                if issue and issue.is_open and _is_report_of(issue, each.scope_key) and not has_open_tasks(issue.body):
                    self.tracker.close(issue.number)
        unclosed = (each for each in earlier if each.number in self.unclosed)
        return (*unclosed, *(each for each in self.unseen if each.unseen_count < _MAX_UNSEEN))

    def _earlier_issue(self, earlier: OpenIssue) -> GitHubIssue | None:
        """An issue to close; None if GitHub does not show it, which is noted unless somebody has deleted it."""
        try:
            return self.tracker.get_issue(earlier.number)
        except (NotFoundError, MovedError) as error:
            if error.status != HTTPStatus.GONE:
                self.unseen.append(replace(earlier, unseen_count=earlier.unseen_count + 1))
            return None

    def unseen_notes(self) -> Iterator[str]:
        """Say which issues could not be closed because GitHub did not show them."""
        for each in self.unseen:
            is_last = each.unseen_count >= _MAX_UNSEEN
            yield _UNSEEN.format(each.number, _UNSEEN_LAST if is_last else "the next scheduled run looks again")

    def _close_surplus(self, surplus: Iterable[GitHubIssue]) -> None:
        """Close what a killed run of this account created and another account, which could not trust it, made again."""
        for issue in surplus:
            if not has_open_tasks(issue.body):
                with self._noting_unclosed(issue.number):
                    self.tracker.close(issue.number)

    @contextmanager
    def _noting_unclosed(self, number: int) -> Iterator[None]:
        try:
            yield
        except GitHubError as error:
            self.unclosed[number] = error

    def _issue(self, number: int) -> GitHubIssue | None:
        """An issue that was filed; None if somebody has deleted or transferred it, or GitHub says so by mistake."""
        with suppress(NotFoundError, MovedError):
            return self.tracker.get_issue(number)
        return None

    def _previous_issue(self, body: IssueBody) -> int | None:
        """The issue of the report before: of its subject or, if reports had the other form then, one that covers it."""
        before, key = self.claim.before, scope_key_of(body.marker)
        numbers = before.values() if key == self._all_scopes_key else map(before.get, (key, self._all_scopes_key))
        return max((number for number in numbers if number), default=None)


def _is_report_of(issue: GitHubIssue, scope_key: str) -> bool:
    """Whether an issue holds a report of a scope; its number alone could belong to any issue."""
    marker = marker_in(issue.body)
    return marker is not None and scope_key_of(marker) == scope_key


def _created(filing: IssueFiling, issues: Iterable[GitHubIssue]) -> Outcome:
    """`week 47, 2026: #12`; a number in a summary needs a link, since GitHub makes none."""
    period, links = filing.period, join_non_empty(", ", map(_issue_link, issues))
    if not links:
        return Outcome("report", "skipped", f"none for {period.title}: no production deployment is recorded")
    parts = [md("{}: {}", period.title, links), md("{}", filing.reports.remark)]
    if foreign_links := join_non_empty(", ", map(_issue_link, filing.foreign_issues)):
        advice = "{}, by another account, claims to be the same report: close it unless you want both"
        parts.append(md(advice, foreign_links))
    return Outcome("report", "done", join_non_empty("; ", parts))


def _issue_link(issue: GitHubIssue) -> Md:
    return number_link(issue.number, issue.url)


def _refusal_text(period: Period, subject: "ReportSubject", error: GitHubError) -> str:
    return f"{period.title}, {subject.name} was not filed: {error}; the next scheduled run tries again"


def _failure_text(period: Period, error: Exception) -> str:
    problem = f"{period.title} was not filed: {error}"
    match error:
        case IssuesDisabledError():
            return f"{problem}; switch issues on under Settings → General → Features, or set `report: off`"
        case ForbiddenError() | NotFoundError():
            return f"{problem}; give the job `permissions: issues: write`, or set `report: off`"
        case _:
            return f"{problem}; the next run tries again"
