"""Print the settings of pip or uv that say how an index is reached, as variables; run.sh installs with no others.

On a self-hosted runner, a settings file may be an earlier job's. It could add a package, or name another place for all.
Hashes say what may come from an index, so it does no harm to read which one to ask.

`index_settings.py pip` reads what `pip config list` prints; `index_settings.py uv` reads uv's files. Both print
`NAME=value`, each followed by a null character, since a value may have several lines.
"""

import ast
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

PIP_SECTIONS = ("global", "install", ":env:")
"""Each overrides the ones before it."""

PIP_SETTINGS = {
    "index-url": "index-url",
    "pypi-url": "index-url",
    "extra-index-url": "extra-index-url",
    "no-index": "no-index",
    "find-links": "find-links",
    "proxy": "proxy",
    "cert": "cert",
    "client-cert": "client-cert",
    "trusted-host": "trusted-host",
    "keyring-provider": "keyring-provider",
    "timeout": "timeout",
    "default-timeout": "timeout",
    "retries": "retries",
}
"""What pip calls a setting, and the name of it that is passed on."""

UV_VARIABLES = re.compile(
    r"UV_(DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|INDEX_STRATEGY|INDEX_\w+_(USERNAME|PASSWORD)|FIND_LINKS|NO_INDEX"
    r"|OFFLINE|INSECURE_HOST|NATIVE_TLS|SYSTEM_CERTS|KEYRING_PROVIDER|CREDENTIALS_DIR|REQUEST_TIMEOUT"
    r"|HTTP_(TIMEOUT|CONNECT_TIMEOUT|RETRIES)|(HTTPS?|ALL|NO)_PROXY)"
)
UV_SETTINGS = {
    "index-url": "UV_INDEX_URL",
    "extra-index-url": "UV_EXTRA_INDEX_URL",
    "index-strategy": "UV_INDEX_STRATEGY",
    "find-links": "UV_FIND_LINKS",
    "allow-insecure-host": "UV_INSECURE_HOST",
    "native-tls": "UV_NATIVE_TLS",
    "system-certs": "UV_SYSTEM_CERTS",
    "keyring-provider": "UV_KEYRING_PROVIDER",
}
UV_DEFAULT_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL")


def pip_variables(listing: Iterable[str]) -> dict[str, str]:
    """The variables for the settings that pip lists, such as `global.index-url='https://packages.example/simple'`."""
    settings: dict[tuple[int, str], str] = {}
    for line in listing:
        key, _, value = line.rstrip("\n").partition("=")
        section, _, name = key.rpartition(".")
        if section in PIP_SECTIONS and name in PIP_SETTINGS:
            settings[PIP_SECTIONS.index(section), PIP_SETTINGS[name]] = str(ast.literal_eval(value))
    return {f"PIP_{name.upper().replace('-', '_')}": settings[section, name] for section, name in sorted(settings)}


def uv_variables(environment: Mapping[str, str], system: str) -> dict[str, str]:
    """The variables of uv that are passed on, and those for the settings in its files, which have less weight."""
    variables = {name: value for name, value in environment.items() if UV_VARIABLES.fullmatch(name)}
    for path in uv_files(environment, system):
        if path.is_file():
            variables = variables_of_uv_settings(tomllib.loads(path.read_text("utf-8")), variables) | variables
    return variables


def uv_files(environment: Mapping[str, str], system: str) -> list[Path]:
    """The files that hold for the whole machine, strongest first. Those of a folder could be anybody's."""
    if environment.get("UV_NO_CONFIG"):
        return []
    if path := environment.get("UV_CONFIG_FILE"):
        return [Path(path)]
    if system == "win32":
        folders = [Path(environment[name]) for name in ("APPDATA", "PROGRAMDATA") if name in environment]
    else:
        home = environment.get("XDG_CONFIG_HOME") or f"{environment.get('HOME', '')}/.config"
        shared = (environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
        folders = [Path(folder) for folder in (home, *shared, "/etc")]
    return [Path(folder, "uv", "uv.toml") for folder in folders]


def variables_of_uv_settings(settings: Mapping[str, Any], stronger: Mapping[str, str]) -> dict[str, str]:
    """The variables for the settings of one file; the index to ask first is not taken from it if that is known."""
    variables = {
        UV_SETTINGS[name]: text(name, value)
        for name, value in (settings.get("pip", {}) | settings).items()
        if name in UV_SETTINGS
    }
    variables |= dict(variables_of_uv_indexes(settings.get("index", [])))
    has_default = any(name in stronger for name in UV_DEFAULT_INDEXES)
    return {name: value for name, value in variables.items() if not (has_default and name in UV_DEFAULT_INDEXES)}


def variables_of_uv_indexes(indexes: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the variables for `[[index]]`; one that is `explicit` is for packages that name it, as none here does."""
    usable = [index for index in indexes if not index.get("explicit")]
    for name, is_default in (("UV_DEFAULT_INDEX", True), ("UV_INDEX", False)):
        addresses = [address_of(index) for index in usable if bool(index.get("default")) == is_default]
        if addresses:
            yield name, " ".join(addresses)


def address_of(index: Mapping[str, Any]) -> str:
    """The address, with the name under which its user and password are in variables."""
    return f"{index['name']}={index['url']}" if "name" in index else str(index["url"])


def text(name: str, value: object) -> str:
    """The value of a setting as uv reads it from a variable."""
    match value:
        case bool():
            return str(value).lower()
        case list():
            return ("," if name == "find-links" else " ").join(map(str, value))
    return str(value)


def main() -> None:
    if sys.argv[1] == "pip":
        # pip reads no file at all if this names the system's null device.
        variables = pip_variables(sys.stdin) | {"PIP_CONFIG_FILE": os.devnull}
    else:
        variables = uv_variables(os.environ, sys.platform) | {"UV_NO_CONFIG": "1"}
    for name, value in variables.items():
        sys.stdout.buffer.write(os.fsencode(f"{name}={value}") + b"\0")


if __name__ == "__main__":
    main()
