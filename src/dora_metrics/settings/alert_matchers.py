"""PromQL matchers that select alerts, such as `dora_incident="true", severity=~"critical|page"`."""

import re
import warnings
from collections.abc import Iterator

_EXAMPLE = 'write PromQL matchers, such as dora_incident="true"'

_MATCHER = re.compile(
    r"""\s*(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)\s*(?P<operator>=~|!~|!=|=)\s*
    (?P<quoted>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)\s*(?P<end>,|$)""",
    re.VERBOSE,
)
_RESERVED = ("__name__", "alertstate")
_MAX_LENGTH = 2_000


def parse_alert_matchers(text: str) -> str:
    """Return matchers as they stand between the braces of a selector.

    Raises:
        ValueError: if they are not matchers, or if they select alerts without any label, and so perhaps all alerts.
    """
    content = text.strip()
    if content.startswith("{") and content.endswith("}"):
        content = content[1:-1]
    content = content.strip().removesuffix(",").strip()
    if not content:
        raise ValueError(f"it selects every alert, also those of other teams; {_EXAMPLE}")
    matchers = list(_matchers(content))
    if all(_matches_empty(operator, value) for _, operator, value in matchers):
        raise ValueError(
            "it selects alerts without any of its labels, and so those of other teams; add a matcher that needs a "
            'label, such as dora_incident="true"'
        )
    return content


def _matchers(content: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, operator and value of each matcher.

    Raises:
        ValueError: if the text has anything else, which would be a query of its own.
    """
    if len(content) > _MAX_LENGTH:
        raise ValueError(f"it is longer than {_MAX_LENGTH} characters")
    position = 0
    while position < len(content):
        match = _MATCHER.match(content, position)
        if match is None:
            raise ValueError(f"it cannot be read from character {position + 1} on; {_EXAMPLE}")
        if match["name"] in _RESERVED:
            raise ValueError(f"{match['name']} cannot be chosen; dora-metrics reads the series ALERTS of firing alerts")
        yield match["name"], match["operator"], match["quoted"][1:-1]
        position = match.end()


def _matches_empty(operator: str, value: str) -> bool:
    """Whether a matcher selects alerts that lack its label, as PromQL has it."""
    match operator:
        case "=":
            return not value
        case "!=":
            return bool(value)
        case _:
            return _fits_empty(value) == (operator == "=~")


def _fits_empty(pattern: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):  # of `[[:alpha:]]`, which Prometheus knows
            return re.fullmatch(pattern, "") is not None
    except (re.error, OverflowError, RecursionError):  # Prometheus refuses what is wrong for it
        return False
