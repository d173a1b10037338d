"""Vulnerabilities, beside the five metrics (DEFINITIONS §2.6): their counts, and the deployments that brought a fix."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from dora_metrics.core import formatting, schema
from dora_metrics.core.facts.model import SEVERITIES, Deployment, Vulnerability
from dora_metrics.core.statistics import quantile
from dora_metrics.core.windows import Window

SECRETS = "github:secret-scanning:"
"""How the ids of leaked secrets begin: revoking one ends it, and no deployment brings that."""


class Fix(NamedTuple):
    """A vulnerability that was fixed, and the first success of a scope that finished at or after its fix."""

    vulnerability: Vulnerability
    deployment: Deployment

    @property
    def at(self) -> datetime:
        """When it was live."""
        return self.deployment.finished_at

    @property
    def seconds(self) -> float | None:
        """From detection to live; None for a contradiction: live before it was detected."""
        span = self.at - self.vulnerability.detected_at
        return span.total_seconds() if span >= timedelta() else None


def by_severity(vulnerabilities: Sequence[Vulnerability], window: Window) -> dict[str, schema.Security]:
    """Only severities that were ever seen, since silence may mean that nobody looks."""
    known = {severity: [v for v in vulnerabilities if v.severity == severity] for severity in SEVERITIES}
    return {severity: _counted(found, window) for severity, found in known.items() if found}


def _counted(vulnerabilities: Sequence[Vulnerability], window: Window) -> schema.Security:
    detected = [v for v in vulnerabilities if window.holds(v.detected_at)]
    return schema.Security(
        detected=len(detected),
        fixed=sum(1 for v in vulnerabilities if is_fixed(v) and window.holds(v.fixed_at)),
        open=sum(v.fixed_at is None and v.dismissed_at is None for v in detected),
        remediation_p50_seconds=_remediation(vulnerabilities, window),
    )


def _remediation(vulnerabilities: Iterable[Vulnerability], window: Window) -> float | None:
    """Median time from detection to fix, of those that were fixed in the window; None without any."""
    spans = (took(v) for v in vulnerabilities if window.holds(v.fixed_at))
    sound = sorted(span.total_seconds() for span in spans if span is not None and span >= timedelta())
    return quantile(sound, 0.5) if sound else None


def took(vulnerability: Vulnerability) -> timedelta | None:
    """From detection to fix, negative for a contradiction; None for one that is not fixed, or was dismissed."""
    if vulnerability.fixed_at is None or vulnerability.dismissed_at is not None:
        return None
    return vulnerability.fixed_at - vulnerability.detected_at


def is_fixed(vulnerability: Vulnerability) -> bool:
    return vulnerability.fixed_at is not None and vulnerability.dismissed_at is None


def is_delivered(vulnerability: Vulnerability) -> bool:
    """Whether a deployment brings the fix of such a vulnerability."""
    return is_fixed(vulnerability) and not vulnerability.id.startswith(SECRETS)


def fixes(vulnerabilities: Iterable[Vulnerability], successes: Sequence[Deployment]) -> list[Fix]:
    """The deployments of a scope that brought fixes, in their order; a fix that is not live yet has none.

    Args:
        vulnerabilities: those of the scope.
        successes: its successful deployments, in order.
    """
    found = []
    for vulnerability in vulnerabilities:
        if vulnerability.fixed_at and is_delivered(vulnerability):
            place = bisect_left(successes, vulnerability.fixed_at, key=lambda deployment: deployment.finished_at)
            found += [Fix(vulnerability, deployment) for deployment in successes[place : place + 1]]
    return sorted(found, key=lambda fix: (fix.at, fix.deployment.id, fix.vulnerability.id))


def notes(vulnerabilities: Iterable[Vulnerability]) -> Iterator[str]:
    """What a reader must know of those that count nowhere."""
    unknown = sum(vulnerability.severity is None for vulnerability in vulnerabilities)
    if unknown:
        yield f"Vulnerabilities of unknown severity, in no number by severity: {unknown:,}."


def sentence(vulnerabilities: Sequence[Vulnerability], window: Window) -> str:
    """`Security: 3 detected, 1 of them open (high); 2 fixed, …`; empty where the window holds none."""
    found = by_severity(vulnerabilities, window)
    detected = sum(one.detected for one in found.values())
    fixed = sum(one.fixed for one in found.values())
    parts = [f"{formatting.count(detected, 'detected', 'detected')}{_still_open(found)}"] if detected else []
    if fixed:
        rated = (v for v in vulnerabilities if v.severity)
        median = _remediation(rated, window)
        took = f", median time to remediate {formatting.duration(median)}" if median is not None else ""
        parts.append(f"{formatting.count(fixed, 'fixed', 'fixed')}{took}")
    return f"Security: {'; '.join(parts)}." if parts else ""


def _still_open(found: dict[str, schema.Security]) -> str:
    left = {severity: one.open for severity, one in found.items() if one.open}
    if not left:
        return ", none of them open"
    whole = sum(left.values())
    named = (name if number == whole else formatting.count(number, name, name) for name, number in left.items())
    return f", {formatting.count(whole, 'of them open', 'of them open')} ({', '.join(named)})"
