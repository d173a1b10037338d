"""Security alerts of a kind, the newest changes first; those that GitHub does not tell are unknown, and not none.

Security alerts become vulnerabilities. No event of a workflow tells of them, so `sync` reads them.

A leaked secret is never read, though GitHub may send it: the payloads have no field for it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from msgspec.structs import replace

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import SEVERITIES, Fact, Severity, Vulnerability
from dora_metrics.core.selection import AlertKind, selected_alert_kinds
from dora_metrics.errors import EventError
from dora_metrics.github import compare, text
from dora_metrics.github.client import ForbiddenError, GitHubError, NotFoundError
from dora_metrics.github.history.pages import (
    HistoryPart,
    HistoryReader,
    IncrementalRead,
    PageStep,
    RefusedAlerts,
    ResultPage,
)
from dora_metrics.github.observation import Run
from dora_metrics.github.payloads import (
    AlertPayload,
    CodeScanningAlertPayload,
    DependabotAlertPayload,
    SecretScanningAlertPayload,
    parse_payload,
)


def dependabot_vulnerability(run: Run, alert: DependabotAlertPayload) -> Vulnerability:
    """A dependency with a known vulnerability; what fixes it is a newer version of it."""
    alert_end = _alert_end(alert, alert.fixed_at, alert.dismissed_at or alert.auto_dismissed_at)
    vulnerability = _vulnerability(run, "dependabot", alert, alert_end)
    return replace(
        vulnerability, severity=_severity_or_none(alert.severity), package=text.truncate_title(alert.package)
    )


def code_scanning_vulnerability(run: Run, alert: CodeScanningAlertPayload, branch: str | None) -> Vulnerability | None:
    """A weakness in the code of the default branch; None elsewhere, and for a finding about quality.

    What CodeQL and others find without a security severity is a matter of style or correctness.
    """
    ref = alert.most_recent_instance and alert.most_recent_instance.ref
    if alert.rule.security_severity_level is None or (ref and branch and ref != f"refs/heads/{branch}"):
        return None
    vulnerability = _vulnerability(run, "code-scanning", alert, _alert_end(alert, alert.fixed_at, alert.dismissed_at))
    severity, rule = _severity_or_none(alert.rule.security_severity_level), alert.rule.id or alert.rule.name
    return replace(vulnerability, severity=severity, package=text.truncate_title(rule))


def secret_scanning_vulnerability(run: Run, alert: SecretScanningAlertPayload) -> Vulnerability:
    """A leaked secret: critical, as GitHub has no severity for it; fixed once it is revoked, by no deployment.

    Closed for any other reason it was no secret, or is none that anybody means to revoke.
    """
    assumed_closed_at = alert.changed_at if alert.state == "resolved" else None
    closed_at = None if alert.state == "open" else alert.resolved_at or assumed_closed_at
    alert_end = AlertEnd(fixed_at=closed_at) if alert.resolution == "revoked" else AlertEnd(dismissed_at=closed_at)
    vulnerability = _vulnerability(run, "secret-scanning", alert, alert_end)
    return replace(vulnerability, severity="critical", package=text.truncate_title(alert.secret_type_display_name))


class AlertEnd(NamedTuple):
    """What became of an alert; both None while it is open."""

    fixed_at: datetime | None = None
    dismissed_at: datetime | None = None


def _alert_end(alert: AlertPayload, fixed_at: datetime | None, dismissed_at: datetime | None) -> AlertEnd:
    """By the state, since times may be left of an earlier one; by the times where the state is none that we know."""
    match alert.state:
        case "open":
            return AlertEnd()
        case "fixed":
            return AlertEnd(fixed_at=fixed_at or alert.changed_at)
        case "dismissed" | "auto_dismissed":
            return AlertEnd(dismissed_at=dismissed_at or alert.changed_at)
        case _:
            return AlertEnd(fixed_at, dismissed_at)


def _vulnerability(run: Run, kind: str, alert: AlertPayload, alert_end: AlertEnd) -> Vulnerability:
    return Vulnerability(
        id=ids.alert(kind, run.repository, alert.number),
        repository=run.repository,
        source="github",
        observed_at=alert.changed_at,
        url=text.first_http_url(alert.html_url),
        detected_at=alert.created_at,
        fixed_at=alert_end.fixed_at,
        dismissed_at=alert_end.dismissed_at,
    )


def _severity_or_none(name: str | None) -> Severity | None:
    """One of ours; None for what is none, so that it is counted as unknown and not as something else."""
    severity_name = "medium" if name == "moderate" else name
    return next((severity for severity in SEVERITIES if severity == severity_name), None)


_PAGE_SIZE = 100
_REFUSAL_RETRY_AFTER = timedelta(days=7)
_MAX_REASON_LENGTH = 300
_UNKNOWN_NUMBER = "?"


def alert_kinds_to_read(reader: HistoryReader) -> tuple[AlertKind, ...]:
    """Those to read now.

    What `auto` was refused is asked for again after a week, or where a person starts the run: whatever else starts
    one, a token without the permission costs nothing.
    """
    security_setting = reader.request.settings.security
    return tuple(
        kind
        for kind in selected_alert_kinds(security_setting)
        if kind in security_setting or not _is_skipped(reader, kind)
    )


def _is_skipped(reader: HistoryReader, kind: AlertKind) -> bool:
    return not reader.run.is_manual and _is_recently_refused(reader, reader.cursor(kind))


def _is_recently_refused(reader: HistoryReader, cursor: Cursor) -> bool:
    return cursor.refused_at is not None and reader.run.now - cursor.refused_at < _REFUSAL_RETRY_AFTER


def read_alerts(reader: HistoryReader, kind: AlertKind) -> Iterator[HistoryPart | RefusedAlerts]:
    """One request where nothing has changed, else one more a hundred that have; all, where a person starts the run and
    some could not be read.

    Raises:
        GitHubError: if GitHub does not answer; a refusal is a value.
    """
    previous_cursor = reader.cursor(kind)
    cursor = replace(previous_cursor, refused=None, refused_at=None)
    start_cursor = (
        Cursor(read_at=previous_cursor.read_at) if previous_cursor.unread and reader.run.is_manual else cursor
    )
    alert_list = _AlertList(reader, kind, set(start_cursor.unread) - {_UNKNOWN_NUMBER}, start_cursor.unread_because)
    incremental_read = IncrementalRead(
        lambda: alert_list.pages(None), alert_list.pages, "updated_at", start_cursor, reader.request.since
    )
    try:
        for step in incremental_read.steps():
            cursor = alert_list.with_unread(_next_cursor(reader, previous_cursor, step))
            facts = tuple(node["fact"] for node in step.nodes if node["fact"])
            yield HistoryPart(kind, facts, cursor, step.reached, step.is_complete)
    except (ForbiddenError, NotFoundError) as problem:
        yield _refused_alerts(reader, kind, cursor, problem)


def _next_cursor(reader: HistoryReader, previous_cursor: Cursor, step: PageStep) -> Cursor:
    """With the day of a reading to the end: not the moment, so that a sync that finds nothing new writes nothing."""
    read_at, now = previous_cursor.read_at, reader.run.now
    if step.is_complete and step.cursor.newest and (read_at is None or read_at.date() != now.date()):
        read_at = now
    return replace(step.cursor, read_at=read_at)


def _refused_alerts(reader: HistoryReader, kind: AlertKind, cursor: Cursor, problem: GitHubError) -> RefusedAlerts:
    """The same answer again moves nothing, so that a sync that finds nothing new writes nothing."""
    reason = f"{problem.status}, {text.one_line(str(problem))[:_MAX_REASON_LENGTH].rstrip('.')}"
    previous_cursor = reader.cursor(kind)
    refused_at = (
        previous_cursor.refused_at
        if previous_cursor.refused == reason and _is_recently_refused(reader, previous_cursor)
        else reader.run.now
    )
    is_requested = kind in reader.request.settings.security
    return RefusedAlerts(kind, replace(cursor, refused=reason, refused_at=refused_at), is_requested)


@dataclass
class _AlertList:
    """A list of alerts as pages of what was read of them; `unread`: which could not be, and `problem` why."""

    reader: HistoryReader
    kind: AlertKind
    unread_numbers: set[str]
    unread_reason: str | None
    unnumbered_count: int = 0

    def pages(self, page_token: str | None) -> Iterator[ResultPage]:
        """From a place on, the newest changes first.

        Secrets are asked for without the secret itself: https://docs.github.com/en/rest/secret-scanning/secret-scanning.
        """
        path = f"/repos/{self.reader.repository.name}/{self.kind}/alerts"
        secret_parameters = {"hide_secret": "true"} if self.kind == "secret-scanning" else {}
        parameters = {"sort": "updated", "direction": "desc", "per_page": _PAGE_SIZE, **secret_parameters}
        while True:
            items, next_page_token = self.reader.client.get_page(path, parameters, page_token)
            page = ResultPage(tuple(self._nodes(items)), next_page_token if next_page_token != page_token else None)
            yield page
            if page.next_page_token is None:
                return
            page_token = page.next_page_token

    def with_unread(self, cursor: Cursor) -> Cursor:
        """The cursor with those that could not be read, so that every run can say it."""
        unread_numbers = (*sorted(self.unread_numbers), *[_UNKNOWN_NUMBER] * self.unnumbered_count)
        return replace(cursor, unread=unread_numbers, unread_because=self.unread_reason if unread_numbers else None)

    def _nodes(self, items: list[Any]) -> Iterator[Mapping[str, Any]]:
        since = self.reader.request.since
        for item in items:
            try:
                alert, fact = self._parse(item)
            except EventError as problem:
                self._add_unreadable(item)
                self.unread_reason = text.one_line(problem.problems[0])[:_MAX_REASON_LENGTH]
                continue
            self.unread_numbers.discard(str(alert.number))
            is_old = since is not None and alert.changed_at < since
            yield {"updated_at": alert.changed_at.isoformat(), "fact": None if is_old else fact}

    def _add_unreadable(self, item: object) -> None:
        number = item.get("number") if isinstance(item, Mapping) else None
        if isinstance(number, int):
            self.unread_numbers.add(str(number))
        else:
            self.unnumbered_count += 1

    def _parse(self, item: Mapping[str, Any]) -> tuple[AlertPayload, Fact | None]:
        run, branch = self.reader.run, self.reader.repository.default_branch
        match self.kind:
            case "dependabot":
                dependabot_alert = parse_payload(DependabotAlertPayload, item)
                return dependabot_alert, self._prepare_fact(
                    dependabot_vulnerability(run, dependabot_alert), dependabot_alert.path
                )
            case "code-scanning":
                code_alert = parse_payload(CodeScanningAlertPayload, item)
                return code_alert, self._prepare_fact(
                    code_scanning_vulnerability(run, code_alert, branch), code_alert.path
                )
            case _:
                secret_alert = parse_payload(SecretScanningAlertPayload, item)
                return secret_alert, self._prepare_fact(secret_scanning_vulnerability(run, secret_alert), None)

    def _prepare_fact(self, fact: Vulnerability | None, path: str | None) -> Fact | None:
        """As it is recorded: in a monorepo of the one service that the file belongs to."""
        services = self.reader.request.settings.policy.services
        service = compare.only_service(services.touched_by([path])) if fact and path and services else None
        return self.reader.prepare_fact(replace(fact, service=service)) if fact else None
