"""Combines config file, action inputs and flags into Settings, and reports all problems at once.

Flags override inputs, and inputs override the file. An empty text counts as unset: action inputs are never absent, only
empty. The config file (`.github/dora.yml`) may hold any setting except those of INPUT_ONLY and SECRETS.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dora_metrics.core.markdown import storable
from dora_metrics.errors import SettingsError
from dora_metrics.settings.model import INPUT_ONLY, NAMES, NOT_YET_SUPPORTED, SECRETS, Settings


@dataclass(frozen=True)
class Layer:
    """Settings from one place, without characters that cannot be stored.

    `origin` names it in messages, as in `input window`.
    """

    origin: str
    values: Mapping[str, object]

    def __post_init__(self) -> None:
        try:
            values = _storable(self.values, {})
        except RecursionError:
            raise SettingsError(
                f"{self.origin}: a value is nested too deeply; settings have at most lists in lists"
            ) from None
        object.__setattr__(self, "values", values)


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


def load_settings(layers: Iterable[Layer]) -> Settings:
    """Combine layers into settings; later layers override earlier ones.

    Raises:
        SettingsError: with every problem, each with its origin, its value unless secret, and the choices.
    """
    problems: list[str] = []
    values_by_name = _merge_layers(layers, problems)
    problems += _validation_problems(values_by_name) + _incomplete_group_problems(values_by_name)
    if problems:
        raise SettingsError(problems)
    return Settings.model_validate({name: value for name, (_, value) in values_by_name.items()})


def _merge_layers(layers: Iterable[Layer], problems: list[str]) -> dict[str, tuple[str, object]]:
    """Return origin and value of each setting that has a value. Unknown names are added to `problems`."""
    values_by_name: dict[str, tuple[str, object]] = {}
    for layer in layers:
        for name, value in layer.values.items():
            if name in NAMES and value not in ("", None):
                values_by_name[name] = (layer.origin, value)
            elif name not in NAMES and name not in NOT_YET_SUPPORTED:
                problems.append(_unknown_name_problem(layer.origin, name))
    return values_by_name


def names_without_effect(layers: Iterable[Layer]) -> tuple[str, ...]:
    """Return the settings that are set and not supported yet."""
    return tuple(
        name
        for layer in layers
        for name, value in layer.values.items()
        if name in NOT_YET_SUPPORTED and value not in ("", None)
    )


def _unknown_name_problem(origin: str, name: str) -> str:
    import difflib  # noqa: PLC0415 - only needed for unknown names

    close_names = difflib.get_close_matches(name, NAMES, 1)
    return f"{origin} {name}: there is no such setting" + (f"; did you mean {close_names[0]}?" if close_names else "")


def _validation_problems(values_by_name: Mapping[str, tuple[str, object]]) -> list[str]:
    try:
        Settings.model_validate({name: value for name, (_, value) in values_by_name.items()})
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        return [problem for detail in details for problem in _describe_error(values_by_name, detail)]
    return []


def _incomplete_group_problems(values_by_name: Mapping[str, tuple[str, object]]) -> list[str]:
    """Return problems with settings that need a second one."""
    problems = []
    if values_by_name.get("benchmark", ("", None))[1] == "custom" and "custom" not in values_by_name:
        problems.append(
            f"{values_by_name['benchmark'][0]} benchmark: custom needs a `custom:` table in the config file"
        )
    for name, partner in (("username", "password"), ("password", "username")):
        if f"pushgateway-{name}" in values_by_name and f"pushgateway-{partner}" not in values_by_name:
            problems.append(
                f"{values_by_name[f'pushgateway-{name}'][0]} pushgateway-{name}: needs pushgateway-{partner} beside it"
            )
    return problems


def _describe_error(values_by_name: Mapping[str, tuple[str, object]], detail: Any) -> list[str]:  # noqa: ANN401 - pydantic's dict
    name = str(detail["loc"][0])
    origin, value = values_by_name.get(name, ("default", None))
    field = Settings.model_fields[name.replace("-", "_")]
    is_secret = "SecretStr" in str(field.annotation)
    value_text = "" if is_secret else f"{value!r} "
    match detail["type"]:
        case "value_error":
            return [f"{origin} {name}: {problem}" for problem in detail["ctx"]["error"].args]
        case "literal_error":
            item_text = "" if is_secret else f"{detail['input']!r} "
            return [f"{origin} {name}: {item_text}is none of {detail['ctx']['expected'].replace(' or ', ', ')}"]
        case _:
            return [f"{origin} {name}: {value_text}cannot be used: {detail['msg'][:1].lower()}{detail['msg'][1:]}"]


def read_config_file(path: Path) -> Layer | None:
    """Read the settings of a file, None if there is no such file.

    Raises:
        SettingsError: if it cannot be read; the message has file and line.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as problem:
        raise SettingsError(f"config {path}: cannot be read ({_read_error_reason(problem)})") from None
    return config_layer(str(path), content)


def config_layer(name: str, content: bytes) -> Layer:
    """Parse the content of a config file. `name` is its name in messages.

    Raises:
        SettingsError: with file and line, or with every setting that is not allowed in a file.
    """
    try:
        values = parse_config(name, content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise SettingsError(f"config {name}: cannot be read (it is not UTF-8)") from None
    misplaced = [setting for setting in values if setting in INPUT_ONLY | SECRETS]
    if misplaced:
        raise SettingsError(
            [f"{name} {setting}: {_misplacement_reason(setting)}; set it as an input" for setting in misplaced]
        )
    return Layer(name, values)


def _misplacement_reason(name: str) -> str:
    return "a secret does not belong into a file" if name in SECRETS else "says something about one run"


def _read_error_reason(problem: OSError | ValueError) -> str:
    return str(problem.strerror) if isinstance(problem, OSError) else "its name cannot be one"


def parse_config(name: str, text: str) -> dict[str, object]:
    """Parse a YAML text as values by the name of the setting.

    Raises:
        SettingsError: if it is not YAML, or not a mapping of names to values.
    """
    values = _load_yaml(name, text)
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise SettingsError(f"{name}: expected settings, one `name: value` a line")
    return values


def _load_yaml(name: str, text: str) -> object:
    import yaml  # noqa: PLC0415 - not needed without a config file

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise SettingsError(_describe_yaml_error(name, problem)) from None


def _describe_yaml_error(name: str, problem: Exception) -> str:
    mark = getattr(problem, "problem_mark", None)
    location = f"{name}:{mark.line + 1}" if mark else name
    return f"{location}: not YAML: {getattr(problem, 'problem', None) or problem}"
