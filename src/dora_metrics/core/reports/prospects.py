"""A scope's outlook in words for the summary: short, and only what is clear."""

from dataclasses import dataclass

from dora_metrics.core import formatting, schema
from dora_metrics.core.markdown import Md, joined, md
from dora_metrics.core.reports.sections import NAMES
from dora_metrics.core.targets import goals, units
from dora_metrics.core.trend import SIGNIFICANT


@dataclass(frozen=True)
class Hint:
    """What is known about a metric that holds back, and a line for each measure."""

    text: Md
    measures: tuple[Md, ...]


@dataclass(frozen=True)
class Prospects:
    """Each empty where there is nothing to say."""

    trends: Md
    goals: Md
    achievements: Md
    hints: tuple[Hint, ...]


def prospects(found: schema.Outlook) -> Prospects:
    """The outlook of one scope in words."""
    aims = joined(" · ", (md("{} {}", NAMES[goal.metric].lower(), goals.sentence(goal)) for goal in found.goals))
    worth = joined(" · ", (md("{}", one) for one in found.achievements))
    return Prospects(
        trends=trends(found),
        goals=Md(f"Goals: {aims}." if aims else ""),
        achievements=Md(f"Worth a mention: {worth}." if worth else ""),
        hints=hints(found),
    )


def trends(found: schema.Outlook) -> Md:
    """The metrics whose weeks go one way beyond chance; the others are not mentioned."""
    clear = {name: one for name, one in found.trends.items() if one.p < SIGNIFICANT and one.slope_per_week}
    if not clear:
        return Md("")
    weeks = max(one.weeks for one in clear.values())
    said = joined(", ", (_way(name, one.change) for name, one in clear.items()))
    return md("Over {}, beyond chance (p < 0.05): {}.", formatting.count(weeks, "week"), said)


def _way(name: str, change: float) -> Md:
    rose = "rose" if change > 0 else "fell"
    return md("{} **{} by {}**", NAMES[name].lower(), rose, units.step(name, change))


def hints(found: schema.Outlook) -> tuple[Hint, ...]:
    """What is known about each metric that holds back."""
    return tuple(_hint(one) for one in found.advice)


def _hint(one: schema.Advice) -> Hint:
    text = joined(" ", (md("**{}**: {}.", NAMES[one.metric], one.because), *(md("{}", said) for said in one.evidence)))
    return Hint(text, tuple(md("{}, since {}.", measure.do, measure.because) for measure in one.measures))
