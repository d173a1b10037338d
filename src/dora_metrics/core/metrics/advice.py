"""What holds a scope back, and what helps: only for a metric whose level is the lowest or whose goal is missed."""

from collections.abc import Callable, Iterable, Iterator

from dora_metrics.core import schema
from dora_metrics.core.metrics import clues_failures, diagnosis
from dora_metrics.core.metrics.diagnosis import Clue, View
from dora_metrics.core.targets import goals
from dora_metrics.core.targets.benchmarks import METRICS, Benchmark

_MOST = 3

_CLUES: dict[str, Callable[[View], Iterator[Clue]]] = {
    "deployment_frequency": diagnosis.deployment_frequency,
    "lead_time": diagnosis.lead_time,
    "change_failure_rate": clues_failures.change_failure_rate,
    "recovery_time": clues_failures.recovery_time,
    "rework_rate": clues_failures.rework_rate,
}


def advice(view: View, found: schema.Metrics, aims: Iterable[schema.Goal]) -> list[schema.Advice]:
    """For each metric that holds back: why it does, what its data say about the cause, what is known to help."""
    told = [_of(view, name, because) for name, because in _holding_back(view.policy.benchmark, found, aims).items()]
    return [one for one in told if one.evidence]


def _of(view: View, name: str, because: str) -> schema.Advice:
    found = list(_CLUES[name](view))
    measures = {measure.do: measure for clue in found for measure in clue.measures}
    return schema.Advice(
        metric=name,
        because=because,
        evidence=[_sentence(clue.evidence) for clue in found if clue.evidence][:_MOST],
        measures=list(measures.values())[:_MOST],
    )


def _doubt(part: schema.Judged) -> str:
    """What the interval of a value leaves open above its level."""
    best = part.level_span[1] if part.level_span else part.level
    return f" (it could be up to {best})" if best != part.level else ""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _holding_back(benchmark: Benchmark, found: schema.Metrics, aims: Iterable[schema.Goal]) -> dict[str, str]:
    """By metric why it holds back; what has the best level of all holds nothing back."""
    overall = found.overall_level
    because: dict[str, str] = {}
    for name in METRICS:
        part = getattr(found, name)
        if overall and part.level == overall.level and part.level != benchmark.edges[name][0][0]:
            because[name] = f"its level, {part.level}, is the lowest{_doubt(part)}"
    for goal in aims:
        if goal.met is False:
            because[goal.metric] = "; ".join(
                part for part in (because.get(goal.metric), f"its goal, {goals.aim(goal)}, is not met") if part
            )
    return because
