"""Untrusted text has one way into Markdown and one way to the log (docs/architecture.md, "Untrusted text").

mypy reads `LiteralString` as `str`, so what it would hold is held here.
"""

import ast
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from support.paths import ROOT

SOURCE = ROOT / "src" / "dora_metrics"
MODULES = {path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text("utf-8")) for path in SOURCE.rglob("*.py")}

TAKES_LITERALS = ("Md", "md", "join_non_empty")
"""What makes Markdown of its first argument without escaping it."""


class Call(NamedTuple):
    module: str
    line: int
    code: str


def calls(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    """The calls of functions and methods with one of these names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (
            (isinstance(node.func, ast.Name) and node.func.id in names)
            or (isinstance(node.func, ast.Attribute) and node.func.attr in names)
        ):
            yield node


def assigned_values(tree: ast.AST, name: str) -> list[ast.expr | None]:
    """What a function assigns to a name; None stands for a parameter, the target of a loop and the like."""
    values: list[ast.expr | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            values.append(node.value)
        elif isinstance(node, ast.NamedExpr | ast.AnnAssign) and isinstance(node.target, ast.Name):
            values += [node.value] if node.target.id == name else []
        elif isinstance(node, ast.arg) and node.arg == name:
            values.append(None)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == name:
            values += [] if any(node in ast.walk(parent) for parent in _assignments(tree)) else [None]
    return values


def _assignments(tree: ast.AST) -> Iterator[ast.AST]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Assign | ast.NamedExpr | ast.AnnAssign))


def is_literal(value: ast.expr | None, tree: ast.AST) -> bool:
    """Whether a text stands in the source as it is, on every path."""
    match value:
        case ast.Constant(str()):
            return True
        case ast.IfExp():
            return is_literal(value.body, tree) and is_literal(value.orelse, tree)
        case ast.Name():
            values = assigned_values(tree, value.id)
            return bool(values) and all(is_literal(each, tree) for each in values)
        case ast.Attribute(value=ast.Name("formatting"), attr="NO_VALUE"):
            return True
        case _:
            return False


def unsafe_calls(module: str, tree: ast.AST) -> Iterator[Call]:
    """The calls that make Markdown of something that is not literal. A name is looked up in its own function."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for call in calls(tree, *TAKES_LITERALS):
        around = [each for each in functions if call in ast.walk(each)]
        scope = max(around, key=lambda each: each.lineno) if around else tree
        if call.args and not is_literal(call.args[0], scope):
            yield Call(module, call.lineno, ast.unparse(call))


def test_markdown_is_made_of_literals_and_everything_else_is_escaped() -> None:
    outside = (item for item in MODULES.items() if item[0] != "core/markdown.py")
    assert [call for module, tree in outside for call in unsafe_calls(module, tree)] == []


@pytest.mark.parametrize(
    "code",
    [
        "Md(title)",
        "Md(f'**{title}**')",
        "Md('a' + title)",
        "md(title)",
        "md('{}' + title, 1)",
        "md('{}'.format(title))",
        "markdown.Md(title)",
        "join_non_empty(title, parts)",
        "text = 'a'\nfor text in titles:\n    Md(text)",
        "text = 'a' if x else title\nMd(text)",
        "def f(text):\n    return Md(text)",
    ],
)
def test_a_value_in_the_place_of_a_literal_is_found(code: str) -> None:
    assert len(list(unsafe_calls("m.py", ast.parse(code)))) == 1


def test_only_one_module_makes_markdown_of_escaped_text() -> None:
    makers = {module for module, tree in MODULES.items() if any(calls(tree, "_safe"))}
    makers |= {
        module
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(isinstance(base, ast.Name) and base.id == "Md" for base in node.bases)
    }
    assert makers == {"core/markdown.py"}


FILES_WRITTEN = {
    "__main__.py": ["errors.write(f'dora-metrics: {reason}\\n')"],
    "commands/init/command.py": ["stream.write(file.text)"],
    "github/runner.py": ["file.write(text)"],
    "pipeline/template_process.py": ["sys.stdout.buffer.write(msgspec.json.encode(_render(job)))"],
    "pipeline/unrecorded.py": ["file.write(b''.join((encode_fact(fact) + b'\\n' for fact in facts)))"],
    "runtime.py": ["super().write(text)"],
    "sources/git/repository.py": ["process.stdin.write(stdin)"],
    "storage/directory.py": ["file.write(content)"],
}
"""What is written to other streams than stdout and stderr; and the stream itself, and that stdout failed."""


def writes(tree: ast.AST) -> list[str]:
    """The calls that write to a stream; `write` of a ledger takes more than a text."""
    return [
        ast.unparse(call)
        for call in calls(tree, "write", "writelines", "print")
        if isinstance(call.func, ast.Name) or len(call.args) == 1
    ]


def test_one_module_writes_to_stdout_and_stderr() -> None:
    others = {
        module: writes(tree) for module, tree in MODULES.items() if module != "github/console.py" and writes(tree)
    }
    assert others == FILES_WRITTEN


@pytest.mark.parametrize("code", ["print(1)", "stream.write(text)", "self.log.writelines(lines)"])
def test_a_write_elsewhere_is_found(code: str) -> None:
    assert len(writes(ast.parse(code))) == 1


def test_only_the_process_knows_its_streams() -> None:
    users = {
        module
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in (("sys", "stdout"), ("sys", "stderr"))
    }
    assert users == {"__main__.py", "pipeline/template_process.py"}, "each is the start of a process"
