"""Layers and their imports, what pure modules may not use, and the length of functions.

docs/architecture.md explains the layers.
"""

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

LONGEST_FUNCTION_LINES = 45

LEAVES = ("", "errors")
"""Modules that every layer may import: the version, and the exceptions."""

LAYERS = {
    "__main__": ("cli", "runtime"),
    "cli": ("commands", "sources", "github", "settings", "core", "runtime"),
    "commands": ("pipeline", "sources", "sinks", "storage", "github", "settings", "core", "runtime", "templates"),
    "pipeline": ("sources", "sinks", "storage", "github", "settings", "core", "runtime", "templates"),
    "storage": ("github", "core", "runtime"),
    "sinks": ("core", "http_session", "runtime"),
    "sources": ("github", "settings", "core", "http_session"),
    "github": ("settings", "core", "http_session", "runtime"),
    "settings": ("core",),
    "schemas": ("settings", "core"),
    "core": (),
    "http_session": ("runtime",),
    "runtime": (),
    "templates": (),
    "errors": (),
    "": (),
}
"""Each layer, and the other layers that it may import. A run goes down this table."""

CORE = (
    ("json_errors",),
    ("cursors", "facts", "formatting", "markdown", "names", "outcome", "schema", "shards", "statistics", "wildcards"),
    ("repository_patterns", "scope", "selection", "versions", "windows"),
    ("alertmanager", "covered_repositories", "gitops", "periods", "services", "targets", "teams"),
    ("policy",),
    ("linking",),
    ("failures",),
    ("metrics",),
    ("ledger",),
    ("reports", "rows"),
    ("shapes",),
)
"""The folders and modules of the core, from the bottom up. Each imports only those in the rows before its own."""

PURE_MODULES = (
    *(
        f"commands.init.{name}"
        for name in (
            "analysis",
            "deploy_targets",
            "files",
            "findings",
            "labels",
            "notes",
            "proposal",
            "publishers",
            "sources",
            "summary",
            "workflows",
            "yaml_nodes",
        )
    ),
    "pipeline.backfill",
    "pipeline.clock",
    "pipeline.evaluate",
    "pipeline.owed",
    "pipeline.plan",
    "pipeline.repository_notes",
    "sources.incidents.facts",
    "sources.incidents.items",
    *(
        f"sources.kubernetes.{name}"
        for name in (
            "application",
            "artefacts",
            "canary",
            "helm_release",
            "kustomization",
            "objects",
            "read",
            "rollout",
        )
    ),
    "sources.prometheus.occurrences",
)
"""Modules outside the core that decide, and are therefore as pure as the core."""

PURE_PACKAGES = {"msgspec", "prometheus_client", "jinja2"}
IMPURE = {
    "asyncio", "ctypes", "glob", "http", "importlib", "io", "locale", "logging", "mmap", "multiprocessing", "os",
    "pathlib",
    "pickle", "random", "secrets", "select", "shelve", "shutil", "signal", "socket", "socketserver", "sqlite3", "ssl",
    "subprocess", "sys", "tempfile", "threading", "time", "urllib.request", "uuid", "warnings", "webbrowser",
}  # fmt: skip
"""Modules of the standard library that use a clock, environment, disk, network, log or random numbers."""

CLOCKS = {"now", "utcnow", "today", "fromtimestamp"}
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__", "breakpoint"}


class Import(NamedTuple):
    line: int
    name: str


def imports(path: Path) -> Iterator[Import]:
    """Yield the full name of every import of a file, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative imports hide the direction"
            module = str(node.module)
            yield from (Import(node.lineno, f"{module}.{alias.name}") for alias in node.names)


def own_imports(path: Path) -> set[str]:
    """Return the modules of this package that a file imports, such as `core.facts.model`."""
    found = set()
    for _, name in imports(path):
        if name.split(".")[0] == PACKAGE:
            parts = name.split(".")[1:]
            while parts and ".".join(parts) not in MODULES and f"{'.'.join(parts)}.__init__" not in MODULES:
                parts.pop()
            found.add(".".join(parts) or "__init__")
    return found


def foreign_imports(path: Path) -> set[str]:
    """Return everything else that a file imports: modules, and names in modules."""
    return {name for _, name in imports(path) if name.split(".")[0] != PACKAGE}


def modules_of(*packages: str) -> list[str]:
    return [name for name in MODULES if name.split(".")[0] in packages]


def within(module: str, *allowed: str) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in allowed)


@pytest.mark.parametrize("module", modules_of("core"))
def test_the_core_imports_itself_the_standard_library_and_three_packages(module: str) -> None:
    outside = {name for name in own_imports(MODULES[module]) if not within(name, "core")}
    assert not outside
    tops = {name.split(".")[0] for name in foreign_imports(MODULES[module])}
    assert tops <= PURE_PACKAGES | sys.stdlib_module_names


@pytest.mark.parametrize("module", [*modules_of("core"), *PURE_MODULES])
def test_pure_modules_use_no_clock_environment_disk_network_log_or_random_numbers(module: str) -> None:
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
    assert {layer_of(name) for name in own_imports(MODULES[module])} <= {layer, *LEAVES, *LAYERS[layer]}


@pytest.mark.parametrize("module", modules_of("core"))
def test_imports_within_the_core_follow_its_order(module: str) -> None:
    for name in own_imports(MODULES[module]):
        is_same = name == "core" or core_part_of(name) == core_part_of(module)
        assert is_same or row_of(name) < row_of(module), name


def layer_of(module: str) -> str:
    return "" if module == "__init__" else module.split(".", maxsplit=1)[0]


def core_part_of(module: str) -> str:
    """Return the folder or module of the core: `facts` for `core.facts.model`."""
    return module.split(".")[1]


def row_of(module: str) -> int:
    return next(number for number, parts in enumerate(CORE) if core_part_of(module) in parts)


def test_only_the_command_line_uses_the_process_environment() -> None:
    using = {
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "argv", "getenv")
    }
    assert using <= {"__main__", "cli", "schemas"}, "schemas is a script of the repository"


@pytest.mark.parametrize("module", MODULES)
def test_no_function_is_longer_than_45_lines(module: str) -> None:
    long = {
        f"{node.name}: {lines}"
        for node in ast.walk(ast.parse(MODULES[module].read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION_LINES
    }
    assert not long
