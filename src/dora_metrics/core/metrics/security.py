"""Vulnerabilities: counts by severity, times to fix, and the deployments that delivered fixes."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from dora_metrics.core import formatting, schema
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import SEVERITIES, Deployment, Vulnerability
from dora_metrics.core.statistics import quantile
from dora_metrics.core.windows import Window


class DeliveredFix(NamedTuple):
    """A fixed vulnerability, and the first successful deployment of a scope that finished at or after the fix."""

    vulnerability: Vulnerability
    deployment: Deployment

    @property
    def deployed_at(self) -> datetime:
        """When the fix was live."""
        return self.deployment.finished_at

    @property
    def seconds_to_live(self) -> float | None:
        """Seconds from detection until the fix was live; None if it was live before the detection."""
        span = self.deployed_at - self.vulnerability.detected_at
        return span.total_seconds() if span >= timedelta() else None


def count_by_severity(vulnerabilities: Sequence[Vulnerability], window: Window) -> dict[str, schema.Security]:
    """Count the vulnerabilities of each severity.

    A severity without any vulnerability, ever, is left out: there may be no scanner that would report one.
    """
    vulnerabilities_by_severity = {
        severity: [v for v in vulnerabilities if v.severity == severity] for severity in SEVERITIES
    }
    return {
        severity: _severity_counts(of_severity, window)
        for severity, of_severity in vulnerabilities_by_severity.items()
        if of_severity
    }


def _severity_counts(vulnerabilities: Sequence[Vulnerability], window: Window) -> schema.Security:
    detected = [v for v in vulnerabilities if window.contains(v.detected_at)]
    return schema.Security(
        detected=len(detected),
        fixed=sum(1 for v in vulnerabilities if is_fixed(v) and window.contains(v.fixed_at)),
        open=sum(v.fixed_at is None and v.dismissed_at is None for v in detected),
        remediation_p50_seconds=_median_seconds_to_fix(vulnerabilities, window),
    )


def _median_seconds_to_fix(vulnerabilities: Iterable[Vulnerability], window: Window) -> float | None:
    """Median time from detection to fix, of those that were fixed in the window; None without any."""
    times_to_fix = (time_to_fix(v) for v in vulnerabilities if window.contains(v.fixed_at))
    sorted_seconds = sorted(time.total_seconds() for time in times_to_fix if time is not None and time >= timedelta())
    return quantile(sorted_seconds, 0.5) if sorted_seconds else None


def time_to_fix(vulnerability: Vulnerability) -> timedelta | None:
    """Return the time from detection to fix, negative if they contradict; None if not fixed or dismissed."""
    if vulnerability.fixed_at is None or vulnerability.dismissed_at is not None:
        return None
    return vulnerability.fixed_at - vulnerability.detected_at


def is_fixed(vulnerability: Vulnerability) -> bool:
    return vulnerability.fixed_at is not None and vulnerability.dismissed_at is None


def has_deployable_fix(vulnerability: Vulnerability) -> bool:
    """Whether the vulnerability is fixed, and by a deployment."""
    return is_fixed(vulnerability) and not ids.is_secret_scanning_alert(vulnerability.id)


def delivered_fixes(vulnerabilities: Iterable[Vulnerability], successes: Sequence[Deployment]) -> list[DeliveredFix]:
    """Find the deployment that delivered each fix. A fix that is not live yet is left out.

    Args:
        vulnerabilities: those of one scope.
        successes: the successful deployments of the scope, in order.

    Returns:
        Fixes in the order of their deployments.
    """
    fixes = []
    for vulnerability in vulnerabilities:
        if vulnerability.fixed_at and has_deployable_fix(vulnerability):
            first = bisect_left(successes, vulnerability.fixed_at, key=lambda deployment: deployment.finished_at)
            fixes += [DeliveredFix(vulnerability, deployment) for deployment in successes[first : first + 1]]
    return sorted(fixes, key=lambda fix: (fix.deployed_at, fix.deployment.id, fix.vulnerability.id))


def severity_notes(vulnerabilities: Iterable[Vulnerability]) -> Iterator[str]:
    """Yield a note on vulnerabilities without a severity, which no count includes."""
    unknown_count = sum(vulnerability.severity is None for vulnerability in vulnerabilities)
    if unknown_count:
        alerts = formatting.count(unknown_count, "vulnerability", "vulnerabilities")
        yield f"Not in the counts by severity, because their severity is unknown: {alerts}."


def security_sentence(vulnerabilities: Sequence[Vulnerability], window: Window) -> str:
    """Write `Security: 5 alerts detected, 1 still open (high), 1 dismissed; 3 fixed (median 3 d).`

    It is empty without any in the window. Each detected alert is open, dismissed or fixed, so the numbers add up: a
    fix outside the window is named as such, and so is a fix in the window of what was detected earlier.
    """
    with_severity = [v for v in vulnerabilities if v.severity]
    detected = [v for v in with_severity if window.contains(v.detected_at)]
    fixed = [v for v in with_severity if is_fixed(v) and window.contains(v.fixed_at)]
    parts = (_detected_text(detected, window), _fixed_text(fixed, window, has_detected=bool(detected)))
    return f"Security: {'; '.join(filter(None, parts))}." if detected or fixed else ""


def _detected_text(detected: Sequence[Vulnerability], window: Window) -> str:
    """Return what was detected, and of it all that was not fixed in the window; empty without any."""
    if not detected:
        return ""
    dismissed = sum(v.dismissed_at is not None for v in detected)
    fixed_later = sum(is_fixed(v) and not window.contains(v.fixed_at) for v in detected)
    states = (
        _open_text(detected),
        f"{dismissed:,} dismissed" if dismissed else "",
        f"{fixed_later:,} fixed outside the window" if fixed_later else "",
    )
    return ", ".join((f"{formatting.count(len(detected), 'alert')} detected", *filter(None, states)))


def _open_text(detected: Sequence[Vulnerability]) -> str:
    open_by_severity = Counter(v.severity for v in detected if v.fixed_at is None and v.dismissed_at is None)
    if not open_by_severity:
        return "none still open"
    open_count = open_by_severity.total()
    severity_texts = (
        severity if open_by_severity[severity] == open_count else f"{open_by_severity[severity]:,} {severity}"
        for severity in SEVERITIES
        if severity in open_by_severity
    )
    return f"{open_count:,} still open ({', '.join(severity_texts)})"


def _fixed_text(fixed: Sequence[Vulnerability], window: Window, *, has_detected: bool) -> str:
    """Return what was fixed in the window, how much of it was detected earlier, and the median time."""
    if not fixed:
        return ""
    count_text = f"{len(fixed):,} fixed" if has_detected else f"{formatting.count(len(fixed), 'alert')} fixed"
    detected_earlier = sum(v.detected_at < window.start for v in fixed)
    median_seconds = _median_seconds_to_fix(fixed, window)
    details = (
        f"{detected_earlier:,} detected earlier" if detected_earlier else "",
        f"median {formatting.duration(median_seconds)}" if median_seconds is not None else "",
    )
    details_text = ", ".join(filter(None, details))
    return f"{count_text} ({details_text})" if details_text else count_text
