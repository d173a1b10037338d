"""Whoever decodes JSON from outside expects all that decoding may raise: another shape, no UTF-8, too deep nesting."""

import ast
from collections.abc import Iterator

import msgspec
import pytest

from dora_metrics.core.json_errors import UNREADABLE_JSON
from support.paths import ROOT

SOURCE = ROOT / "src" / "dora_metrics"
ALL_ERRORS = {"DecodeError", "UnicodeDecodeError", "RecursionError"}
IMPLIED = {
    "UNREADABLE_JSON": ALL_ERRORS,
    "MsgspecError": {"DecodeError"},
    "ValueError": {"DecodeError", "UnicodeDecodeError"},
    "_INAPPLICABLE": ALL_ERRORS,
}
"""The errors that a name in an `except` stands for, other than its own."""

JUDGED_BY_CALLER = {
    "core/rows/ndjson.py": "lines of facts that were decoded before",
    "core/shapes/template.py": "what the parent process has encoded",
    "github/events/repository_dispatch.py": "a fact that was encoded in the same line",
    "pipeline/template_process.py": "of two, what a template made, whose line its caller names",
    "sinks/pushed_counters.py": "of three, two in functions that one `try` calls",
    "sources/kubernetes/application.py": "`_named_problems` in read.py, which names the object",
    "sources/kubernetes/artefacts.py": "`_named_problems` in read.py",
    "sources/kubernetes/canary.py": "`_named_problems` in read.py",
    "sources/kubernetes/files.py": "of five, three in `_parse`, which one `try` calls",
    "sources/kubernetes/helm_release.py": "`_named_problems` in read.py",
    "sources/kubernetes/kustomization.py": "`_named_problems` in read.py",
    "sources/kubernetes/rollout.py": "`_named_problems` in read.py",
}
"""The modules in which a function lets its caller judge, with who does."""


def decodings(tree: ast.AST) -> Iterator[ast.Call]:
    """The calls of msgspec's and json's decoders."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            decoder = ast.unparse(node.func.value)
            is_msgspec = node.func.attr in {"decode", "decode_lines"} and (
                decoder in {"msgspec.json", "msgspec.msgpack"} or decoder.endswith("decoder")
            )
            if is_msgspec or (decoder == "json" and node.func.attr in {"load", "loads"}):
                yield node


def errors_expected_by(statement: ast.stmt) -> set[str]:
    """The errors that the handlers of a `try`, or `suppress`, name."""
    sources: list[ast.expr] = []
    if isinstance(statement, ast.Try):
        sources = [handler.type for handler in statement.handlers if handler.type]
    if isinstance(statement, ast.With):
        sources = [item.context_expr for item in statement.items if "suppress" in ast.unparse(item.context_expr)]
    names = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for source in sources
        for node in ast.walk(source)
        if isinstance(node, ast.Attribute | ast.Name)
    }
    return names.union(*(IMPLIED.get(name, set()) for name in names))


def careless_decodings(source: str) -> list[int]:
    """The lines that decode JSON where not all errors are expected."""
    tree = ast.parse(source)
    careful = {
        call
        for statement in ast.walk(tree)
        if isinstance(statement, ast.Try | ast.With) and errors_expected_by(statement) >= ALL_ERRORS
        for part in statement.body
        for call in decodings(part)
    }
    return sorted({call.lineno for call in decodings(tree)} - {call.lineno for call in careful})


def test_every_decoding_expects_all_errors() -> None:
    sources = {path.relative_to(SOURCE).as_posix(): path.read_text("utf-8") for path in SOURCE.rglob("*.py")}
    careless = {name: lines for name, source in sources.items() if (lines := careless_decodings(source))}
    assert careless.keys() == JUDGED_BY_CALLER.keys(), careless


def test_the_errors_have_one_name() -> None:
    assert {error.__name__ for error in UNREADABLE_JSON} == {"MsgspecError", "UnicodeDecodeError", "RecursionError"}
    assert issubclass(msgspec.DecodeError, msgspec.MsgspecError)


@pytest.mark.parametrize(
    ("handler", "is_careful"),
    [
        ("except UNREADABLE_JSON:", True),
        ("except (*UNREADABLE_JSON, OverflowError):", True),
        ("except (ValueError, RecursionError):", True),
        ("except msgspec.DecodeError:", False),
        ("except (msgspec.DecodeError, RecursionError):", False),
        ("except ValueError:", False),
    ],
)
def test_what_is_careless(handler: str, *, is_careful: bool) -> None:
    source = f"try:\n    msgspec.json.decode(body)\n{handler}\n    pass\n"
    assert careless_decodings(source) == ([] if is_careful else [2])
