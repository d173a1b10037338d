"""Figures of the code's structure: names, sizes, layers, and the path of one event (`make figures`)."""

import ast
import json
import math
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property
from io import BytesIO, StringIO
from pathlib import Path
from types import FrameType

from dora_metrics import cli
from dora_metrics.runtime import Runtime

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "dora_metrics"
SOURCE = ROOT / "src" / PACKAGE

VAGUE_WORDS = frozenset({"found", "one", "seen", "known", "said", "given", "asked", "told", "wanted"})
"""Words that say nothing about what a variable holds."""

LAYERS = ("__main__", "cli", "commands", "pipeline", "sources", "sinks", "storage", "github", "settings", "core")
"""From the top down; a call from a lower layer to a higher one goes against the design."""


@dataclass(frozen=True)
class Module:
    """One source file. `name` is its path below the package without suffix, with dots."""

    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    @property
    def is_at_root(self) -> bool:
        return "." not in self.name


def modules(source: Path = SOURCE) -> list[Module]:
    """Every module of the package, `__init__.py` files included."""
    paths = sorted(source.rglob("*.py"))
    return [
        Module(p.relative_to(source).with_suffix("").as_posix().replace("/", "."), p.read_text("utf-8")) for p in paths
    ]


def identifiers(tree: ast.Module) -> Iterator[str]:
    """Each use of a name: variables, parameters, attributes, keywords, functions and classes."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.keyword(arg=str(name)):
                yield name


def vague_words_per_1000_lines(package: list[Module]) -> float:
    uses = sum(name in VAGUE_WORDS for module in package for name in identifiers(module.tree))
    return 1000 * uses / sum(module.lines for module in package)


def repeated_types(package: list[Module]) -> dict[str, list[str]]:
    """Names of types that more than one module defines, with those modules."""
    places: defaultdict[str, set[str]] = defaultdict(set)
    for module in package:
        for name in type_names(module.tree):
            places[name].add(module.name)
    return {name: sorted(where) for name, where in sorted(places.items()) if len(where) > 1}


def type_names(tree: ast.Module) -> Iterator[str]:
    """Classes, and aliases of types: assignments at module level to a name in CamelCase."""
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if re.fullmatch(r"_?[A-Z][A-Za-z]*[a-z][A-Za-z]*", name):
                    yield name


def function_lengths(package: list[Module]) -> list[int]:
    """Lines of each function, decorators left out."""
    functions = (n for m in package for n in ast.walk(m.tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return sorted((node.end_lineno or node.lineno) - node.lineno + 1 for node in functions)


def import_cycles(package: list[Module]) -> int:
    """Groups of modules that import each other; imports inside functions and for types alone count as well."""
    names = {module.name.removesuffix(".__init__") for module in package}
    graph = {module.name.removesuffix(".__init__"): set(own_imports(module.tree, names)) for module in package}
    return sum(len(group) > 1 for group in strongly_connected(graph))


def own_imports(tree: ast.Module, names: set[str]) -> Iterator[str]:
    """The modules of this package that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            for alias in node.names:
                parts = f"{node.module}.{alias.name}".split(".")[1:]
                while parts and ".".join(parts) not in names:
                    parts.pop()
                if parts:
                    yield ".".join(parts)


def strongly_connected(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """Tarjan's algorithm: https://doi.org/10.1137/0201010."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[set[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for successor in graph.get(node, ()):
            if successor not in index:
                visit(successor)
                low[node] = min(low[node], low[successor])
            elif successor in stack:
                low[node] = min(low[node], index[successor])
        if low[node] == index[node]:
            position = stack.index(node)
            groups.append(set(stack[position:]))
            del stack[position:]

    for node in graph:
        if node not in index:
            visit(node)
    return groups


LEAD_TIME_FUNCTION = "measure_lead_times"


@dataclass
class EventTrace:
    """What the profiler saw of one event.

    Attributes:
        path: the functions from the process down to the lead times, as `file:function`.
        upward_calls: calls that take the settings or the context to a higher layer, by caller and callee.
    """

    path: list[str] = field(default_factory=list)
    upward_calls: Counter[str] = field(default_factory=Counter)

    @property
    def files(self) -> int:
        return len({place.partition(":")[0] for place in self.path})

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call" or (place := place_of(frame)) is None:
            return
        if frame.f_code.co_name == LEAD_TIME_FUNCTION and not self.path:
            places = [place_of(f) for f in reversed(list(callers(frame)))]
            self.path = ["__main__.py:main", *(p for p in places if p)]
        caller = place_of(frame.f_back) if frame.f_back else None
        if caller and layer_of(caller) > layer_of(place) and holds_settings(frame):
            self.upward_calls[f"{caller} -> {place}"] += 1


def callers(frame: FrameType) -> Iterator[FrameType]:
    current: FrameType | None = frame
    while current:
        yield current
        current = current.f_back


def place_of(frame: FrameType) -> str | None:
    """`pipeline/record.py:record` for a frame of this package."""
    module = path_in_package(frame.f_code.co_filename)
    return f"{module}:{frame.f_code.co_name}" if module else None


@cache
def path_in_package(filename: str) -> Path | None:
    path = Path(filename)
    return path.relative_to(SOURCE) if path.is_relative_to(SOURCE) else None


def layer_of(place: str) -> int:
    top = place.partition(":")[0].partition("/")[0].removesuffix(".py")
    return LAYERS.index(top) if top in LAYERS else len(LAYERS)


def holds_settings(frame: FrameType) -> bool:
    """Whether the settings or the context of the run are among the arguments of a call."""
    names = frame.f_code.co_varnames[: frame.f_code.co_argcount + frame.f_code.co_kwonlyargcount]
    return any(type(frame.f_locals.get(name)).__name__ in ("Settings", "RunContext") for name in names)


def trace_event() -> EventTrace:
    """Follow one event of the sample data through the action, with a ledger in a folder."""
    trace = EventTrace()
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "GITHUB_EVENT_NAME": "repository_dispatch",
            "GITHUB_EVENT_PATH": str(SOURCE / "sample" / "event.json"),
            "GITHUB_REPOSITORY": "acme/shop",
            "GITHUB_WORKSPACE": folder,
            "DORA_INPUTS": json.dumps({"ledger": "dir:ledger"}),
        }
        now = datetime(2026, 11, 21, 9, 5, tzinfo=UTC)
        runtime = Runtime(environment, BytesIO(), StringIO(), StringIO(), now, lambda _seconds: None)
        sys.setprofile(trace)
        try:
            cli.run(["action"], runtime)
        finally:
            sys.setprofile(None)
    return trace


@dataclass(frozen=True)
class Figures:
    """All figures; what each one should be is in tests/architecture/test_figures.py."""

    root_modules: int
    vague_words: float
    repeated_types: dict[str, list[str]]
    import_cycles: int
    function_lengths: list[int]
    trace: EventTrace

    def quantile(self, share: float) -> int:
        """The length that this share of all functions does not pass."""
        return self.function_lengths[math.ceil(share * len(self.function_lengths)) - 1]


def measure() -> Figures:
    package = modules()
    return Figures(
        root_modules=sum(module.is_at_root for module in package),
        vague_words=vague_words_per_1000_lines(package),
        repeated_types=repeated_types(package),
        import_cycles=import_cycles(package),
        function_lengths=function_lengths(package),
        trace=trace_event(),
    )


def main() -> None:
    figures = measure()
    lengths = " / ".join(str(figures.quantile(share)) for share in (0.5, 0.9, 1))
    trace = figures.trace
    rows = {
        "modules at the root of the package": figures.root_modules,
        f"vague words ({', '.join(sorted(VAGUE_WORDS))}) per 1,000 lines": f"{figures.vague_words:.1f}",
        "type names defined in more than one module": len(figures.repeated_types),
        "calls of one event that take settings or context up a layer": sum(trace.upward_calls.values()),
        "frames from the process to a lead time of one event": f"{len(trace.path)} in {trace.files} files",
        "lines of a function, docstring included: median / p90 / longest": lengths,
        "import cycles": figures.import_cycles,
    }
    for name, value in rows.items():
        print(f"{value!s:>14}  {name}")
    details = [f"{name}: {', '.join(where)}" for name, where in figures.repeated_types.items()]
    for line in (*details, *trace.upward_calls, *trace.path):
        print(f"{'':14}  {line}")


if __name__ == "__main__":
    main()
