"""The config file: `.github/dora.yml`, any of the settings by the same names."""

from pathlib import Path

from dora_metrics.errors import SettingsError
from dora_metrics.layers import Layer
from dora_metrics.settings import INPUT_ONLY, SECRETS


def read(path: Path, *, required: bool) -> Layer:
    """The settings of a file; none where it does not exist and need not.

    Raises:
        SettingsError: if it cannot be read, with file and line.
    """
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        if required:
            raise SettingsError(f"config {path}: there is no such file") from None
        return Layer(str(path), {})
    except (OSError, ValueError) as problem:
        raise SettingsError(f"config {path}: cannot be read ({_why(problem)})") from None
    found = parse(str(path), text)
    misplaced = [name for name in found if name in INPUT_ONLY | SECRETS]
    if misplaced:
        raise SettingsError([f"{path} {name}: {_why_not(name)}; set it as an input" for name in misplaced])
    return Layer(str(path), found)


def _why_not(name: str) -> str:
    return "a secret does not belong into a file" if name in SECRETS else "says something about one run"


def _why(problem: OSError | ValueError) -> str:
    if isinstance(problem, OSError):
        return str(problem.strerror)
    return "it is not UTF-8" if isinstance(problem, UnicodeDecodeError) else "its name cannot be one"


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
