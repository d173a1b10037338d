"""What a scope's numbers were made from: its deployments with their changes, its incidents.

Texts and addresses from outside, as the page shows them: short, visible, and nothing to click but http.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from dora_metrics.core.failures.judge import Failure, counts
from dora_metrics.core.markdown import visible
from dora_metrics.core.metrics.calculate import share
from dora_metrics.core.metrics.lead_time import Exclusion, Lead
from dora_metrics.core.metrics.scope_history import Record
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.fact_names import readable
from dora_metrics.core.reports.site.model import Change, Deployment, Failed, Incident, Link
from dora_metrics.core.scope import label

LONGEST_TITLE = 160
LONGEST_NAME = 60
_LONGEST_ADDRESS = 500


def shown(text: str, most: int = LONGEST_TITLE) -> str:
    """Text on one line, without what cannot be seen and what turns the direction of a line."""
    line = " ".join(visible(text[: most * 4]).split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


class Links:
    """Addresses, their beginnings kept once: most differ in a number at the end only. `size`: of those, in bytes."""

    def __init__(self) -> None:
        self._bases: dict[str, int] = {}
        self.size = 0

    def of(self, address: str | None) -> Link:
        """A link; nothing for what is no address that a reader may follow."""
        if not address or len(address) > _LONGEST_ADDRESS or not _usable(address):
            return None
        base, slash, rest = address.rpartition("/")
        if (beginning := base + slash) not in self._bases:
            self._bases[beginning] = len(self._bases)
            self.size += len(beginning) + 3
        return (self._bases[beginning], rest)

    @property
    def bases(self) -> list[str]:
        return list(self._bases)


def _usable(address: str) -> bool:
    try:
        return urlsplit(address).scheme in ("http", "https")
    except ValueError:
        return False


_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def embedded(json: bytes) -> str:
    """JSON that nothing in it can end before its end: neither `</script>` nor `<!--` nor a line separator."""
    return json.decode().translate(_ESCAPES)


MOST_CHANGES = 40
_LEFT_OUT = {
    "first_deployment": "came with the first deployment",
    "bots": "by a bot",
    "no_start": "start unknown",
    "negative": "deployed before its start",
}


@dataclass(frozen=True)
class Evidence:
    """One scope's facts, ready to be shown deployment by deployment."""

    record: Record
    policy: Policy
    links: Links
    failures: Mapping[str, Failure]
    measured: Mapping[str, list[Lead]]
    excluded: Mapping[str, list[Exclusion]]

    def deployment(self, number: int) -> Deployment:
        """The deployment of that number, the oldest being 0."""
        one = self.record.deployments[number]
        failure, leads = self.failures.get(one.id), self.measured.get(one.id, [])
        measured, out = self._changes(one.id, leads)
        shown_measured = measured[:MOST_CHANGES]
        shown_out = out[: MOST_CHANGES - len(shown_measured)]
        return Deployment(
            id=shown(one.id),
            at=int(one.finished_at.timestamp()),
            name=shown(label(one), LONGEST_NAME),
            link=self.links.of(one.url),
            status=one.status,
            counted=counts(one, self.policy),
            failed=self._failed(failure) if failure else None,
            rework=self._readable(self.record.rework.get(one.id, "")),
            lead=whole(share(sorted(lead.seconds for lead in leads), 0.5)),
            changes=[*shown_measured, *shown_out],
            more=len(measured) - len(shown_measured),
            more_excluded=len(out) - len(shown_out),
        )

    def incident(self, number: int) -> Incident:
        """The incident of that number, the oldest being 0."""
        one = self.record.incidents[number]
        incident = one.incident
        ended = incident.resolved_at
        lasted = None if ended is None else (ended - incident.detected_at).total_seconds()
        return Incident(
            at=int(incident.detected_at.timestamp()),
            title=shown(incident.title or readable(incident.id, self.record)),
            link=self.links.of(incident.url),
            severity=incident.severity or "",
            seconds=None if lasted is None else round(max(lasted, 0)),
            blamed=shown(label(one.blamed), LONGEST_NAME) if one.blamed else "",
            because=self._readable(one.because),
        )

    def _failed(self, one: Failure) -> Failed:
        return Failed(
            rule=one.rule,
            because=self._readable(one.because),
            link=self.links.of(one.url),
            seconds=whole(one.seconds),
            by=self._readable(one.remediated_by or ""),
        )

    def _readable(self, text: str) -> str:
        return shown(readable(text, self.record)) if text else ""

    def _changes(self, deployment: str, leads: Iterable[Lead]) -> tuple[list[Change], list[Change]]:
        """What it was the first to deliver, the slowest first, and what of it has no lead time.

        Of commits that are measured each by itself, the slowest stands for all.
        """
        slowest: dict[str, float] = {}
        for lead in leads:
            slowest[lead.change] = max(lead.seconds, slowest.get(lead.change, 0))
        out = {one.change: _LEFT_OUT[one.reason] for one in self.excluded.get(deployment, ())}
        ordered = sorted(slowest.items(), key=lambda one: (-one[1], one[0]))
        return (
            [self._change(change, round(seconds)) for change, seconds in ordered],
            [self._change(change, why) for change, why in out.items() if change not in slowest],
        )

    def _change(self, identity: str, worth: int | str) -> Change:
        fact = self.record.changes.get(identity)
        title, address = (fact.title, fact.url) if fact else (None, None)
        return (shown(readable(identity, self.record), LONGEST_NAME), shown(title or ""), self.links.of(address), worth)


def evidence(record: Record, policy: Policy, links: Links) -> Evidence:
    """What there is to show of a scope."""
    measured: dict[str, list[Lead]] = defaultdict(list)
    for lead in record.leads.measured:
        measured[lead.deployment].append(lead)
    excluded: dict[str, list[Exclusion]] = defaultdict(list)
    for one in record.leads.excluded:
        excluded[one.deployment].append(one)
    failures = {failure.deployment.id: failure for failure in record.failures}
    return Evidence(record, policy, links, failures, measured, excluded)


def whole(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


def before(record: Record, moment: datetime) -> tuple[int, int]:
    """How many deployments and incidents of a scope come before a moment."""
    deployments = bisect_left(record.deployments, moment, key=lambda one: one.finished_at)
    return deployments, bisect_left(record.incidents, moment, key=lambda one: one.incident.detected_at)
