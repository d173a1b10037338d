"""Security alerts become vulnerabilities. No event of a workflow tells of them, so `sync` reads them.

A leaked secret is never read, though GitHub may send it: the payloads have no field for it.
"""

from datetime import datetime
from typing import NamedTuple

from msgspec.structs import replace

from dora_metrics.core.facts.model import SEVERITIES, Severity, Vulnerability
from dora_metrics.github import text
from dora_metrics.github.observation import Run
from dora_metrics.github.payloads import Alert, CodeScanningAlert, DependabotAlert, SecretScanningAlert


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
