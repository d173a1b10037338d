"""How bad an incident is, from an answer in a form or from a label. docs/events.md shows the table."""

import re
from collections.abc import Iterable

from dora_metrics.core.facts.model import SEVERITIES, Severity
from dora_metrics.github import text

_BY_NUMBER: tuple[Severity, ...] = ("critical", "critical", "high", "medium", "low")
_LEVEL = r"(?:(?:severity|sev|priority|prio|s|p) ?(?P<number>[0-4])|(?P<name>critical|high|medium|low))"
_AROUND = r"(?:severity|sev|priority|prio|level|incident)"
# The whole label, so that `aws s3` and `low hanging fruit` say nothing about an incident.
_LABEL = re.compile(rf"(?:{_AROUND} )*{_LEVEL}(?: {_AROUND})*")
_ANSWER = re.compile(rf"\b{_LEVEL}\b")


def of_answer(answer: str | None) -> Severity | None:
    return _level(_ANSWER.search(_spaced(answer or "")))


def of_labels(labels: Iterable[str]) -> Severity | None:
    """The worst that the labels say."""
    levels = {_level(_LABEL.fullmatch(_spaced(label))) for label in labels}
    return next((level for level in SEVERITIES if level in levels), None)


def _spaced(words: str) -> str:
    return " ".join(text.words(words))


def _level(found: re.Match[str] | None) -> Severity | None:
    if found is None:
        return None
    if found["number"]:
        return _BY_NUMBER[int(found["number"])]
    return next(level for level in SEVERITIES if level == found["name"])
