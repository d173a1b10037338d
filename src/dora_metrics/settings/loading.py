"""Combines config file, action inputs and flags into Settings, and reports all problems at once.

Flags override inputs, and inputs override the file. An empty text counts as unset: action inputs are never absent, only
empty.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from dora_metrics.core.markdown import storable
from dora_metrics.errors import SettingsError
from dora_metrics.settings.metric_labels import parse_labels
from dora_metrics.settings.model import NAMES, Settings

COMMAND_LINE = "command line"
"""The origin of the settings that are options of a command."""

INPUT = "input"
"""The origin of the inputs of the action. Every other origin is the path of a file."""

_DEFAULT = "default"
"""The origin of a setting that nothing sets."""

_PARTNERS = (
    ("pushgateway-username", "pushgateway-password"),
    ("pushgateway-password", "pushgateway-username"),
    ("remote-write-username", "remote-write-token"),
)
"""Settings, each with another one that it needs."""

_MAX_PROBLEMS = 20
_MAX_PROBLEM_LENGTH = 500


@dataclass(frozen=True)
class Layer:
    """Settings from one place, without characters that cannot be stored.

    `origin` names it in messages, as in `input window`. The values may hold secrets, so they are not shown.
    `problems` are those found when the place was read; they are reported with all others.
    """

    origin: str
    values: Mapping[str, object] = field(repr=False)
    problems: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        try:
            values = _storable(self.values, {})
        except RecursionError:
            raise SettingsError(
                f"{self.origin}: a value is nested too deeply; settings have at most lists in lists"
            ) from None
        object.__setattr__(self, "values", values)


def is_set(value: object) -> bool:
    """Whether a layer sets something: an empty text is an input that was left out."""
    return value not in ("", None)


def _storable(value: Any, finished: dict[int, Any]) -> Any:  # noqa: ANN401 - YAML or JSON
    """Return a value with all its texts, keys among them, as they can be stored.

    A YAML file may refer to one value many times, or to a value in itself, so each is looked at once.
    """
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping | list) and id(value) not in finished:
        finished[id(value)] = value
        if isinstance(value, Mapping):
            items = value.items()
            finished[id(value)] = {_storable(key, finished): _storable(item, finished) for key, item in items}
        else:
            finished[id(value)] = [_storable(item, finished) for item in value]
    return finished.get(id(value), value)


def label(origin: str, name: str) -> str:
    """Return how messages name a setting: `--window`, `input window`, or `.github/dora.yml: window`."""
    if origin == COMMAND_LINE:
        return f"--{name}"
    return f"{origin} {name}" if origin in (INPUT, _DEFAULT) else f"{origin}: {name}"


def load_settings(layers: Iterable[Layer]) -> Settings:
    """Combine layers into settings; later layers override earlier ones.

    Raises:
        SettingsError: with every problem, each with its origin, its value unless secret, and the choices.
    """
    layers = tuple(layers)
    values_by_name, unknown_names = _merge_layers(layers)
    errors = _validation_errors(values_by_name)
    # the rest is only counted: texts for 10,000 names, or for the items of one long list, would take minutes
    unknown = [_unknown_name_problem(*name) for name in unknown_names[:_MAX_PROBLEMS]]
    invalid = [problem for error in errors[:_MAX_PROBLEMS] for problem in _describe_error(values_by_name, error)]
    misplaced = [problem for layer in layers for problem in layer.problems]
    contradictory = [*_team_label_problems(values_by_name), *_endpoint_problems(values_by_name)]
    problems = [*misplaced, *unknown, *invalid, *_incomplete_group_problems(values_by_name), *contradictory]
    if problems:
        further_count = len(unknown_names[_MAX_PROBLEMS:]) + len(errors[_MAX_PROBLEMS:])
        raise SettingsError(_listed(problems, further_count))
    return Settings.model_validate({name: value for name, (_, value) in values_by_name.items()})


def _listed(problems: Sequence[str], further_count: int = 0) -> list[str]:
    """Return the first problems, each at a length that can be read, and how many more there are."""
    first = [text if len(text) <= _MAX_PROBLEM_LENGTH else f"{text[:_MAX_PROBLEM_LENGTH]} …" for text in problems]
    further_count += len(first[_MAX_PROBLEMS:])
    return [*first[:_MAX_PROBLEMS], *([f"{further_count:,} more problems like these"] if further_count else [])]


def _merge_layers(layers: Iterable[Layer]) -> tuple[dict[str, tuple[str, object]], list[tuple[str, str]]]:
    """Return origin and value of each setting that has a value, and origin and name of what is not a setting."""
    values_by_name: dict[str, tuple[str, object]] = {}
    unknown_names = []
    for layer in layers:
        for name, value in layer.values.items():
            if name in NAMES and is_set(value):
                values_by_name[name] = (layer.origin, value)
            elif name not in NAMES:
                unknown_names.append((layer.origin, name))
    return values_by_name, unknown_names


def _unknown_name_problem(origin: str, name: str) -> str:
    import difflib  # noqa: PLC0415 - only needed for unknown names

    close_names = difflib.get_close_matches(name, NAMES, 1)
    return f"{label(origin, name)}: unknown setting" + (f"; did you mean {close_names[0]}?" if close_names else "")


def _validation_errors(values_by_name: Mapping[str, tuple[str, object]]) -> Sequence[Any]:
    try:
        Settings.model_validate({name: value for name, (_, value) in values_by_name.items()})
    except ValidationError as error:
        return error.errors(include_url=False, include_context=True)
    return ()


def _incomplete_group_problems(values_by_name: Mapping[str, tuple[str, object]]) -> list[str]:
    """Return problems with settings that need a second one."""
    problems = []
    if values_by_name.get("benchmark", ("", None))[1] == "custom" and "custom" not in values_by_name:
        problems.append(
            f"{label(values_by_name['benchmark'][0], 'benchmark')}: custom needs a `custom:` table in the config file"
        )
    for name, partner in _PARTNERS:
        if name in values_by_name and partner not in values_by_name:
            problems.append(f"{label(values_by_name[name][0], name)}: needs {partner} as well")
    if "prometheus-url" in values_by_name and "incident-alerts" not in values_by_name:
        place = label(values_by_name["prometheus-url"][0], "prometheus-url")
        problems.append(
            f"{place}: needs incident-alerts as well, the PromQL matchers of the alerts that are incidents, such as "
            'dora_incident="true"; without them it would be every alert'
        )
    return problems


def _team_label_problems(values_by_name: Mapping[str, tuple[str, object]]) -> list[str]:
    """Return the problem that `labels` and `teams` both set a label `team`.

    A label of `labels` is one of the Pushgateway's group, which would replace the team of every series.
    """
    origin, labels = values_by_name.get("labels", (_DEFAULT, {}))
    if not values_by_name.get("teams", (_DEFAULT, {}))[1] or not _has_team(labels):
        return []
    return [
        f"{label(origin, 'labels')}: team is the label that `teams` sets, from the scope of each series; remove it here"
    ]


def _has_team(labels: object) -> bool:
    try:
        return "team" in parse_labels(labels)
    except ValueError:
        return False  # a problem of its own


def _endpoint_problems(values_by_name: Mapping[str, tuple[str, object]]) -> list[str]:
    """Return the problems of `endpoint-url` that depend on its shape or on `endpoints`."""
    if "endpoint-url" not in values_by_name:
        return []
    from dora_metrics.settings.endpoint_list import default_endpoint_problems  # noqa: PLC0415 - most runs have none

    url, template, endpoints = (
        values_by_name.get(name, (_DEFAULT, None))[1] for name in ("endpoint-url", "endpoint-template", "endpoints")
    )
    place = label(values_by_name["endpoint-url"][0], "endpoint-url")
    return [f"{place}: {problem}" for problem in default_endpoint_problems(str(url), template, endpoints)]


def _describe_error(values_by_name: Mapping[str, tuple[str, object]], detail: Any) -> list[str]:  # noqa: ANN401 - pydantic's dict
    name = str(detail["loc"][0])
    origin, value = values_by_name.get(name, (_DEFAULT, None))
    field = Settings.model_fields[name.replace("-", "_")]
    is_secret = "SecretStr" in str(field.annotation)
    match detail["type"]:
        case "value_error":
            return [f"{label(origin, name)}: {problem}" for problem in detail["ctx"]["error"].args]
        case "literal_error":
            item_text = "" if is_secret else f"{detail['input']!r} "
            return [
                f"{label(origin, name)}: {item_text}is not one of {detail['ctx']['expected'].replace(' or ', ', ')}"
            ]
        case _:
            value_text = "" if is_secret else f"{value!r} "
            return [
                f"{label(origin, name)}: {value_text}cannot be used: {detail['msg'][:1].lower()}{detail['msg'][1:]}"
            ]
