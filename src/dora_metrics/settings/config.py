"""The config file: `.github/dora.yml`, any of the settings by the same names."""

from pathlib import Path

from dora_metrics.errors import SettingsError
from dora_metrics.settings.loading import Layer
from dora_metrics.settings.model import INPUT_ONLY, SECRETS


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
        raise SettingsError(_worded(name, problem)) from None
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise SettingsError(f"{name}: expected settings, one `name: value` a line")
    return found


def _worded(name: str, problem: Exception) -> str:
    mark = getattr(problem, "problem_mark", None)
    place = f"{name}:{mark.line + 1}" if mark else name
    return f"{place}: not YAML: {getattr(problem, 'problem', None) or problem}"
