"""Write the facts of an invented organisation, for the local monitoring stack: `python tools/demo_history.py FILE`.

It prints the names of the repositories. The history is the same at each run, and ends now (`--now`). It has something
for every panel and alert: five scopes, of which one got worse, one is slow and one was abandoned; incidents of every
severity, also open ones; failed runs, rollbacks, security alerts. It covers 200 days, so the 90-day windows are full
for the last 110 of them.
"""

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.core.facts.model import (
    SEVERITIES,
    Change,
    Deployment,
    Fact,
    Incident,
    Severity,
    Status,
    Vulnerability,
)
from dora_metrics.core.windows import parse_instant

DAYS = 200
"""How long the history is."""

RECENT_DAYS = 30
"""How long ago the scope that got worse did so."""

FAILED_RUNS = 0.08
"""Failed runs for each deployment."""

ROLLBACKS = 1 / 3
"""Share of the incidents that end with a rollback."""

BOT_CHANGES = 0.1
"""Share of the changes by bots."""

ALERTS = 24
"""Security alerts of a scope that has any."""

DISMISSED_ALERT = 10
"""The position of the alert that is dismissed; the others are fixed, if that is before now."""


@dataclass(frozen=True)
class Team:
    """How one scope works.

    Attributes:
        deployments_per_day: mean rate.
        lead_hours: median lead time, before and since `RECENT_DAYS` ago.
        failure_share: share of the deployments that cause an incident, before and since then.
        restore_hours: median time from the detection of an incident to its end, before and since then.
        last_days_ago: when it stopped to deploy; 0 if it did not.
        severity_of_open_incident: of an incident that began three days ago and is open; None for no such incident.
        has_alerts: whether it has security alerts.
    """

    repository: str
    service: str
    environment: str
    deployments_per_day: float
    lead_hours: tuple[float, float]
    failure_share: tuple[float, float]
    restore_hours: tuple[float, float]
    last_days_ago: float = 0
    severity_of_open_incident: Severity | None = None
    has_alerts: bool = False


TEAMS = (
    Team("acme/shop", "shop", "production", 1.3, (9, 30), (0.07, 0.28), (0.8, 4), 0, "critical", has_alerts=True),
    Team("acme/pay", "ledger", "production", 0.7, (60, 60), (0.1, 0.1), (5, 5), has_alerts=True),
    Team("acme/pay", "ledger", "production-eu", 0.4, (80, 80), (0.05, 0.05), (2, 2)),
    Team("acme/web", "search", "production", 3.1, (2, 2), (0.05, 0.03), (0.4, 0.4), 0, "low"),
    Team("acme/legacy", "legacy", "production", 0.5, (50, 50), (0.15, 0.15), (9, 9), 33),
)


def history(now: datetime) -> list[Fact]:
    """Return all facts that were observed by `now`, oldest first."""
    facts = [fact for number, team in enumerate(TEAMS) for fact in _Scope(team, number, now).facts()]
    return sorted((fact for fact in facts if fact.observed_at <= now), key=lambda fact: (fact.observed_at, fact.id))


class _Scope:
    """The history of one team. `number` keeps its ids apart from those of others."""

    def __init__(self, team: Team, number: int, now: datetime) -> None:
        self._team, self._now = team, now
        self._random = random.Random(number)  # noqa: S311 - not for secrets
        self._next_number = 100_000 * (number + 1)
        self._succeeded: list[Deployment] = []

    def facts(self) -> Iterator[Fact]:
        team, at = self._team, self._now - timedelta(days=DAYS)
        end = self._now - timedelta(days=team.last_days_ago)
        while (at := at + self._gap()) < end:
            yield from self._deployment(at)
        yield from self._lasting_incident()
        if team.has_alerts:
            yield from self._vulnerabilities()

    def _gap(self) -> timedelta:
        """The time to the next deployment: irregular, but never so short that two of them overlap."""
        return timedelta(minutes=20) + timedelta(days=self._random.expovariate(self._team.deployments_per_day))

    def _deployment(self, at: datetime) -> Iterator[Fact]:
        """Yield a deployment with its changes, after a failed run in some cases, and what went wrong with it."""
        changes = [self._change(at) for _ in range(self._random.randint(1, 3))]
        yield from changes
        if self._random.random() < FAILED_RUNS:
            yield self._attempt(at - timedelta(minutes=17), changes, "failure")
        deployed = self._attempt(at, changes, "success")
        yield deployed
        previous, self._succeeded = self._succeeded[-1:], [*self._succeeded, deployed]
        if self._random.random() < self._now_or_before(at, self._team.failure_share):
            yield from self._failure(deployed, previous)

    def _attempt(self, at: datetime, changes: Sequence[Change], status: Status) -> Deployment:
        number = self._number()
        return Deployment(
            id=ids.github_deployment(number),
            repository=self._team.repository,
            service=self._team.service,
            environment=self._team.environment,
            observed_at=at,
            started_at=at - timedelta(minutes=self._random.uniform(3, 15)),
            finished_at=at,
            status=status,
            sha=self._sha(),
            ref="main",
            version=f"v{number}",
            source="deployments",
            url=f"https://github.com/{self._team.repository}/deployments/{number}",
            changes=tuple(change.id for change in changes),
            commit_count=len(changes),
        )

    def _change(self, deployed_at: datetime) -> Change:
        """A pull request that was begun, opened, reviewed and merged before its deployment."""
        number = self._number()
        hours = self._random.lognormvariate(0, 0.8) * self._now_or_before(deployed_at, self._team.lead_hours)
        shares = sorted(self._random.uniform(0.2, 0.9) for _ in range(3))
        began_at = deployed_at - timedelta(hours=hours)
        opened_at, reviewed_at, merged_at = (began_at + timedelta(hours=hours * share) for share in shares)
        return Change(
            id=ids.pull_request(self._team.repository, number),
            repository=self._team.repository,
            service=self._team.service,
            observed_at=merged_at,
            source="github",
            url=f"https://github.com/{self._team.repository}/pull/{number}",
            sha=self._sha(),
            title=f"Change {number}",
            first_commit_at=began_at,
            opened_at=opened_at,
            first_review_at=reviewed_at,
            merged_at=merged_at,
            bot=self._random.random() < BOT_CHANGES,
        )

    def _failure(self, deployed: Deployment, previous: Sequence[Deployment]) -> Iterator[Fact]:
        """Yield the incident of a deployment; some end with a rollback to the deployment before."""
        detected_at = deployed.finished_at + timedelta(minutes=self._random.uniform(2, 40))
        hours = self._random.lognormvariate(0, 0.7) * self._now_or_before(detected_at, self._team.restore_hours)
        resolved_at = detected_at + timedelta(hours=hours)
        severity = self._random.choice((*SEVERITIES, None))
        yield from self._incident(severity, detected_at, resolved_at, deployed)
        if previous and self._random.random() < ROLLBACKS:
            rollback = self._attempt(resolved_at, (), "success")
            yield replace(rollback, sha=previous[0].sha, version=previous[0].version, remediates=deployed.id)

    def _incident(
        self, severity: Severity | None, detected_at: datetime, resolved_at: datetime | None, cause: Deployment | None
    ) -> Iterator[Fact]:
        """Yield an incident as it was observed at first, and once more when it ended."""
        number = self._number()
        for at, end in ((detected_at, None), (resolved_at, resolved_at)):
            if at:
                yield Incident(
                    id=ids.issue(self._team.repository, number),
                    repository=self._team.repository,
                    service=self._team.service,
                    environment=self._team.environment,
                    observed_at=at,
                    source="github",
                    url=f"https://github.com/{self._team.repository}/issues/{number}",
                    title="Requests fail",
                    severity=severity,
                    detected_at=detected_at,
                    resolved_at=end,
                    deployment=cause.id if cause else None,
                )

    def _lasting_incident(self) -> Iterator[Fact]:
        if severity := self._team.severity_of_open_incident:
            yield from self._incident(severity, self._now - timedelta(days=3, hours=2), None, None)

    def _vulnerabilities(self) -> Iterator[Fact]:
        """Yield security alerts of every severity: fixed, dismissed and open ones."""
        for position in range(ALERTS):
            detected_at = self._now - timedelta(days=DAYS * (1 - (position + 0.5) / ALERTS))
            number = self._number()
            alert = Vulnerability(
                id=ids.alert("dependabot", self._team.repository, number),
                repository=self._team.repository,
                service=self._team.service,
                observed_at=detected_at,
                source="dependabot",
                url=f"https://github.com/{self._team.repository}/security/dependabot/{number}",
                severity=SEVERITIES[position % len(SEVERITIES)],
                detected_at=detected_at,
                package="parser",
            )
            ended_at = detected_at + timedelta(days=self._random.lognormvariate(1.5, 0.8))
            yield alert
            if position == DISMISSED_ALERT:
                yield replace(alert, observed_at=ended_at, dismissed_at=ended_at)
            else:
                yield replace(alert, observed_at=ended_at, fixed_at=ended_at)

    def _now_or_before(self, at: datetime, values: tuple[float, float]) -> float:
        """The value that held at a time: before the last `RECENT_DAYS`, or in them."""
        return values[at > self._now - timedelta(days=RECENT_DAYS)]

    def _number(self) -> int:
        self._next_number += 1
        return self._next_number

    def _sha(self) -> str:
        return f"{self._random.getrandbits(160):040x}"


def write(file: Path, now: datetime) -> None:
    """Write the history that ends at `now` as JSON Lines."""
    file.write_bytes(b"".join(encode_fact(fact) + b"\n" for fact in history(now)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the facts of an invented organisation as JSON Lines.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--now", type=parse_instant, default=datetime.now(UTC), help="when the history ends")
    arguments = parser.parse_args()
    write(arguments.file, arguments.now)
    for repository in sorted({team.repository for team in TEAMS}):
        print(repository)


if __name__ == "__main__":
    main()
