"""DESIGN §1: which layer may import which, what the core may not use, and the length of functions."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from support.paths import ROOT

PACKAGE = "dora_metrics"
SOURCE = ROOT / "src" / PACKAGE
MODULES = {
    path.relative_to(SOURCE).with_suffix("").as_posix().replace("/", "."): path for path in sorted(SOURCE.rglob("*.py"))
}

LONGEST_FUNCTION = 45
LONGEST_FILE = 600

LEAVES = ("", "errors")
"""Modules that everything may import: the version, and the exceptions."""

LAYERS = {
    "__main__": ("cli", "runtime"),
    "cli": ("commands", "sources", "settings", "core", "runtime"),
    "commands": ("pipeline", "sources", "sinks", "storage", "github", "settings", "core", "runtime", "templates"),
    "pipeline": ("sources", "sinks", "storage", "github", "settings", "core", "runtime", "templates"),
    "storage": ("github", "core"),
    "sinks": ("core", "http_session", "runtime"),
    "sources": ("github", "settings", "core", "http_session"),
    "github": ("settings", "core", "http_session"),
    "settings": ("core",),
    "schemas": ("settings", "core"),
    "core": (),
    "http_session": (),
    "runtime": (),
    "templates": (),
    "errors": (),
    "": (),
}
"""Each layer, and the layers that it may import. A run goes down this table."""

CORE = (
    ("cursors", "facts", "formatting", "markdown", "outcome", "schema", "statistics"),
    ("scope", "selection", "windows"),
    ("periods", "services", "targets"),
    ("policy",),
    ("linking",),
    ("failures",),
    ("metrics",),
    ("ledger",),
    ("reports",),
)
"""The packages of the core, bottom up: each imports only those above it in this list."""

DECIDING = tuple(
    f"commands.init.{name}" for name in ("files", "findings", "proposal", "summary", "workflows", "yaml_nodes")
)
"""The pure modules of `init`, held to the same rules as the core."""

PURE_PACKAGES = {"msgspec", "prometheus_client", "jinja2"}
IMPURE = {
    "asyncio", "ctypes", "glob", "http", "importlib", "io", "locale", "logging", "mmap", "multiprocessing", "os",
    "pathlib",
    "pickle", "random", "secrets", "select", "shelve", "shutil", "signal", "socket", "socketserver", "sqlite3", "ssl",
    "subprocess", "sys", "tempfile", "threading", "time", "urllib.request", "uuid", "warnings", "webbrowser",
}  # fmt: skip
"""Impure modules of the standard library: clock, environment, disk, network, logging, randomness."""

CLOCKS = {"now", "utcnow", "today", "fromtimestamp"}
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__", "breakpoint"}


class Import(NamedTuple):
    line: int
    name: str


def imports(path: Path) -> Iterator[Import]:
    """Full name of every module that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative imports hide the direction"
            module = str(node.module)
            yield from (Import(node.lineno, f"{module}.{alias.name}") for alias in node.names)


def own(path: Path) -> set[str]:
    """Modules of this package that a file imports: `core.facts` for `dora_metrics.core.facts.Fact`."""
    found = set()
    for _, name in imports(path):
        if name.split(".")[0] == PACKAGE:
            parts = name.split(".")[1:]
            while parts and ".".join(parts) not in MODULES and f"{'.'.join(parts)}.__init__" not in MODULES:
                parts.pop()
            found.add(".".join(parts) or "__init__")
    return found


def foreign(path: Path) -> set[str]:
    """All other imports of a file: modules, and names of modules."""
    return {name for _, name in imports(path) if name.split(".")[0] != PACKAGE}


def of(*packages: str) -> list[str]:
    return [name for name in MODULES if name.split(".")[0] in packages]


def within(module: str, *allowed: str) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in allowed)


@pytest.mark.parametrize("module", of("core"))
def test_the_core_imports_the_core_the_standard_library_and_three_packages(module: str) -> None:
    outside = {name for name in own(MODULES[module]) if not within(name, "core")}
    assert not outside
    tops = {name.split(".")[0] for name in foreign(MODULES[module])}
    assert tops <= PURE_PACKAGES | sys.stdlib_module_names


@pytest.mark.parametrize("module", [*of("core"), *DECIDING])
def test_what_decides_has_no_clock_environment_disk_network_logging_or_chance(module: str) -> None:
    for line, name in imports(MODULES[module]):
        assert not any(within(name, impure) for impure in IMPURE), f"line {line} imports {name}"
    for node in ast.walk(ast.parse(MODULES[module].read_text("utf-8"))):
        if isinstance(node, ast.Attribute):
            on_a_class = isinstance(node.value, ast.Name) and node.value.id in ("datetime", "date", "time")
            assert not (node.attr in CLOCKS and on_a_class), f"line {node.lineno} reads a clock"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in IMPURE_CALLS, f"line {node.lineno} calls {node.func.id}"


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_the_layers(module: str) -> None:
    layer = layer_of(module)
    assert {layer_of(name) for name in own(MODULES[module])} <= {layer, *LEAVES, *LAYERS[layer]}


@pytest.mark.parametrize("module", of("core"))
def test_imports_go_up_the_rooms_of_the_core(module: str) -> None:
    for name in own(MODULES[module]):
        assert name == "core" or room_of(name) == room_of(module) or floor_of(name) < floor_of(module), name


def layer_of(module: str) -> str:
    return "" if module == "__init__" else module.split(".", maxsplit=1)[0]


def room_of(module: str) -> str:
    return module.split(".")[1]


def floor_of(module: str) -> int:
    return next(number for number, rooms in enumerate(CORE) if room_of(module) in rooms)


def test_the_process_environment_is_touched_in_one_place() -> None:
    touching = {
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "argv", "getenv")
    }
    assert touching <= {"__main__", "cli", "schemas"}, "schemas is a script of the repository's own"


@pytest.mark.parametrize("module", MODULES)
def test_no_function_is_longer_than_45_lines_and_no_file_than_600(module: str) -> None:
    text = MODULES[module].read_text("utf-8")
    long = {
        f"{node.name}: {lines}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    }
    assert not long
    assert text.count("\n") <= LONGEST_FILE
