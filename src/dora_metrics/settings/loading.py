"""Action inputs, `.github/dora.yml` and flags become settings; every problem is reported at once.

What is set in several places is taken from the flag, then the input, then the file. An empty text is no value: action
inputs are never absent, only empty.

The config file: `.github/dora.yml`, any of the settings by the same names.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dora_metrics.errors import SettingsError
from dora_metrics.settings.model import INPUT_ONLY, LATER, NAMES, SECRETS, Settings


@dataclass(frozen=True)
class Layer:
    """Settings from one place; `where` names it in messages, as in `input window`."""

    where: str
    values: Mapping[str, object]


def load(layers: Iterable[Layer]) -> Settings:
    """One model from several places, the later ones winning.

    Raises:
        SettingsError: with every problem, each with its place, its value unless secret, and the choices.
    """
    given: dict[str, tuple[str, object]] = {}
    problems: list[str] = []
    for layer in layers:
        for name, value in layer.values.items():
            if name in NAMES and value not in ("", None):
                given[name] = (layer.where, value)
            elif name not in NAMES and name not in LATER:
                problems.append(_unknown(layer.where, name))
    problems += _invalid(given) + _incomplete(given)
    if problems:
        raise SettingsError(problems)
    return Settings.model_validate({name: value for name, (_, value) in given.items()})


def without_effect(layers: Iterable[Layer]) -> tuple[str, ...]:
    """Names that were set and that this version does not use yet."""
    return tuple(
        name for layer in layers for name, value in layer.values.items() if name in LATER and value not in ("", None)
    )


def _unknown(where: str, name: str) -> str:
    import difflib  # noqa: PLC0415 - only for those who misspell

    near = difflib.get_close_matches(name, NAMES, 1)
    return f"{where} {name}: there is no such setting" + (f"; did you mean {near[0]}?" if near else "")


def _invalid(given: Mapping[str, tuple[str, object]]) -> list[str]:
    try:
        Settings.model_validate({name: value for name, (_, value) in given.items()})
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        return [problem for detail in details for problem in _worded(given, detail)]
    return []


def _incomplete(given: Mapping[str, tuple[str, object]]) -> list[str]:
    """Settings that need another one beside them."""
    problems = []
    if given.get("benchmark", ("", None))[1] == "custom" and "custom" not in given:
        problems.append(f"{given['benchmark'][0]} benchmark: custom needs a `custom:` table in the config file")
    for name, other in (("username", "password"), ("password", "username")):
        if f"pushgateway-{name}" in given and f"pushgateway-{other}" not in given:
            problems.append(
                f"{given[f'pushgateway-{name}'][0]} pushgateway-{name}: needs pushgateway-{other} beside it"
            )
    return problems


def _worded(given: Mapping[str, tuple[str, object]], detail: Any) -> list[str]:  # noqa: ANN401 - pydantic's dict
    name = str(detail["loc"][0])
    where, value = given.get(name, ("default", None))
    field = Settings.model_fields[name.replace("-", "_")]
    secret = "SecretStr" in str(field.annotation)
    shown = "" if secret else f"{value!r} "
    match detail["type"]:
        case "value_error":
            return [f"{where} {name}: {problem}" for problem in detail["ctx"]["error"].args]
        case "literal_error":
            item = "" if secret else f"{detail['input']!r} "
            return [f"{where} {name}: {item}is none of {detail['ctx']['expected'].replace(' or ', ', ')}"]
        case _:
            return [f"{where} {name}: {shown}cannot be used: {detail['msg'][:1].lower()}{detail['msg'][1:]}"]


def read(path: Path) -> Layer | None:
    """The settings of a file; None where there is none.

    Raises:
        SettingsError: if it cannot be read, with file and line.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as problem:
        raise SettingsError(f"config {path}: cannot be read ({_why(problem)})") from None
    return layer(str(path), content)


def layer(name: str, content: bytes) -> Layer:
    """The settings in a config file; `name` is how it is called in messages.

    Raises:
        SettingsError: with file and line, or every setting that does not belong there.
    """
    try:
        found = parse(name, content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise SettingsError(f"config {name}: cannot be read (it is not UTF-8)") from None
    misplaced = [setting for setting in found if setting in INPUT_ONLY | SECRETS]
    if misplaced:
        raise SettingsError([f"{name} {setting}: {_why_not(setting)}; set it as an input" for setting in misplaced])
    return Layer(name, found)


def _why_not(name: str) -> str:
    return "a secret does not belong into a file" if name in SECRETS else "says something about one run"


def _why(problem: OSError | ValueError) -> str:
    return str(problem.strerror) if isinstance(problem, OSError) else "its name cannot be one"


def parse(name: str, text: str) -> dict[str, object]:
    """The settings in a YAML text.

    Raises:
        SettingsError: if it is no YAML, or no mapping of names to values.
    """
    import yaml  # noqa: PLC0415 - a run without a config file need not wait for it

    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise SettingsError(_config_worded(name, problem)) from None
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise SettingsError(f"{name}: expected settings, one `name: value` a line")
    return found


def _config_worded(name: str, problem: Exception) -> str:
    mark = getattr(problem, "problem_mark", None)
    place = f"{name}:{mark.line + 1}" if mark else name
    return f"{place}: not YAML: {getattr(problem, 'problem', None) or problem}"
