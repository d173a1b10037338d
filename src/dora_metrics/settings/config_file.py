"""Reads a config file (`.github/dora.yml`), which may hold any setting except those of NEVER_IN_FILES.

Only a path with nothing at it means that there is no such file. Whatever else prevents reading it is an error.
"""

import os
import stat
from pathlib import Path

from dora_metrics.errors import SettingsError
from dora_metrics.settings.loading import Layer, label
from dora_metrics.settings.model import DEFAULT_CONFIG, NEVER_IN_FILES, SECRETS

MAX_CONFIG_BYTES = 500_000
"""Of a config file. One of a monorepo with 1,000 services has 100,000."""


def read_config_file(path: Path, folder: Path | None = None) -> Layer | None:
    """Read the settings of a file, None if nothing is at the path.

    Args:
        path: the file.
        folder: where the file must be a regular one, wherever links lead; None for a file that a person names.

    Raises:
        SettingsError: if it cannot be read; the message has file and line.
    """
    try:
        content = _read(path if folder is None else _resolve_within(folder, path))
    except FileNotFoundError:
        if _has_broken_link(path, folder or path.parent):
            raise _unusable(path, "it is a broken link; replace it with a file that has the settings") from None
        return None
    except (OSError, ValueError) as error:
        raise _unusable(path, str(error.strerror) if isinstance(error, OSError) else "its name is not valid") from None
    return config_layer(str(path), content)


def read_chosen_config(named: Path | None) -> Layer | None:
    """Read the config file that a person named; otherwise the one in the current folder, None if that has none.

    Raises:
        SettingsError: if it cannot be read, or there is none of that name.
    """
    if named is None:
        return read_config_file(DEFAULT_CONFIG, Path())
    config = read_config_file(named)
    if config is None:
        raise SettingsError(f"--config {named}: there is no such file")
    return config


def _resolve_within(folder: Path, path: Path) -> Path:
    """Return the regular file that a path leads to.

    Raises:
        OSError: if nothing is there, or it cannot be reached.
        SettingsError: if it is outside of the folder, or not a file.
    """
    resolved = Path(os.path.realpath(path, strict=True))
    if not resolved.is_relative_to(folder.resolve()):
        reason = "it links to a file outside the checkout; put the settings into the file itself"
        raise _unusable(path, reason)
    mode = resolved.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise _unusable(path, "it is not a regular file")
    return resolved


def _has_broken_link(path: Path, folder: Path) -> bool:
    """Whether a path below a folder leads to nothing by way of a link."""
    below = [path, *(parent for parent in path.parents if parent != folder and parent.is_relative_to(folder))]
    return any(os.path.islink(part) for part in below)  # noqa: PTH114 - Path.is_symlink may raise an error


def _read(path: Path) -> bytes:
    """Return the content; that of a larger file ends after the first byte too many."""
    with path.open("rb") as file:
        return file.read(MAX_CONFIG_BYTES + 1)


def _unusable(path: Path | str, reason: str) -> SettingsError:
    return SettingsError(f"config {path}: cannot be read ({reason})")


def check_size(name: str, size_bytes: int) -> None:
    """Accept a config file of this size.

    Raises:
        SettingsError: if it is too large; `name` is its name in messages.
    """
    if size_bytes > MAX_CONFIG_BYTES:
        reason = f"it is larger than {MAX_CONFIG_BYTES:,} bytes, so probably not the intended file; check its path"
        raise _unusable(name, reason)


def config_layer(name: str, content: bytes) -> Layer:
    """Parse the content of a config file. `name` is its name in messages.

    Settings that are not allowed in a file are problems of the layer, so that they hide no others.

    Raises:
        SettingsError: with file and line.
    """
    check_size(name, len(content))
    try:
        values = parse_config(name, content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise _unusable(name, "it is not UTF-8") from None
    misplaced = [setting for setting in values if setting in NEVER_IN_FILES]
    return Layer(
        name,
        {setting: value for setting, value in values.items() if setting not in misplaced},
        tuple(f"{label(name, setting)}: {_misplacement_reason(setting)}; set it as an input" for setting in misplaced),
    )


def _misplacement_reason(name: str) -> str:
    if name in SECRETS:
        return "a secret does not belong in a file"
    return "a file must not say where tokens go" if name == "incident-hosts" else "it belongs to one run"


def parse_config(name: str, text: str) -> dict[str, object]:
    """Parse a YAML text as values by the name of the setting.

    Raises:
        SettingsError: if it is not YAML, or not a mapping of names to values.
    """
    values = _load_yaml(name, text)
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise SettingsError(f"{name}: expected one `name: value` per line")
    return values


def _load_yaml(name: str, text: str) -> object:
    import yaml  # noqa: PLC0415 - not needed without a config file

    from dora_metrics.settings import yaml_text  # noqa: PLC0415 - as above

    try:
        return yaml_text.load(text)
    except yaml_text.YamlLimitError as limit:
        raise SettingsError(f"config {_place(name, limit)}: cannot be used: {limit.problem}") from None
    except yaml_text.InvalidValueError as error:
        raise SettingsError(f"{_place(name, error)}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise SettingsError(
            f"{_place(name, error)}: not valid YAML: {getattr(error, 'problem', None) or error}"
        ) from None


def _place(name: str, error: Exception) -> str:
    """Return the file and, if the error has one, the line."""
    mark = getattr(error, "problem_mark", None)
    return f"{name}:{mark.line + 1}" if mark else name
