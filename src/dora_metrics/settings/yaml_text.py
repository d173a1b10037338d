"""Reads YAML within limits, so that no text takes much time or becomes a large value.

An alias stands for everything below its anchor, each time it is used, so a small text can describe a huge value. What
the aliases of a text stand for is measured on its nodes, before any value is made of them.
"""

import re
from typing import NamedTuple

import yaml

MAX_VALUES = 20_000
"""Keys and values of a text; an alias is one of them."""
MAX_DEPTH = 40
"""Levels of mappings and lists, those behind aliases included."""
MAX_EXPANDED_CHARACTERS = 500_000
"""Characters of all keys and values, where each alias is replaced by what it stands for."""
MAX_NUMBER_LENGTH = 30
"""Digits of a number. Python does not print integers of more than 4,300 digits."""

_NOT_TEXT = re.compile("[\0\ud800-\udfff]")
"""What no file and no answer can hold; YAML can write it with an escape."""
_INTEGER_TAG = "tag:yaml.org,2002:int"
_NUMBER_TAGS = (_INTEGER_TAG, "tag:yaml.org,2002:float")
_OTHER_NOTATION = re.compile(r"[-+]?(?:0.+|[0-9]*[:_].*)")
_NOTATION_ADVICE = "put it in quotes, or write a decimal number"
"""YAML reads 012 as 10, and 1:30 as 90."""
_INVALID_VALUE_ERRORS = (ValueError, ArithmeticError, LookupError, AttributeError, TypeError)
"""What PyYAML raises for a value that does not fit its tag, such as `!!bool maybe` or `2026-02-31`."""


class YamlLimitError(yaml.MarkedYAMLError):
    """A text exceeds a limit, or holds what no value may. `problem` says what, and what to do."""

    def __init__(self, problem: str, mark: yaml.Mark) -> None:
        super().__init__(problem=problem, problem_mark=mark)


class InvalidValueError(yaml.MarkedYAMLError):
    """A value is not what it looks like, or what its tag says; `problem` says so."""

    def __init__(self, node: yaml.Node) -> None:
        kind = str(node.tag).rpartition(":")[2]
        text = repr(node.value[:_MAX_SHOWN_LENGTH]) if isinstance(node, yaml.ScalarNode) else "this"
        super().__init__(problem=f"{text} is not a valid {_KINDS.get(kind, kind)}", problem_mark=node.start_mark)


_MAX_SHOWN_LENGTH = 60
_KINDS = {"bool": "boolean", "int": "number", "float": "number"}
"""Usual words for the types of YAML."""


def load(text: str) -> object:
    """Return the value of a text, None if it is empty.

    Raises:
        YamlLimitError: if it exceeds a limit.
        yaml.YAMLError: if it is not YAML.
    """
    loader = _BoundedLoader(text)
    try:
        root = _compose(loader)
        return None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()


def compose(text: str) -> yaml.Node | None:
    """Return the root node of a text, None if it is empty.

    Raises:
        YamlLimitError: if it exceeds a limit.
        yaml.YAMLError: if it is not YAML, or more than one document.
    """
    loader = _BoundedLoader(text)
    try:
        return _compose(loader)
    finally:
        loader.dispose()


def events(text: str) -> list[yaml.Event]:
    """Return a text as PyYAML's events, which keep anchors and aliases as they are written.

    Raises:
        YamlLimitError: if it exceeds a limit.
        yaml.YAMLError: if it is not YAML, or more than one document.
    """
    compose(text)  # the parser has no limits of its own: deep brackets take it very long
    return list(yaml.parse(text, Loader=yaml.SafeLoader))


def _compose(loader: "_BoundedLoader") -> yaml.Node | None:
    root = loader.get_single_node()
    if root is not None:
        _Expansion().measure(root)
    return root


class _BoundedLoader(yaml.SafeLoader):
    """Stops at the first node that is too deep, or one too many."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._value_count = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        self._value_count += 1
        mark = self.get_mark()
        if self._depth > MAX_DEPTH:
            raise YamlLimitError(_DEPTH_PROBLEM, mark)
        if self._value_count > MAX_VALUES:
            raise YamlLimitError(f"more than {MAX_VALUES:,} keys and values; keep only what is needed", mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(node, yaml.MappingNode):
            _refuse_repeated_keys(node)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:  # noqa: FBT001, FBT002 - PyYAML's
        is_integer = node.tag == _INTEGER_TAG and isinstance(node, yaml.ScalarNode)
        if is_integer and _OTHER_NOTATION.fullmatch(node.value):
            raise YamlLimitError(f"{node.value} is a number in another notation; {_NOTATION_ADVICE}", node.start_mark)
        try:
            return super().construct_object(node, deep)
        except _INVALID_VALUE_ERRORS:
            if node.tag.endswith(":timestamp") and isinstance(node, yaml.ScalarNode):
                return node.value  # a string, which the setting reports with all other problems
            raise InvalidValueError(node) from None


def _refuse_repeated_keys(node: yaml.MappingNode) -> None:
    """Check that no key is there twice: YAML would keep the last value, and say nothing.

    Raises:
        YamlLimitError: if one is.
    """
    keys: set[tuple[str, str]] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if (key.tag, key.value) in keys:
                problem = f"the key {key.value[:_MAX_SHOWN_LENGTH]!r} is there twice; keep one"
                raise YamlLimitError(problem, key.start_mark)
            keys.add((key.tag, key.value))


_DEPTH_PROBLEM = f"nested more than {MAX_DEPTH} levels deep; check brackets, indentation and aliases"


class _Extent(NamedTuple):
    """How large a node is, with everything that aliases in it stand for."""

    characters: int
    depth: int


class _Expansion:
    """Measures nodes, each once. Anchors precede their aliases, so recursion is as deep as the text."""

    def __init__(self) -> None:
        self._extents: dict[int, _Extent | None] = {}

    def measure(self, node: yaml.Node) -> _Extent:
        """Return the extent of a node.

        Raises:
            YamlLimitError: if it exceeds a limit, or contains itself.
        """
        if id(node) not in self._extents:
            self._extents[id(node)] = None
            self._extents[id(node)] = self._measure_once(node)
        extent = self._extents[id(node)]
        if extent is None:
            raise YamlLimitError("an alias refers to a value that contains it; write the value out", node.start_mark)
        return extent

    def _measure_once(self, node: yaml.Node) -> _Extent:
        if isinstance(node, yaml.ScalarNode):
            return _scalar_extent(node)
        extents = [self.measure(child) for child in _children(node)]
        extent = _Extent(
            1 + sum(extent.characters for extent in extents), 1 + max((extent.depth for extent in extents), default=0)
        )
        if extent.characters > MAX_EXPANDED_CHARACTERS:
            problem = f"its aliases stand for more than {MAX_EXPANDED_CHARACTERS:,} characters; use fewer aliases"
            raise YamlLimitError(problem, node.start_mark)
        if extent.depth > MAX_DEPTH:
            raise YamlLimitError(_DEPTH_PROBLEM, node.start_mark)
        return extent


def _scalar_extent(node: yaml.ScalarNode) -> _Extent:
    if node.tag in _NUMBER_TAGS and len(node.value) > MAX_NUMBER_LENGTH:
        problem = f"a number of more than {MAX_NUMBER_LENGTH} digits; put it in quotes if it is a string"
        raise YamlLimitError(problem, node.start_mark)
    if _NOT_TEXT.search(node.value):
        raise YamlLimitError("holds a NUL or half a character (\\ud800 to \\udfff); remove it", node.start_mark)
    return _Extent(1 + len(node.value), 0)


def _children(node: yaml.Node) -> list[yaml.Node]:
    match node:
        case yaml.MappingNode():
            return [child for entry in node.value for child in entry]
        case _:
            return list(node.value)
