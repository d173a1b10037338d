"""Reports of a few facts, as text."""

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from dora_metrics.core import periods, windows
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.metrics.comparison import Subject
from dora_metrics.core.metrics.document import document
from dora_metrics.core.metrics.scope_history import judge_all
from dora_metrics.core.periods import Kind
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.periodic.content import Matter
from dora_metrics.core.reports.periodic.issue_body import Letter, letter
from dora_metrics.templates import parts, template
from support.facts import at

MONDAY = "03-18T06:00"
"""In 2024, of which the week before, the 11th, begins on 11 March."""


@dataclass(frozen=True)
class Reported:
    """A report of the only scope: the letter, and its lines by what they begin with."""

    letter: Letter

    @property
    def text(self) -> str:
        return self.letter.ours

    @property
    def headline(self) -> str:
        return self.text.splitlines()[0]

    def row(self, name: str) -> list[str]:
        """The cells of a line of the table."""
        (line,) = (line for line in self.text.splitlines() if line.startswith(f"| {name} |"))
        return [cell.strip() for cell in line.strip("|").split("|")][1:]

    def section(self, title: str) -> list[str]:
        """The lines below a heading, without empty ones; none where there is no such heading."""
        _, _, after = self.text.partition(f"### {title}\n")
        below = after.split("\n#", maxsplit=1)[0].split("\n<details", maxsplit=1)[0]
        return [line for line in below.splitlines() if line]


def matter(*facts: Fact, kind: Kind = "weekly", now: str = MONDAY, zone: str = "UTC", **policy: Any) -> Matter:  # noqa: ANN401
    """What a report of the only scope is made from."""
    rules, moment, spec = Policy(zone=ZoneInfo(zone), **policy), at(now), windows.window("30d", ZoneInfo(zone))
    records = judge_all(facts, rules)
    subject = Subject(records, document(records, rules, spec, moment), spec, rules, moment)
    (record,) = records.records
    return Matter.of(subject, record, periods.due(kind, moment, rules.zone, "monday"))


def report(*facts: Fact, kind: Kind = "weekly", text: str | None = None, **settings: Any) -> Reported:  # noqa: ANN401
    """The report of the only scope, by the usual template or another one."""
    return Reported(letter(matter(*facts, kind=kind, **settings), text or template(f"{kind}.md.j2"), parts()))
