"""REST API of security alerts: never public, paged by cursor or number; secrets are shown unless hidden on request."""

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from fakes.records import Alert
from fakes.repository import Repository
from fakes.resolvers import timestamp
from fakes.rest import sort_records
from fakes.routing import Answer, Call, HttpError, organisation_route, route, validation_error

SECRET = "ghp_" + "thisIsTheSecretItself" * 2  # not a secret: tests search for it where it must not appear
REQUIRED_PERMISSIONS = {
    "dependabot": "vulnerability-alerts",
    "code-scanning": "security-events",
    "secret-scanning": "secret-scanning-alerts",
}


@route("GET", "/dependabot/alerts")
def dependabot(call: Call, repository: Repository) -> Answer:
    return _page_by_cursor(call, _alerts(call, repository, "dependabot"))


@route("GET", "/code-scanning/alerts")
def code_scanning(call: Call, repository: Repository) -> Answer:
    """Alerts of `ref`, by default of the default branch, paged by number."""
    return call.page_answer(_alerts(call, repository, "code-scanning"), lambda alert: _alert_view(call, alert))


@route("GET", "/secret-scanning/alerts")
def secret_scanning(call: Call, repository: Repository) -> Answer:
    return _page_by_cursor(call, _alerts(call, repository, "secret-scanning"))


@organisation_route("GET", "/(?:dependabot|code-scanning|secret-scanning)/alerts")
def of_organisation(call: Call, repositories: list[Repository]) -> Answer:
    """Alerts of all repositories that have them, each with its repository; refused if none grants the permission.

    Repositories that do not have them are missing without a word. Code scanning shows the default branch only.
    """
    kind = call.request.path.split("/")[3]
    permission = REQUIRED_PERMISSIONS[kind]
    granted = [each for each in repositories if call.token.was_granted(permission, "read", each)]
    if not granted:
        raise HttpError(403, "Resource not accessible by integration")
    alerts = [
        alert
        for repository in granted
        if kind not in repository.disabled_alerts
        for alert in repository.records_of(Alert)
        if alert.kind == kind and (kind != "code-scanning" or alert.ref.endswith(f"/{repository.default_branch}"))
    ]
    return _page_by_cursor(call, sort_records(alerts, call), _with_repository)


def _with_repository(call: Call, alert: Alert) -> dict[str, Any]:
    repository = {"id": alert.repository.database_id, "full_name": alert.repository.name_with_owner}
    return {**_alert_view(call, alert), "repository": repository}


def _alerts(call: Call, repository: Repository, kind: str) -> list[Alert]:
    if not call.token.was_granted(REQUIRED_PERMISSIONS[kind], "read", repository):
        raise HttpError(403, "Resource not accessible by integration")
    if kind in repository.disabled_alerts:
        raise HttpError(*repository.disabled_alerts[kind])
    return sort_records([alert for alert in repository.records_of(Alert) if alert.kind == kind], call)


def _page_by_cursor(
    call: Call, alerts: list[Alert], view: Callable[[Call, Alert], dict[str, Any]] | None = None
) -> Answer:
    size, after = min(call.number("per_page", 30, 100), call.state.longest_page), call.query.get("after")
    if after is not None:
        last = base64.b64decode(after).decode("utf-8", "replace")
        positions = [position for position, alert in enumerate(alerts, 1) if _cursor(alert) >= last]
        if not last.startswith("2"):
            raise validation_error("Alert", "after", message="after is not a valid cursor")
        alerts = alerts[max(positions, default=0) :]
    headers = {}
    if len(alerts) > size:
        cursor = base64.b64encode(_cursor(alerts[size - 1]).encode()).decode()
        next_query = {name: value for name, value in call.query.items() if name != "hide_secret"} | {"after": cursor}
        headers["Link"] = f'<{call.base}{call.request.path}?{urlencode(next_query)}>; rel="next"'
    return Answer(200, [(view or _alert_view)(call, alert) for alert in alerts[:size]], headers)


def _cursor(alert: Alert) -> str:
    return f"{timestamp(alert.updated_at)} {alert.database_id:09}"


def _alert_view(call: Call, alert: Alert) -> dict[str, Any]:
    common = {
        "number": alert.number,
        "state": alert.state,
        "html_url": alert.url,
        "created_at": timestamp(alert.created_at),
        "updated_at": timestamp(alert.updated_at),
    }
    return {**common, **_VIEWS[alert.kind](call, alert), **alert.extra}


def _dependabot(_: Call, alert: Alert) -> dict[str, Any]:
    package = {"ecosystem": "npm", "name": alert.subject}
    return {
        "dependency": {"package": package, "manifest_path": alert.path, "scope": "runtime"},
        "security_advisory": {"ghsa_id": "GHSA-1", "summary": "Bad", "severity": alert.severity},
        "security_vulnerability": {"package": package, "severity": alert.severity},
        "fixed_at": alert.fixed_at and timestamp(alert.fixed_at),
        "dismissed_at": alert.dismissed_at and timestamp(alert.dismissed_at),
        "auto_dismissed_at": None,
    }


def _code_scanning(_: Call, alert: Alert) -> dict[str, Any]:
    return {
        "rule": {"id": alert.subject, "severity": "warning", "security_severity_level": alert.severity},
        "tool": {"name": "CodeQL"},
        "most_recent_instance": {"ref": alert.ref, "location": {"path": alert.path}},
        "fixed_at": alert.fixed_at and timestamp(alert.fixed_at),
        "dismissed_at": alert.dismissed_at and timestamp(alert.dismissed_at),
    }


def _secret_scanning(call: Call, alert: Alert) -> dict[str, Any]:
    """`updated_at` is null before the first update."""
    closed = alert.fixed_at or alert.dismissed_at
    hidden = call.query.get("hide_secret") == "true"
    call.state.revealed_secrets += not hidden
    return {
        "updated_at": timestamp(alert.updated_at) if alert.updated_at != alert.created_at else None,
        "state": "resolved" if closed else "open",
        "resolution": alert.resolution,
        "resolved_at": closed and timestamp(closed),
        "secret_type": "raw_type_of_secret",
        "secret_type_display_name": alert.subject,
        "secret": None if hidden else SECRET,
    }


_VIEWS = {"dependabot": _dependabot, "code-scanning": _code_scanning, "secret-scanning": _secret_scanning}
