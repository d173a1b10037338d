"""Thresholds: which values of a metric, or which regressions, a run is to warn of or to fail for.

`lead_time > 2d` looks at the value; `lead_time worse by 20%` at the window before, and only where the difference is
clear (p < 0.05); `regression` is any metric that is clearly worse. A metric without data never violates.
"""

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

from dora_metrics.core import schema
from dora_metrics.core.scope import Scope
from dora_metrics.core.targets import units
from dora_metrics.core.targets.benchmarks import higher_is_better
from dora_metrics.core.targets.units import deciding

On = Literal["fail", "warn"]

_SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_SAID = {">": "above", ">=": "not below", "<": "below", "<=": "not above"}


@dataclass(frozen=True)
class Limit:
    """`lead_time > 2d`: the values that violate."""

    text: str
    metric: str
    sign: str
    bound: float


@dataclass(frozen=True)
class Worse:
    """`lead_time worse by 20%`, or `regression` for all metrics; `least` is the share, 0 for any."""

    text: str
    metrics: tuple[str, ...]
    least: float = 0


Threshold = Limit | Worse


class Violation(Struct, frozen=True, kw_only=True):
    """A threshold that was hit, in one scope."""

    rule: str
    on: On
    repository: str
    service: str
    environment: str
    metric: str
    value: float
    text: str


@dataclass(frozen=True)
class Judged:
    """All thresholds on some scopes: what was hit, how many were not, and which could not be judged, with why."""

    violations: tuple[Violation, ...] = ()
    held: int = 0
    unknown: tuple[str, ...] = ()

    @property
    def failing(self) -> bool:
        return any(one.on == "fail" for one in self.violations)


def threshold(text: str) -> Threshold:
    """A threshold as it is written.

    Raises:
        ValueError: if it is none, with what it should be.
    """
    if text == "regression":
        return Worse(text, units.NAMES)
    if found := re.fullmatch(r"(\w+)\s*([<>]=?)\s*(.+)", text):
        name = units.metric(found[1])
        return Limit(text, name, found[2], units.amount(name, found[3]))
    if found := re.fullmatch(r"(\w+)\s+worse(?:\s+by\s+(\d{1,6}(?:\.\d{1,6})?)\s*%)?", text, re.ASCII):
        return Worse(text, (units.metric(found[1]),), float(found[2] or 0) / 100)
    raise ValueError(
        f"{text!r} is no threshold; write `lead_time > 2d`, `deployment_frequency < 1/w`, "
        "`lead_time worse by 20%` or `regression`"
    )


@dataclass(frozen=True)
class Seen:
    """A scope's numbers, and by metric whether it is better or worse than before, where that can be compared."""

    scope: Scope
    metrics: schema.Metrics
    previous: schema.Metrics | None
    verdicts: Mapping[str, str]


def judge(fail_on: Iterable[str], warn_on: Iterable[str], scopes: Iterable[Seen]) -> Judged:
    """Every threshold on every scope."""
    rules: list[tuple[On, Threshold]] = [
        *(("fail", threshold(text)) for text in fail_on),
        *(("warn", threshold(text)) for text in warn_on),
    ]
    violations: list[Violation] = []
    unknown: list[str] = []
    held = 0
    for seen in scopes:
        for on, rule in rules:
            hits = list(_hits(rule, seen))
            violations += [_violation(on, rule, seen, hit) for hit in hits]
            if not hits and (why := _why_unknown(rule, seen)):
                unknown.append(f"{rule.text}: {why}")
            held += not hits
    return Judged(tuple(violations), held - len(unknown), tuple(dict.fromkeys(unknown)))


def _violation(on: On, rule: Threshold, seen: Seen, hit: tuple[str, str]) -> Violation:
    name, text = hit
    value = deciding(getattr(seen.metrics, name))
    return Violation(rule=rule.text, on=on, **seen.scope._asdict(), metric=name, value=value or 0.0, text=text)


def _hits(rule: Threshold, seen: Seen) -> Iterator[tuple[str, str]]:
    """Each metric that violates, and how in words."""
    match rule:
        case Limit(_, name, sign, bound):
            value = deciding(getattr(seen.metrics, name))
            if value is not None and _SIGNS[sign](value, bound):
                limit = units.shown(name, bound)
                yield name, f"{_titled(name)} is {units.shown(name, value)}, {_SAID[sign]} {limit}"
        case Worse(_, names, least):
            for name in names:
                if seen.verdicts.get(name) == "worse" and _worsening(name, seen) >= least:
                    yield name, _regression(name, seen)


def _titled(name: str) -> str:
    return name.replace("_", " ")


def _regression(name: str, seen: Seen) -> str:
    now, before = (units.shown(name, value) for value in _both(name, seen))
    return f"{_titled(name)} is clearly worse than in the window before: {now}, before {before} (p < 0.05)"


def _both(name: str, seen: Seen) -> tuple[float, float]:
    """The values in both windows, which a verdict needs."""
    now, before = (deciding(getattr(part, name, None)) or 0.0 for part in (seen.metrics, seen.previous))
    return now, before


def _worsening(name: str, seen: Seen) -> float:
    """By which share of the value before it is worse; without bound where that was nought."""
    now, before = _both(name, seen)
    loss = before - now if higher_is_better(name) else now - before
    if not before:
        return float("inf") if loss > 0 else 0.0
    return loss / before


def _why_unknown(rule: Threshold, seen: Seen) -> str | None:
    """Why a threshold cannot be judged; None where it can."""
    match rule:
        case Limit(_, name):
            part = getattr(seen.metrics, name)
            return None if deciding(part) is not None else f"not judged, {part.reason}"
        case Worse(_, names) if seen.verdicts.keys().isdisjoint(names):
            if seen.previous is None:
                return "not judged, there is no window before to compare with"
            return "not judged, there are no data in one of the two windows"
        case _:
            return None
