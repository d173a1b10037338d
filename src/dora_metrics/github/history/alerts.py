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
from dora_metrics.core.facts.model import SEVERITIES, Fact, Severity, Vulnerability
from dora_metrics.core.selection import Alerts, wanted
from dora_metrics.errors import EventError
from dora_metrics.github import compare, text
from dora_metrics.github.client import ForbiddenError, GitHubError, NotFoundError
from dora_metrics.github.history.pages import Asking, Page, Part, Reading, Refused, Stretch
from dora_metrics.github.observation import Run
from dora_metrics.github.payloads import Alert, CodeScanningAlert, DependabotAlert, SecretScanningAlert, read
from dora_metrics.settings.model import policy


def dependabot(run: Run, alert: DependabotAlert) -> Vulnerability:
    """A dependency with a known vulnerability; what fixes it is a newer version of it."""
    ends = _ends(alert, alert.fixed_at, alert.dismissed_at or alert.auto_dismissed_at)
    seen = _seen(run, "dependabot", alert, ends)
    return replace(seen, severity=_severity(alert.severity), package=text.title(alert.package))


def code_scanning(run: Run, alert: CodeScanningAlert, branch: str | None) -> Vulnerability | None:
    """A weakness in the code of the default branch; None elsewhere, and for a finding about quality.

    What CodeQL and others find without a security severity is a matter of style or correctness.
    """
    ref = alert.most_recent_instance and alert.most_recent_instance.ref
    if alert.rule.security_severity_level is None or (ref and branch and ref != f"refs/heads/{branch}"):
        return None
    seen = _seen(run, "code-scanning", alert, _ends(alert, alert.fixed_at, alert.dismissed_at))
    severity, rule = _severity(alert.rule.security_severity_level), alert.rule.id or alert.rule.name
    return replace(seen, severity=severity, package=text.title(rule))


def secret_scanning(run: Run, alert: SecretScanningAlert) -> Vulnerability:
    """A leaked secret: critical, as GitHub has no severity for it; fixed once it is revoked, by no deployment.

    Closed for any other reason it was no secret, or is none that anybody means to revoke.
    """
    unsaid = alert.changed_at if alert.state == "resolved" else None
    closed_at = None if alert.state == "open" else alert.resolved_at or unsaid
    ends = Ends(fixed_at=closed_at) if alert.resolution == "revoked" else Ends(dismissed_at=closed_at)
    seen = _seen(run, "secret-scanning", alert, ends)
    return replace(seen, severity="critical", package=text.title(alert.secret_type_display_name))


class Ends(NamedTuple):
    """What became of an alert; both None while it is open."""

    fixed_at: datetime | None = None
    dismissed_at: datetime | None = None


def _ends(alert: Alert, fixed_at: datetime | None, dismissed_at: datetime | None) -> Ends:
    """By the state, since times may be left of an earlier one; by the times where the state is none that we know."""
    match alert.state:
        case "open":
            return Ends()
        case "fixed":
            return Ends(fixed_at=fixed_at or alert.changed_at)
        case "dismissed" | "auto_dismissed":
            return Ends(dismissed_at=dismissed_at or alert.changed_at)
        case _:
            return Ends(fixed_at, dismissed_at)


def _seen(run: Run, kind: str, alert: Alert, ends: Ends) -> Vulnerability:
    return Vulnerability(
        id=f"github:{kind}:{run.repository}#{alert.number}",
        repository=run.repository,
        source="github",
        observed_at=alert.changed_at,
        url=text.link(alert.html_url),
        detected_at=alert.created_at,
        fixed_at=ends.fixed_at,
        dismissed_at=ends.dismissed_at,
    )


def _severity(said: str | None) -> Severity | None:
    """One of ours; None for what is none, so that it is counted as unknown and not as something else."""
    name = "medium" if said == "moderate" else said
    return next((severity for severity in SEVERITIES if severity == name), None)


_PAGE = 100
_ASKED_AGAIN = timedelta(days=7)
_LONGEST_REASON = 300
_NAMELESS = "?"


def kinds(asking: Asking) -> tuple[Alerts, ...]:
    """Those to read now.

    What `auto` was refused is asked for again after a week, or where a person starts the run: whatever else starts
    one, a token without the permission costs nothing.
    """
    asked = asking.wanted.settings.security
    return tuple(kind for kind in wanted(asked) if kind in asked or not _is_hopeless(asking, kind))


def _is_hopeless(asking: Asking, kind: Alerts) -> bool:
    return not asking.run.by_hand and _is_recent(asking, asking.cursor(kind))


def _is_recent(asking: Asking, cursor: Cursor) -> bool:
    return cursor.refused_at is not None and asking.run.now - cursor.refused_at < _ASKED_AGAIN


def alerts(asking: Asking, kind: Alerts) -> Iterator[Part | Refused]:
    """One request where nothing has changed, else one more a hundred that have; all, where a person starts the run and
    some could not be read.

    Raises:
        GitHubError: if GitHub does not answer; a refusal is a value.
    """
    before = asking.cursor(kind)
    reached = replace(before, refused=None, refused_at=None)
    known = Cursor(read_at=before.read_at) if before.unread and asking.run.by_hand else reached
    listed = _Listed(asking, kind, set(known.unread) - {_NAMELESS}, known.unread_because)
    reading = Reading(lambda: listed.pages(None), listed.pages, "updated_at", known, asking.wanted.since)
    try:
        for stretch in reading.stretches():
            reached = listed.noted(_reached(asking, before, stretch))
            facts = tuple(node["fact"] for node in stretch.nodes if node["fact"])
            yield Part(kind, facts, reached, stretch.reached, stretch.done)
    except (ForbiddenError, NotFoundError) as problem:
        yield _refused(asking, kind, reached, problem)


def _reached(asking: Asking, before: Cursor, stretch: Stretch) -> Cursor:
    """With the day of a reading to the end: not the moment, so that a sync that finds nothing new writes nothing."""
    read_at, now = before.read_at, asking.run.now
    if stretch.done and stretch.cursor.newest and (read_at is None or read_at.date() != now.date()):
        read_at = now
    return replace(stretch.cursor, read_at=read_at)


def _refused(asking: Asking, kind: Alerts, reached: Cursor, problem: GitHubError) -> Refused:
    """The same answer again moves nothing, so that a sync that finds nothing new writes nothing."""
    reason = f"{problem.status}, {text.one_line(str(problem))[:_LONGEST_REASON].rstrip('.')}"
    before = asking.cursor(kind)
    at = before.refused_at if before.refused == reason and _is_recent(asking, before) else asking.run.now
    told = kind in asking.wanted.settings.security
    return Refused(kind, replace(reached, refused=reason, refused_at=at), told)


@dataclass
class _Listed:
    """A list of alerts as pages of what was read of them; `unread`: which could not be, and `problem` why."""

    asking: Asking
    kind: Alerts
    unread: set[str]
    problem: str | None
    nameless: int = 0

    def pages(self, place: str | None) -> Iterator[Page]:
        """From a place on, the newest changes first.

        Secrets are asked for without the secret itself: https://docs.github.com/en/rest/secret-scanning/secret-scanning.
        """
        path = f"/repos/{self.asking.home.name}/{self.kind}/alerts"
        hidden = {"hide_secret": "true"} if self.kind == "secret-scanning" else {}
        parameters = {"sort": "updated", "direction": "desc", "per_page": _PAGE, **hidden}
        while True:
            found, following = self.asking.client.page(path, parameters, place)
            page = Page(tuple(self._nodes(found)), following if following != place else None)
            yield page
            if page.following is None:
                return
            place = page.following

    def noted(self, cursor: Cursor) -> Cursor:
        """The cursor with those that could not be read, so that every run can say it."""
        unread = (*sorted(self.unread), *[_NAMELESS] * self.nameless)
        return replace(cursor, unread=unread, unread_because=self.problem if unread else None)

    def _nodes(self, found: list[Any]) -> Iterator[Mapping[str, Any]]:
        since = self.asking.wanted.since
        for one in found:
            try:
                alert, fact = self._read(one)
            except EventError as problem:
                self._cannot_read(one)
                self.problem = text.one_line(problem.problems[0])[:_LONGEST_REASON]
                continue
            self.unread.discard(str(alert.number))
            is_old = since is not None and alert.changed_at < since
            yield {"updated_at": alert.changed_at.isoformat(), "fact": None if is_old else fact}

    def _cannot_read(self, one: object) -> None:
        number = one.get("number") if isinstance(one, Mapping) else None
        if isinstance(number, int):
            self.unread.add(str(number))
        else:
            self.nameless += 1

    def _read(self, one: Mapping[str, Any]) -> tuple[Alert, Fact | None]:
        run, branch = self.asking.run, self.asking.home.branch
        match self.kind:
            case "dependabot":
                bump = read(DependabotAlert, one)
                return bump, self._kept(dependabot(run, bump), bump.path)
            case "code-scanning":
                finding = read(CodeScanningAlert, one)
                return finding, self._kept(code_scanning(run, finding, branch), finding.path)
            case _:
                leak = read(SecretScanningAlert, one)
                return leak, self._kept(secret_scanning(run, leak), None)

    def _kept(self, fact: Vulnerability | None, path: str | None) -> Fact | None:
        """As it is recorded: in a monorepo of the one service that the file belongs to."""
        services = policy(self.asking.wanted.settings).services
        service = compare.only(services.touched([path])) if fact and path and services else None
        return self.asking.kept(replace(fact, service=service)) if fact else None
