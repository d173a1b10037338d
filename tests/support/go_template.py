"""Renders as much of Go's templates as the examples use: fields, variables, `if`, `with`, `range`, and a few functions.

https://pkg.go.dev/text/template; `toJson` is Sprig's.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_ACTION = re.compile(r"(?P<before>\s*\{\{- |\{\{)(?P<code>.*?)(?P<after> -\}\}\s*|\}\})", re.DOTALL)
_TOKEN = re.compile(r'"[^"]*"|\(|\)|[^\s()]+')

FUNCTIONS: dict[str, Callable[..., object]] = {
    "toJson": json.dumps,
    "printf": lambda text, *values: text.replace("%s", "{}").format(*values),
    "eq": lambda left, right: left == right,
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "or": lambda *values: next((value for value in values if value), values[-1]),
}


@dataclass
class _Block:
    """A block with its branches, each with the code of its condition; None for `else`."""

    word: str
    branches: list[tuple[str | None, list[Any]]]


@dataclass
class _Scope:
    dot: object
    variables: dict[str, object] = field(default_factory=dict)


def render(template: str, data: Mapping[str, object]) -> str:
    """Render a template; a field of nothing is an error, as in Go."""
    tokens = list(_tokens(template))
    return "".join(_run(_parse(tokens), _Scope(data)))


def _tokens(template: str) -> Iterator[tuple[str, str]]:
    position = 0
    for action in _ACTION.finditer(template):
        yield "text", template[position : action.start()]
        yield "code", action["code"].strip()
        position = action.end()
    yield "text", template[position:]


def _parse(tokens: list[tuple[str, str]]) -> list[Any]:
    """Return what comes up to the `else` or `end` that belongs to another block."""
    parts: list[Any] = []
    while tokens:
        kind, content = tokens[0]
        word, _, condition = content.partition(" ")
        if kind == "code" and word in ("else", "end"):
            return parts
        tokens.pop(0)
        if kind == "code" and word in ("if", "with", "range"):
            parts.append(_parse_block(tokens, word, condition))
        else:
            parts.append((kind, content))
    return parts


def _parse_block(tokens: list[tuple[str, str]], word: str, condition: str | None) -> _Block:
    branches = [(condition, _parse(tokens))]
    while (end := tokens.pop(0)[1]) != "end":
        branches.append((end.partition(" if ")[2] or None, _parse(tokens)))
    return _Block(word, branches)


def _run(parts: Sequence[Any], scope: _Scope) -> Iterator[str]:
    for part in parts:
        if isinstance(part, _Block):
            yield from _run_range(part, scope) if part.word == "range" else _run_branch(part, scope)
        elif part[0] == "text":
            yield part[1]
        elif match := re.fullmatch(r"(\$\w+) :?= (.+)", part[1]):
            scope.variables[match[1]] = _value(match[2], scope)
        else:
            value = _value(part[1], scope)
            yield str(value).lower() if isinstance(value, bool) else str(value)


def _run_branch(block: _Block, scope: _Scope) -> Iterator[str]:
    for number, (condition, parts) in enumerate(block.branches):
        value = True if condition is None else _value(condition, scope)
        if value:
            is_narrowed = block.word == "with" and number == 0
            yield from _run(parts, _Scope(value, scope.variables) if is_narrowed else scope)
            return


def _run_range(block: _Block, scope: _Scope) -> Iterator[str]:
    ((code, parts),) = block.branches
    match = re.fullmatch(r"(\$\w+), (\$\w+) := (.+)", code or "")
    items: Any = _value(match[3] if match else str(code), scope)
    for number, item in enumerate(items or ()):
        if match:
            scope.variables |= {match[1]: number, match[2]: item}
        yield from _run(parts, _Scope(item, scope.variables))


def _value(code: str, scope: _Scope) -> object:
    tokens = _TOKEN.findall(code)
    value = _call(tokens, scope)
    assert not tokens, f"not understood: {code}"
    return value


def _call(tokens: list[str], scope: _Scope) -> object:
    """Return the value of a call, or of its only operand, up to a closing bracket."""
    name, operands = tokens[0], []
    if name in FUNCTIONS:
        tokens.pop(0)
    while tokens and tokens[0] != ")":
        operands.append(_operand(tokens, scope))
    if name in FUNCTIONS:
        return FUNCTIONS[name](*operands)
    (operand,) = operands
    return operand


def _operand(tokens: list[str], scope: _Scope) -> object:
    token = tokens.pop(0)
    if token == "(":
        value = _call(tokens, scope)
        assert tokens.pop(0) == ")"
        return value
    if token.startswith('"'):
        return json.loads(token)
    if token in ("true", "false"):
        return token == "true"
    root, *names = token.split(".")
    value = scope.variables[root] if root else scope.dot
    for name in filter(None, names):
        assert isinstance(value, Mapping), f"{token}: a field of nothing"
        value = value.get(name)
    return value
