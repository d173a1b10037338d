"""The setting `labels`: static labels of every Prometheus series, such as a cluster or a team."""

import re
from collections.abc import Iterator, Mapping

RESERVED = frozenset(
    {"job", "instance", "repository", "service", "environment", "source", "severity", "window", "metric", "le"}
    | {"level", "rank", "benchmark", "version"}
)
"""Labels that the series have themselves, or that Prometheus adds when it scrapes."""

NAME_PATTERN = "^[a-zA-Z_][a-zA-Z0-9_]*$"
MAX_LABELS = 5
MAX_VALUE_LENGTH = 200


def parse_labels(value: object) -> dict[str, str]:
    """Parse labels: a YAML mapping, or a text such as `cluster: eu-1, team=shop` with commas or line breaks.

    Raises:
        ValueError: with all problems, joined by `; `.
    """
    pairs = list(value.items() if isinstance(value, Mapping) else _pairs_of_text(value))
    if len(pairs) > MAX_LABELS:
        raise ValueError(f"{len(pairs)} labels are too many; at most {MAX_LABELS} are possible")
    problems = [problem for name, each in pairs if (problem := _problem(name, each))]
    names = [str(name) for name, _ in pairs]
    problems += [f"{name!r} is there twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    if problems:
        raise ValueError("; ".join(problems))
    return {str(name): str(each).strip() for name, each in pairs}


def _pairs_of_text(value: object) -> Iterator[tuple[str, str]]:
    """Yield name and value of each item.

    Raises:
        ValueError: if the value is no text, or if an item is no pair.
    """
    if not isinstance(value, str):
        raise ValueError("expected labels such as cluster: eu-1")  # noqa: TRY004 - pydantic expects ValueError
    text = value.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    for item in filter(None, map(str.strip, re.split(r"[,\n]", text))):
        name, *label_value = re.split("[:=]", item, maxsplit=1)
        if not label_value:
            raise ValueError(f"{item!r} is not a label; write one such as cluster: eu-1")
        yield _unquoted(name), _unquoted(label_value[0])


def _unquoted(text: str) -> str:
    text = text.strip()
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if is_quoted else text


def _problem(name: object, value: object) -> str:
    """Say what is wrong with a label; empty if nothing is."""
    if not isinstance(name, str) or not re.fullmatch(NAME_PATTERN[1:-1], name):
        return f"{name!r} is not a name of a label; write letters, digits and _, and begin with no digit"
    if name.startswith("__") or name in RESERVED:
        return f"{name!r} is a label that the metrics or Prometheus have already; choose another name"
    if isinstance(value, bool | float):  # YAML reads `no` as false, and 1.10 as 1.1
        return f"{name}: {str(value).lower()} is not a string in YAML; put the value in quotes"
    if not isinstance(value, str | int) or not str(value).strip():
        return f"{name}: a label needs a value"
    return _text_problem(name, str(value).strip())


def _text_problem(name: str, text: str) -> str:
    if len(text) > MAX_VALUE_LENGTH:
        return f"{name}: the value is longer than {MAX_VALUE_LENGTH} characters"
    return "" if text.isprintable() else f"{name}: {text!r} has characters that cannot be printed"
