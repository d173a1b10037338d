"""Vulnerabilities: counts by severity, times to fix, and the deployments that delivered fixes."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

from msgspec import Struct

from dora_metrics.core import formatting, schema
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import SEVERITIES, Deployment, Vulnerability
from dora_metrics.core.statistics import SortedUnion, quantile
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


class _Tally(NamedTuple):
    """Counts of some vulnerabilities in a window, and the sorted times to fix of those that were fixed in it."""

    detected: int
    fixed: int
    open: int
    sorted_seconds: Sequence[float]


class VulnerabilityGroup:
    """Vulnerabilities that scopes may share, such as those of a repository that name no service.

    What was counted is kept, so that thousands of services of a repository count them only once.
    """

    def __init__(self, vulnerabilities: Sequence[Vulnerability]) -> None:
        self.vulnerabilities = vulnerabilities
        self._tallies_by_window: dict[Window, Mapping[str, _Tally]] = {}

    def tallies(self, window: Window) -> Mapping[str, _Tally]:
        """Return the counts by severity, without those severities that no vulnerability has."""
        if window not in self._tallies_by_window:
            by_severity = {
                severity: [v for v in self.vulnerabilities if v.severity == severity] for severity in SEVERITIES
            }
            self._tallies_by_window[window] = {
                severity: _tally(of_severity, window) for severity, of_severity in by_severity.items() if of_severity
            }
        return self._tallies_by_window[window]

    def fixed_between(self, after: datetime | None, until: datetime) -> Sequence[Vulnerability]:
        """Return those that a deployment fixes whose fix is later than one time and not later than another."""
        times, fixed = self._deployable_fixes
        return fixed[bisect_right(times, after) if after else 0 : bisect_right(times, until)]

    @cached_property
    def _deployable_fixes(self) -> tuple[list[datetime], list[Vulnerability]]:
        """When each was fixed that a deployment fixes, and these vulnerabilities in the same order."""
        fixed = [(v.fixed_at, v.id, v) for v in self.vulnerabilities if v.fixed_at and has_deployable_fix(v)]
        fixed.sort(key=itemgetter(0, 1))
        return [time for time, _, _ in fixed], [vulnerability for _, _, vulnerability in fixed]


class ScopeVulnerabilities(Struct, frozen=True):
    """The vulnerabilities of a scope: those of its service, and those of its repository that name no service."""

    groups: tuple[VulnerabilityGroup, ...] = ()

    def __iter__(self) -> Iterator[Vulnerability]:
        return chain.from_iterable(group.vulnerabilities for group in self.groups)

    def __len__(self) -> int:
        return sum(len(group.vulnerabilities) for group in self.groups)

    def count_by_severity(self, window: Window) -> dict[str, schema.Security]:
        """Count the vulnerabilities of each severity.

        A severity without any vulnerability, ever, is left out: there may be no scanner that would report one.
        """
        tallies = [group.tallies(window) for group in self.groups]
        by_severity = {severity: [each[severity] for each in tallies if severity in each] for severity in SEVERITIES}
        return {severity: _sum_of(of_severity) for severity, of_severity in by_severity.items() if of_severity}

    def fixed_between(self, after: datetime | None, until: datetime) -> Iterator[Vulnerability]:
        """Yield those that a deployment fixes whose fix is later than one time and not later than another."""
        return chain.from_iterable(group.fixed_between(after, until) for group in self.groups)


def _tally(vulnerabilities: Sequence[Vulnerability], window: Window) -> _Tally:
    detected = [v for v in vulnerabilities if window.contains(v.detected_at)]
    return _Tally(
        detected=len(detected),
        fixed=sum(1 for v in vulnerabilities if is_fixed(v) and window.contains(v.fixed_at)),
        open=sum(map(is_open, detected)),
        sorted_seconds=_sorted_seconds_to_fix(vulnerabilities, window),
    )


def _sum_of(tallies: Sequence[_Tally]) -> schema.Security:
    sorted_seconds = SortedUnion.of([tally.sorted_seconds for tally in tallies])
    return schema.Security(
        detected=sum(tally.detected for tally in tallies),
        fixed=sum(tally.fixed for tally in tallies),
        open=sum(tally.open for tally in tallies),
        remediation_p50_seconds=quantile(sorted_seconds, 0.5) if sorted_seconds else None,
    )


def _median_seconds_to_fix(vulnerabilities: Iterable[Vulnerability], window: Window) -> float | None:
    """Median time from detection to fix, of those that were fixed in the window; None without any."""
    sorted_seconds = _sorted_seconds_to_fix(vulnerabilities, window)
    return quantile(sorted_seconds, 0.5) if sorted_seconds else None


def _sorted_seconds_to_fix(vulnerabilities: Iterable[Vulnerability], window: Window) -> list[float]:
    fixed = (v for v in vulnerabilities if window.contains(v.fixed_at))
    return sorted(seconds for v in fixed if (seconds := seconds_to_fix(v)) is not None)


def seconds_to_fix(vulnerability: Vulnerability) -> float | None:
    """Return the seconds from detection to fix; None if not fixed or dismissed, and if the fix was earlier."""
    time = time_to_fix(vulnerability)
    return None if time is None or time < timedelta() else time.total_seconds()


def time_to_fix(vulnerability: Vulnerability) -> timedelta | None:
    """Return the time from detection to fix, negative if they contradict; None if not fixed or dismissed."""
    if vulnerability.fixed_at is None or vulnerability.dismissed_at is not None:
        return None
    return vulnerability.fixed_at - vulnerability.detected_at


def is_fixed(vulnerability: Vulnerability) -> bool:
    return vulnerability.fixed_at is not None and vulnerability.dismissed_at is None


def is_open(vulnerability: Vulnerability) -> bool:
    return vulnerability.fixed_at is None and vulnerability.dismissed_at is None


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
        alerts_are = formatting.count_are(unknown_count, "vulnerability", "vulnerabilities")
        whose = "its" if unknown_count == 1 else "their"
        yield f"{alerts_are} not in the counts by severity, because {whose} severity is unknown."


def security_sentence(vulnerabilities: Iterable[Vulnerability], window: Window) -> str:
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
    open_by_severity = Counter(v.severity for v in detected if is_open(v))
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
