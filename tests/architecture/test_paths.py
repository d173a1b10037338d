"""Nobody asks about a path in a way that raises an error where no one expects it (see `sources/paths.py`)."""

import ast

import pytest

from support.paths import ROOT

SOURCE = ROOT / "src" / "dora_metrics"
RAISING = {"exists", "is_dir", "is_file", "is_symlink"}
NO_PATHS = {"templates.py": "a resource of the package"}


def raising_questions(tree: ast.AST) -> set[int]:
    """The lines with a question that raises an error for a folder that this user may not enter."""
    return {
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in RAISING and not node.args and not node.keywords
    }


def is_expected(node: ast.AST) -> bool:
    """Whether errors of files are handled there, or are part of what a function promises."""
    if isinstance(node, ast.Try):
        return any(handler.type and "OSError" in ast.unparse(handler.type) for handler in node.handlers)
    return isinstance(node, ast.FunctionDef) and "OSError: " in (ast.get_docstring(node) or "")


def careless_questions(source: str) -> set[int]:
    tree = ast.parse(source)
    expected = (raising_questions(node) for node in ast.walk(tree) if is_expected(node))
    return raising_questions(tree).difference(*expected)


def test_every_question_about_a_path_expects_its_errors() -> None:
    sources = {path.relative_to(SOURCE).as_posix(): path.read_text("utf-8") for path in SOURCE.rglob("*.py")}
    careless = {name: lines for name, source in sources.items() if (lines := careless_questions(source))}
    assert careless.keys() == NO_PATHS.keys(), careless


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("path.exists()", {1}),
        ("exists(path)", set()),
        ("try:\n    path.is_file()\nexcept OSError:\n    pass", set()),
        ("try:\n    path.is_file()\nexcept ValueError:\n    pass", {2}),
        ("def read():\n    '''Read.\n\n    Raises:\n        OSError: if not.\n    '''\n    path.is_dir()", set()),
    ],
)
def test_what_is_careless(source: str, lines: set[int]) -> None:
    assert careless_questions(source) == lines
