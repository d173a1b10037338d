"""Evidence on the page: the deployments of a scope with their changes, and its incidents.

Texts and URLs from outside are shortened and made safe here: visible characters, and links to http and https only.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from dora_metrics.core.failures.judge import Failure, counts_in_failure_rate
from dora_metrics.core.markdown import printable
from dora_metrics.core.metrics.calculate import quantile_or_none
from dora_metrics.core.metrics.lead_time import ExcludedChange, MeasuredChange
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.fact_names import replace_ids_in_scope
from dora_metrics.core.reports.sections import ending_text
from dora_metrics.core.reports.site.model import ChangeEntry, DeploymentEntry, FailureEntry, IncidentEntry, PageLink
from dora_metrics.core.scope import deployment_label

MAX_CHANGES = 40
"""Changes that the page lists for one deployment."""

MAX_TITLE_LENGTH = 160
MAX_NAME_LENGTH = 60
_MAX_URL_LENGTH = 500

_EXCLUSION_TEXTS = {
    "first_deployment": "in the first deployment (the baseline)",
    "bots": "by a bot",
    "no_start": "start unknown",
    "negative": "deployed before its start",
}
"""By field of `schema.Excluded`: why a change has no lead time."""


def single_line(text: str, max_length: int = MAX_TITLE_LENGTH) -> str:
    """Put text on one line of at most `max_length` characters, without invisible characters."""
    line = " ".join(printable(text[: max_length * 4]).split())
    return line if len(line) <= max_length else f"{line[: max_length - 1].rstrip()}…"


class LinkTable:
    """URLs as pairs (number of a base, ending). Most URLs share a base and differ only in a number at the end.

    `size_bytes` is the size of all bases as JSON.
    """

    def __init__(self) -> None:
        self._bases: dict[str, int] = {}
        self.size_bytes = 0

    def link_to(self, url: str | None) -> PageLink:
        """Return the link to a URL; None if it is missing, too long, or neither http nor https."""
        if not url or len(url) > _MAX_URL_LENGTH or not _is_web_address(url):
            return None
        base, slash, ending = url.rpartition("/")
        base += slash
        if base not in self._bases:
            self._bases[base] = len(self._bases)
            self.size_bytes += len(base) + 3
        return (self._bases[base], ending)

    @property
    def bases(self) -> list[str]:
        """All bases, in the order of their numbers."""
        return list(self._bases)


def _is_web_address(url: str) -> bool:
    try:
        return urlsplit(url).scheme in ("http", "https")
    except ValueError:
        return False


_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def script_safe_json(encoded: bytes) -> str:
    """Escape JSON for a script element: nothing in it, such as `</script>` or `<!--`, can end the element."""
    return encoded.decode().translate(_ESCAPES)


@dataclass(frozen=True)
class EvidenceBuilder:
    """Builds the entries of one scope's deployments and incidents. All mappings are by deployment id."""

    history: ScopeHistory
    policy: Policy
    links: LinkTable
    failures_by_deployment: Mapping[str, Failure]
    measured_by_deployment: Mapping[str, list[MeasuredChange]]
    excluded_by_deployment: Mapping[str, list[ExcludedChange]]

    def deployment_entry(self, number: int) -> DeploymentEntry:
        """Build the entry of a deployment by its number; the oldest has 0."""
        deployment = self.history.deployments[number]
        failure = self.failures_by_deployment.get(deployment.id)
        measured = self.measured_by_deployment.get(deployment.id, [])
        measured_entries, excluded_entries = self._change_entries(deployment.id, measured)
        listed_measured = measured_entries[:MAX_CHANGES]
        listed_excluded = excluded_entries[: MAX_CHANGES - len(listed_measured)]
        return DeploymentEntry(
            id=single_line(deployment.id),
            at=int(deployment.finished_at.timestamp()),
            name=single_line(deployment_label(deployment), MAX_NAME_LENGTH),
            link=self.links.link_to(deployment.url),
            status=deployment.status,
            counted=counts_in_failure_rate(deployment, self.policy),
            failed=self._failure_entry(failure) if failure else None,
            rework=self._readable(self.history.rework_reasons.get(deployment.id, "")),
            lead=round_or_none(quantile_or_none(sorted(change.seconds for change in measured), 0.5)),
            changes=[*listed_measured, *listed_excluded],
            more=len(measured_entries) - len(listed_measured),
            more_excluded=len(excluded_entries) - len(listed_excluded),
        )

    def incident_entry(self, number: int) -> IncidentEntry:
        """Build the entry of an incident by its number; the oldest has 0."""
        attributed = self.history.incidents[number]
        incident, deployment = attributed.incident, attributed.attributed_to
        resolved_at = incident.resolved_at
        seconds = None if resolved_at is None else (resolved_at - incident.detected_at).total_seconds()
        return IncidentEntry(
            at=int(incident.detected_at.timestamp()),
            title=single_line(incident.title or replace_ids_in_scope(incident.id, self.history)),
            link=self.links.link_to(incident.url),
            severity=incident.severity or "",
            seconds=None if seconds is None else round(max(seconds, 0)),
            attributed=single_line(deployment_label(deployment), MAX_NAME_LENGTH) if deployment else "",
            because=self._readable(attributed.because),
        )

    def _failure_entry(self, failure: Failure) -> FailureEntry:
        return FailureEntry(
            rule=failure.rule,
            because=self._readable(failure.because),
            link=self.links.link_to(failure.url),
            seconds=round_or_none(failure.recovery_seconds),
            by=single_line(ending_text(failure, self.history)),
        )

    def _readable(self, text: str) -> str:
        return single_line(replace_ids_in_scope(text, self.history)) if text else ""

    def _change_entries(
        self, deployment_id: str, measured: Iterable[MeasuredChange]
    ) -> tuple[list[ChangeEntry], list[ChangeEntry]]:
        """Build the entries of a deployment's changes: the measured ones, slowest first, and the excluded ones.

        A change whose commits are measured one by one has the lead time of its slowest commit.
        """
        slowest_seconds: dict[str, float] = {}
        for change in measured:
            slowest_seconds[change.change_id] = max(change.seconds, slowest_seconds.get(change.change_id, 0))
        excluded = self.excluded_by_deployment.get(deployment_id, ())
        excluded_reasons = {item.change_id: _EXCLUSION_TEXTS[item.reason] for item in excluded}
        slowest_first = sorted(slowest_seconds.items(), key=lambda item: (-item[1], item[0]))
        return (
            [self._change_entry(change_id, round(seconds)) for change_id, seconds in slowest_first],
            [
                self._change_entry(change_id, reason)
                for change_id, reason in excluded_reasons.items()
                if change_id not in slowest_seconds
            ],
        )

    def _change_entry(self, change_id: str, lead_time_or_reason: int | str) -> ChangeEntry:
        change = self.history.changes.get(change_id)
        title, url = (change.title, change.url) if change else (None, None)
        return (
            single_line(replace_ids_in_scope(change_id, self.history), MAX_NAME_LENGTH),
            single_line(title or ""),
            self.links.link_to(url),
            lead_time_or_reason,
        )


def evidence_builder(history: ScopeHistory, policy: Policy, links: LinkTable) -> EvidenceBuilder:
    """Index the facts of a scope by deployment."""
    measured: dict[str, list[MeasuredChange]] = defaultdict(list)
    for measured_change in history.lead_times.measured:
        measured[measured_change.deployment_id].append(measured_change)
    excluded: dict[str, list[ExcludedChange]] = defaultdict(list)
    for excluded_change in history.lead_times.excluded:
        excluded[excluded_change.deployment_id].append(excluded_change)
    failures = {failure.deployment.id: failure for failure in history.failures}
    return EvidenceBuilder(history, policy, links, failures, measured, excluded)


def round_or_none(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


def count_before(history: ScopeHistory, moment: datetime) -> tuple[int, int]:
    """Return how many deployments and how many incidents of a scope are before a moment."""
    deployments = bisect_left(history.deployments, moment, key=lambda deployment: deployment.finished_at)
    return deployments, bisect_left(history.incidents, moment, key=lambda attributed: attributed.incident.detected_at)
