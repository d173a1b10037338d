"""Untrusted text has one way into Markdown and one way to the log (docs/architecture.md, "Untrusted text").

That Markdown is made of literals is held by a type checker, pyrefly: mypy reads `LiteralString` as `str`.
"""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.paths import ROOT

SOURCE = ROOT / "src" / "dora_metrics"
MODULES = {path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text("utf-8")) for path in SOURCE.rglob("*.py")}


def calls(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    """The calls of functions and methods with one of these names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (
            (isinstance(node.func, ast.Name) and node.func.id in names)
            or (isinstance(node.func, ast.Attribute) and node.func.attr in names)
        ):
            yield node


CHECK = [sys.executable, "-m", "pyrefly", "check"]

NOT_LITERAL = """\
Md(title)
Md(f'**{title}**')
Md('a' + title)
Md('a' if parts else title)
md(title)
md('{}' + title, 1)
md('{}'.format(title))
markdown.Md(title)
join_non_empty(title, parts)
[Md(text) for text in title.split()]
"""
LITERAL = """\
Md('a')
Md('a' if title else 'b')
md('**{}**', title)
join_non_empty(', ', parts)
[md(text, title) for text in ('{}', '*{}*')]
"""


def lines_with_errors(statements: str, folder: Path) -> list[str]:
    """The statements that the type checker refuses; `title` is a text, `parts` are Markdown."""
    head = (
        "from dora_metrics.core import markdown",
        "from dora_metrics.core.markdown import Md, join_non_empty, md",
        "def made(title: str, parts: list[Md]) -> None:",
    )
    body = [f"    {statement}" for statement in statements.splitlines()]
    (folder / "made.py").write_text("\n".join([*head, *body]), "utf-8")
    (folder / "pyrefly.toml").write_text(f"search-path = ['{SOURCE.parent}']", "utf-8")
    options = ["--output-format", "json", "--python-interpreter-path", sys.executable]
    checked = subprocess.run([*CHECK, "made.py", *options], cwd=folder, capture_output=True, text=True, check=False)
    errors = json.loads(checked.stdout)["errors"]
    assert {error["name"] for error in errors} <= {"bad-argument-type"}, errors
    return [body[error["line"] - 1 - len(head)].strip() for error in errors]


def test_the_type_checker_takes_nothing_but_literals_for_markdown(tmp_path: Path) -> None:
    assert lines_with_errors(NOT_LITERAL, tmp_path) == NOT_LITERAL.splitlines()
    assert lines_with_errors(LITERAL, tmp_path) == []


def test_the_program_makes_markdown_of_literals_only() -> None:
    checked = subprocess.run(
        [*CHECK, "--output-format", "min-text"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (checked.returncode, "0 errors" in checked.stderr) == (0, True), checked.stdout
    ignores = [path for path in SOURCE.rglob("*.py") if re.search("pyrefly: *ignore", path.read_text("utf-8"))]
    assert not ignores


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
    "__main__.py": ["errors.write('dora-metrics: cancelled\\n')", "errors.write(f'dora-metrics: {reason}\\n')"],
    "commands/init/command.py": ["stream.write(file.text)"],
    "github/runner.py": ["file.write(content)"],
    "pipeline/template_process.py": ["sys.stdout.buffer.write(msgspec.json.encode(_render(job)))"],
    "runtime.py": ["super().write(text)"],
    "sources/git/repository.py": ["stdin_file.write(stdin)"],
    "storage/folder.py": ["file.writelines(parts)"],
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
        module: sorted(writes(tree))
        for module, tree in MODULES.items()
        if module != "github/console.py" and writes(tree)
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


def test_yaml_is_read_in_the_module_that_bounds_it_only() -> None:
    readers = ("parse", "scan", "compose", "load", "full_load", "unsafe_load", "safe_load")
    every_document = [f"{name}_all" for name in readers]
    users = {
        path
        for path, tree in MODULES.items()
        for call in calls(tree, *readers, *every_document)
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "yaml"
    }
    assert users == {"settings/yaml_text.py"}
