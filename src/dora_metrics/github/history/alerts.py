"""Security alerts as vulnerabilities, the last changed first.

No workflow event reports alerts, so `sync` reads them. Alerts that GitHub does not show are unknown, which is not zero.
A leaked secret is never read, though GitHub may send it: the payload models have no field for it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from msgspec.structs import replace

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import SEVERITIES, Fact, Severity, Vulnerability
from dora_metrics.core.selection import AlertKind, selected_alert_kinds
from dora_metrics.core.services import only_service
from dora_metrics.errors import EventError
from dora_metrics.github import text
from dora_metrics.github.client import ForbiddenError, GitHubError, NotFoundError
from dora_metrics.github.history.pages import (
    HistoryPart,
    HistoryReader,
    IncrementalRead,
    PageStep,
    RefusedAlerts,
    ResultPage,
)
from dora_metrics.github.history.turns import is_its_turn
from dora_metrics.github.observation import Run
from dora_metrics.github.paging import PagesRead
from dora_metrics.github.payloads import (
    AlertPayload,
    CodeScanningAlertPayload,
    DependabotAlertPayload,
    SecretScanningAlertPayload,
    parse_payload,
)
from dora_metrics.github.queries import JsonObject

_PAGE_SIZE = 100
_REFUSAL_RETRY_DAYS = 7
_MAX_REASON_LENGTH = 300
_UNKNOWN_NUMBER = "?"


def alert_kinds_to_read(reader: HistoryReader) -> tuple[AlertKind, ...]:
    """Return the kinds of alerts to read in this run.

    A kind that `auto` selects and GitHub refused is tried again once a week, or if a person starts the run. Other runs
    spend no request on it.
    """
    setting = reader.request.settings.security
    kinds = selected_alert_kinds(setting)
    return tuple(kind for kind in kinds if kind in setting or not _is_skipped(reader, kind))


def _is_skipped(reader: HistoryReader, kind: AlertKind) -> bool:
    return not reader.run.is_manual and _is_recently_refused(reader, reader.cursor(kind))


def _is_recently_refused(reader: HistoryReader, cursor: Cursor) -> bool:
    if cursor.refused_at is None:
        return False
    return not is_its_turn(cursor.refused_at, reader.repository.number, _REFUSAL_RETRY_DAYS, reader.run.now)


def read_alerts(reader: HistoryReader, kind: AlertKind) -> Iterator[HistoryPart | RefusedAlerts]:
    """Read alerts with one request, and one more for every 100 that have changed.

    If some could not be parsed, a run that a person starts reads all of them again.

    Raises:
        GitHubError: if GitHub does not answer; a refusal is yielded as `RefusedAlerts`.
    """
    previous = reader.cursor(kind)
    cursor = start = replace(previous, refused=None, refused_at=None)
    if previous.unread and reader.run.is_manual:
        start = Cursor(read_at=previous.read_at)
    alerts = _AlertList(reader, kind, set(start.unread) - {_UNKNOWN_NUMBER}, start.unread_because)
    read = IncrementalRead(lambda: alerts.pages(None), alerts.pages, "updated_at", start, reader.request.since)
    try:
        for step in read.steps():
            cursor = alerts.with_unread(_next_cursor(reader, previous, step))
            facts = tuple(node["fact"] for node in step.nodes if node["fact"])
            yield HistoryPart(kind, facts, cursor, step.reached, step.is_complete)
    except (ForbiddenError, NotFoundError) as problem:
        yield _refused_alerts(reader, kind, cursor, problem)


def read_changed_alerts(reader: HistoryReader, kind: AlertKind, items: Sequence[JsonObject]) -> Iterator[HistoryPart]:
    """Yield alerts that are already read, such as those in the list of an organisation.

    Where the next reading of the repository's own list starts does not change.
    """
    previous = reader.cursor(kind)
    alerts = _AlertList(reader, kind, set(previous.unread) - {_UNKNOWN_NUMBER}, previous.unread_because)
    facts = tuple(node["fact"] for node in alerts.nodes(items) if node["fact"])
    has_any = items or previous.newest or previous.read_at
    read_at = _read_time(reader, previous) if has_any else None
    cursor = alerts.with_unread(replace(previous, read_at=read_at))
    yield HistoryPart(kind, facts, cursor, cursor.reached, is_complete=True)


def alert_parameters(kind: AlertKind) -> dict[str, object]:
    """Return the parameters of a list of alerts, the last changed first.

    Secrets are requested without the secret itself:
    https://docs.github.com/en/rest/secret-scanning/secret-scanning.
    """
    secret_parameters = {"hide_secret": "true"} if kind == "secret-scanning" else {}
    return {"sort": "updated", "direction": "desc", "per_page": _PAGE_SIZE, **secret_parameters}


def _next_cursor(reader: HistoryReader, previous: Cursor, step: PageStep) -> Cursor:
    """Return the cursor after a step; a complete reading updates `read_at`."""
    is_read = step.is_complete and step.cursor.newest
    return replace(step.cursor, read_at=_read_time(reader, previous) if is_read else previous.read_at)


def _read_time(reader: HistoryReader, previous: Cursor) -> datetime:
    """Return when alerts were read to the end: the present, but the same time all day.

    A sync that reads nothing new must write nothing.
    """
    read_at, now = previous.read_at, reader.run.now
    return now if read_at is None or read_at.date() != now.date() else read_at


def _refused_alerts(reader: HistoryReader, kind: AlertKind, cursor: Cursor, problem: GitHubError) -> RefusedAlerts:
    """Return the refusal. The same refusal keeps its time, so that a sync that reads nothing new writes nothing."""
    reason = f"{problem.status}, {text.one_line(str(problem))[:_MAX_REASON_LENGTH].rstrip('.')}"
    previous = reader.cursor(kind)
    is_same = previous.refused == reason and _is_recently_refused(reader, previous)
    refused_at = previous.refused_at if is_same else reader.run.now
    is_requested = kind in reader.request.settings.security
    return RefusedAlerts(kind, replace(cursor, refused=reason, refused_at=refused_at), is_requested)


@dataclass
class _AlertList:
    """A list of alerts, parsed page by page.

    `unread_numbers` are those that could not be parsed, `unread_reason` says why, and `unnumbered_count` is how many of
    them have no number.
    """

    reader: HistoryReader
    kind: AlertKind
    unread_numbers: set[str]
    unread_reason: str | None
    unnumbered_count: int = 0

    def pages(self, page_token: str | None) -> Iterator[ResultPage]:
        """Yield the pages from a token on, the last changed alerts first."""
        path, parameters = f"/repos/{self.reader.repository.name}/{self.kind}/alerts", alert_parameters(self.kind)
        pages_read = PagesRead(f"{self.kind} alerts")
        while True:
            pages_read.add(page_token)
            items, page_token = self.reader.client.get_page(path, parameters, page_token)
            yield ResultPage(tuple(self.nodes(items)), page_token)
            if page_token is None:
                return

    def with_unread(self, cursor: Cursor) -> Cursor:
        """Return the cursor with the alerts that could not be parsed, so that every run can report them."""
        unread_numbers = (*sorted(self.unread_numbers), *[_UNKNOWN_NUMBER] * self.unnumbered_count)
        return replace(cursor, unread=unread_numbers, unread_because=self.unread_reason if unread_numbers else None)

    def nodes(self, items: Sequence[Any]) -> Iterator[JsonObject]:
        """Yield when each alert changed and its fact, None for one that is too old or does not count."""
        for item in items:
            try:
                alert, fact = self._parse(item)
            except EventError as problem:
                self._add_unreadable(item)
                self.unread_reason = text.one_line(problem.problems[0])[:_MAX_REASON_LENGTH]
                continue
            self.unread_numbers.discard(str(alert.number))
            is_too_old = self.reader.request.is_too_old(alert.changed_at)
            yield {"updated_at": alert.changed_at.isoformat(), "fact": None if is_too_old else fact}

    def _add_unreadable(self, item: object) -> None:
        number = item.get("number") if isinstance(item, Mapping) else None
        if isinstance(number, int):
            self.unread_numbers.add(str(number))
        else:
            self.unnumbered_count += 1

    def _parse(self, item: JsonObject) -> tuple[AlertPayload, Fact | None]:
        run, branch = self.reader.run, self.reader.repository.default_branch
        match self.kind:
            case "dependabot":
                dependency = parse_payload(DependabotAlertPayload, item)
                return dependency, self._prepare_fact(dependabot_vulnerability(run, dependency), dependency.path)
            case "code-scanning":
                code = parse_payload(CodeScanningAlertPayload, item)
                return code, self._prepare_fact(code_scanning_vulnerability(run, code, branch), code.path)
            case _:
                secret = parse_payload(SecretScanningAlertPayload, item)
                return secret, self._prepare_fact(secret_scanning_vulnerability(run, secret), None)

    def _prepare_fact(self, fact: Vulnerability | None, path: str | None) -> Fact | None:
        """Return the fact as it is recorded; in a monorepo, with the only service that the file belongs to."""
        services = self.reader.request.settings.policy.services
        service = only_service(services.touched_by([path])) if fact and path and services else None
        return self.reader.prepare_fact(replace(fact, service=service)) if fact else None


def dependabot_vulnerability(run: Run, alert: DependabotAlertPayload) -> Vulnerability:
    """Return a dependency with a known vulnerability; a newer version of it is the fix."""
    end = _alert_end(alert, alert.fixed_at, alert.dismissed_at or alert.auto_dismissed_at)
    vulnerability = _vulnerability(run, "dependabot", alert, end)
    severity = _severity_or_none(alert.severity)
    return replace(vulnerability, severity=severity, package=text.truncate_title(alert.package))


def code_scanning_vulnerability(run: Run, alert: CodeScanningAlertPayload, branch: str | None) -> Vulnerability | None:
    """Return a weakness in the code of the default branch; None for other branches and for findings about quality.

    A finding of CodeQL or another tool without a security severity concerns style or correctness.
    """
    ref = alert.most_recent_instance and alert.most_recent_instance.ref
    if alert.rule.security_severity_level is None or (ref and branch and ref != f"refs/heads/{branch}"):
        return None
    vulnerability = _vulnerability(run, "code-scanning", alert, _alert_end(alert, alert.fixed_at, alert.dismissed_at))
    severity, rule = _severity_or_none(alert.rule.security_severity_level), alert.rule.id or alert.rule.name
    return replace(vulnerability, severity=severity, package=text.truncate_title(rule))


def secret_scanning_vulnerability(run: Run, alert: SecretScanningAlertPayload) -> Vulnerability:
    """Return a leaked secret. It is critical, since GitHub gives no severity, and fixed once it is revoked.

    If it was closed for any other reason, it was not a secret, or nobody intends to revoke it.
    """
    assumed_closed_at = alert.changed_at if alert.state == "resolved" else None
    closed_at = None if alert.state == "open" else alert.resolved_at or assumed_closed_at
    end = AlertEnd(fixed_at=closed_at) if alert.resolution == "revoked" else AlertEnd(dismissed_at=closed_at)
    vulnerability = _vulnerability(run, "secret-scanning", alert, end)
    return replace(vulnerability, severity="critical", package=text.truncate_title(alert.secret_type_display_name))


class AlertEnd(NamedTuple):
    """When an alert was fixed or dismissed; both are None while it is open."""

    fixed_at: datetime | None = None
    dismissed_at: datetime | None = None


def _alert_end(alert: AlertPayload, fixed_at: datetime | None, dismissed_at: datetime | None) -> AlertEnd:
    """Return the end of an alert by its state; by the times if the state is unknown.

    The times alone are not enough: they may remain from an earlier state.
    """
    match alert.state:
        case "open":
            return AlertEnd()
        case "fixed":
            return AlertEnd(fixed_at=fixed_at or alert.changed_at)
        case "dismissed" | "auto_dismissed":
            return AlertEnd(dismissed_at=dismissed_at or alert.changed_at)
        case _:
            return AlertEnd(fixed_at, dismissed_at)


def _vulnerability(run: Run, kind: str, alert: AlertPayload, end: AlertEnd) -> Vulnerability:
    return Vulnerability(
        id=ids.alert(kind, run.repository, alert.number),
        repository=run.repository,
        source="github",
        observed_at=alert.changed_at,
        url=text.first_http_url(alert.html_url),
        detected_at=alert.created_at,
        fixed_at=end.fixed_at,
        dismissed_at=end.dismissed_at,
    )


def _severity_or_none(name: str | None) -> Severity | None:
    """Return one of our severities; None for any other, so that it is counted as unknown."""
    severity_name = "medium" if name == "moderate" else name
    return next((severity for severity in SEVERITIES if severity == severity_name), None)
