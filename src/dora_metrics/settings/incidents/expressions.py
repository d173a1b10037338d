"""JMESPath expressions of users, checked and bounded before they are used.

An expression may come from the config file of a checkout, so it must not take more time or memory than a small multiple
of what it reads. JMESPath has no loops, but an expression can double a value with each of its steps. How much one can
multiply is computed from its syntax, and too much is refused.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import jmespath
from jmespath import exceptions
from jmespath.functions import Functions
from jmespath.parser import ParsedResult
from msgspec import Struct

MAX_LENGTH = 500
MAX_DEPTH = 40
MAX_GROWTH = 64
"""How many times as large as what it reads the result of an expression may be."""

_LONGEST_ESCAPE = 8
"""By what `to_string` multiplies at most: JSON writes a character with up to six."""

_Node = dict[str, Any]
_FUNCTIONS = Functions.FUNCTION_TABLE
_SUMMED = {"multi_select_list", "multi_select_dict", "or_expression", "and_expression", "comparator"}
"""Syntax whose parts all read the same value, and stand next to each other in the result."""

_OF_THE_SAME_VALUE = {"function_expression", "not_expression", "key_val_pair"}

_INAPPLICABLE = (ValueError, TypeError, ArithmeticError, AttributeError, LookupError, RecursionError)
"""What the library raises for a value that an expression cannot be applied to; its own errors are a ValueError."""


class Expression(Struct, frozen=True):
    """A valid expression."""

    text: str
    _parsed: ParsedResult

    @classmethod
    def parse(cls, text: str) -> "Expression":
        """Parse an expression.

        Raises:
            ValueError: what is wrong with it, and at which character, counted from 1.
        """
        if len(text) > MAX_LENGTH:
            raise ValueError(f"it has more than {MAX_LENGTH} characters")
        parsed = _parse(text)
        root: Any = parsed.parsed
        _check_calls(root, text)
        if _growth(root) > MAX_GROWTH:
            raise ValueError(
                f"its result could be more than {MAX_GROWTH} times as large as what it reads; "
                "use fewer lists such as [a, b] in one expression"
            )
        return cls(text, parsed)

    def search(self, value: object) -> Any:  # noqa: ANN401 - JSON
        """Return what the expression finds in a value; None if there is nothing.

        Raises:
            ValueError: if it cannot be applied to this value.
        """
        try:
            return self._parsed.search(value)
        except _INAPPLICABLE:
            raise ValueError("the expression does not fit the value there") from None

    def names_below(self, name: str) -> list[str]:
        """Return the names that it reads below a name: `summary` in `fields.summary`, or in `fields.[summary]`."""
        root: Any = self._parsed.parsed
        steps = (node["children"] for node in _nodes(root) if node["type"] in ("subexpression", "pipe"))
        followed = (after for children in steps for before, after in pairwise(children) if _is_name(before, name))
        return list(dict.fromkeys(read for node in followed for read in _first_names(node)))


def _parse(text: str) -> ParsedResult:
    try:
        return jmespath.compile(text)
    except exceptions.EmptyExpressionError:
        raise ValueError("it is empty") from None
    except exceptions.IncompleteExpressionError:
        raise ValueError(f"it ends too early, at character {len(text) + 1}") from None
    except exceptions.LexerError as error:
        raise ValueError(f"not readable at character {error.lexer_position + 1}") from None
    except exceptions.ParseError as error:
        raise ValueError(f"unexpected {error.token_value!r} at character {error.lex_position + 1}") from None
    except (ValueError, RecursionError):
        raise ValueError("it cannot be parsed; it may be nested too deeply") from None


def _check_calls(root: _Node, text: str) -> None:
    """Check the functions of an expression: the library does so only when it calls them.

    Raises:
        ValueError: if one does not exist, or has another number of arguments.
    """
    for node in _nodes(root):
        if node["type"] != "function_expression":
            continue
        name, count = node["value"], len(node["children"])
        place = f"at character {text.find(name) + 1}"
        if name not in _FUNCTIONS:
            raise ValueError(f"there is no function {name}, {place}")
        expected = len(_FUNCTIONS[name]["signature"])
        is_variadic = bool(expected) and bool(_FUNCTIONS[name]["signature"][-1].get("variadic"))
        if count < expected or (count > expected and not is_variadic):
            raise ValueError(f"{name} needs {expected} arguments and has {count}, {place}")


def _nodes(root: _Node) -> Iterator[_Node]:
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending += reversed(_children(node))


def _is_name(node: _Node, name: str) -> bool:
    return bool(node["type"] == "field" and node["value"] == name)


def _first_names(node: _Node) -> list[str]:
    """Return the names that a part of an expression reads of the value before it, in the order of its text."""
    if node["type"] == "field":
        return [node["value"]]
    children = _children(node)
    parts = children if node["type"] in _SUMMED | _OF_THE_SAME_VALUE else children[:1]
    return [name for part in parts for name in _first_names(part)]


def _children(node: _Node) -> list[_Node]:
    """Return the parts of a node; those of a slice are numbers, and left out."""
    return [child for child in node["children"] if isinstance(child, dict)]


def _growth(node: _Node, depth: int = 1) -> int:
    """Return an upper bound for the size of a result, as a multiple of what is read.

    Raises:
        ValueError: if the expression is nested too deeply to be evaluated.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"it has more than {MAX_DEPTH} levels")
    parts = [_growth(child, depth + 1) for child in _children(node)]
    if node["type"] in _SUMMED:
        return max(1, sum(parts))
    if node["type"] == "function_expression":
        return _growth_of_call(node, parts)
    return math.prod(parts)


def _growth_of_call(node: _Node, parts: list[int]) -> int:
    """Return the bound for a call.

    Raises:
        ValueError: if the separator of `join` is not a text in the expression: it is repeated for each item.
    """
    if node["value"] == "to_string":
        return _LONGEST_ESCAPE * math.prod(parts)
    if node["value"] != "join":
        return math.prod(parts)
    separator = node["children"][0]
    if separator["type"] != "literal" or not isinstance(separator["value"], str):
        raise ValueError("the first argument of join must be a text in the expression, such as join(', ', names)")
    return max(1, len(separator["value"])) * math.prod(parts)
