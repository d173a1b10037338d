"""Everything that is known, linked and judged, to be asked about single facts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from dora_metrics.core import formatting
from dora_metrics.core.facts.model import Deployment, Fact, Vulnerability
from dora_metrics.core.failures.incidents import Placed
from dora_metrics.core.failures.judge import Failure, Verdicts, judge
from dora_metrics.core.linking.link import Delivery, History, Line, link
from dora_metrics.core.markdown import Md, joined, md
from dora_metrics.core.markdown import identity as written
from dora_metrics.core.metrics.lead_time import Exclusion, Lead, leads
from dora_metrics.core.metrics.security import Fix, fixes
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.fact_names import name, spoken
from dora_metrics.core.scope import Scope
from dora_metrics.core.windows import Window


@dataclass(frozen=True)
class Section:
    """A heading with a line for each thing that is said under it."""

    title: str
    lines: tuple[Md, ...]


@dataclass(frozen=True)
class Explanation:
    """What is said about one fact: the answer first, then where it stands, then the reasons."""

    headline: Md
    sentences: tuple[Md, ...] = ()
    sections: tuple[Section, ...] = ()


class Place(NamedTuple):
    """Where a deployment stands: its scope, its position among the scope's deployments."""

    line: Line
    deployment: Deployment


@dataclass(frozen=True)
class Case:
    """All facts by id with all that was judged of them, under one reading, for one window."""

    facts: Mapping[str, Fact]
    history: History
    verdicts: Verdicts
    policy: Policy
    window: Window

    @cached_property
    def places(self) -> dict[str, Place]:
        """Every production deployment that counts anywhere, by id."""
        return {d.id: Place(line, d) for line in self.history.lines.values() for d in line.deployments}

    @cached_property
    def failures(self) -> dict[str, Failure]:
        return {one.deployment.id: one for found in self.verdicts.failures.values() for one in found}

    @cached_property
    def placed(self) -> dict[str, Placed]:
        return {one.incident.id: one for found in self.verdicts.incidents.values() for one in found}

    @cached_property
    def blaming(self) -> Mapping[str, list[Placed]]:
        """Incidents by the deployment that they blame, in order of their detection."""
        found: dict[str, list[Placed]] = defaultdict(list)
        for one in sorted(self.placed.values(), key=lambda one: (one.incident.detected_at, one.incident.id)):
            if one.blamed:
                found[one.blamed.id].append(one)
        return found

    @cached_property
    def deliveries(self) -> Mapping[str, list[tuple[Line, Delivery]]]:
        """By change, and by deployment, what was delivered."""
        found: dict[str, list[tuple[Line, Delivery]]] = defaultdict(list)
        for line in self.history.lines.values():
            for delivery in line.deliveries:
                found[delivery.change].append((line, delivery))
                found[delivery.deployment.id].append((line, delivery))
        return found

    @cached_property
    def measured(self) -> Mapping[tuple[Scope, str], tuple[list[Lead], list[Exclusion]]]:
        """By scope and change its lead times, and why it has none."""
        found: dict[tuple[Scope, str], tuple[list[Lead], list[Exclusion]]] = defaultdict(lambda: ([], []))
        for line in self.history.lines.values():
            of_line = leads(line, self.policy)
            for lead in of_line.measured:
                found[line.scope, lead.change][0].append(lead)
            for exclusion in of_line.excluded:
                found[line.scope, exclusion.change][1].append(exclusion)
        return found

    @cached_property
    def fixes(self) -> Mapping[Scope, list[Fix]]:
        """By scope the deployments that brought the fix of a vulnerability."""
        return {scope: fixes(self.vulnerable(scope), line.successes) for scope, line in self.history.lines.items()}

    def vulnerable(self, scope: Scope) -> list[Vulnerability]:
        """The vulnerabilities of a scope: those of its service, and those that name none."""
        own = (one for one in self.history.vulnerabilities if one.repository == scope.repository)
        return [one for one in own if one.service in (None, "", scope.service)]

    # Words.

    def when(self, moment: datetime) -> str:
        return formatting.minute(moment, self.policy.zone)

    def spoken(self, text: str) -> str:
        """A sentence about facts with names instead of ids."""
        return spoken(text, self.facts)

    def called(self, identity: str | None) -> Md:
        """What people call a fact, with its id where that is something else."""
        fact = self.facts.get(identity or "")
        if isinstance(fact, Deployment):
            shown = name(fact)
            return md("{} ({})", shown, written(fact.id))
        return md("{}", self.spoken(identity or ""))

    def in_window(self, moment: datetime) -> Md:
        """Whether it is in the numbers of the window."""
        start, end = self.when(self.window.start), self.when(self.window.end)
        inside = "lies in" if self.window.holds(moment) else "lies outside of"
        counted = "is" if self.window.holds(moment) else "is not"
        return md("That {} the window {} – {}, so it {} in these numbers.", inside, start, end, counted)


def case_of(facts: Iterable[Fact], policy: Policy, window: Window) -> Case:
    """Links and judges all facts, and keeps everything that was found on the way."""
    known = {fact.id: fact for fact in facts}
    history = link(known.values(), policy)
    return Case(known, history, judge(history, policy), policy, window)


def where(scope: Scope) -> Md:
    return md("{} of {} (service {})", scope.environment, scope.repository, scope.service)


def listed(parts: Iterable[Md], most: int = 10) -> Md:
    """Up to so many, and how many more."""
    found = list(parts)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return Md(joined(", ", found[:most]) + more)
