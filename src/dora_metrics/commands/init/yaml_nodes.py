"""Reads untrusted YAML as nodes with line numbers, and writes untrusted values as YAML.

Nodes are composed, not constructed: an alias remains the node that it refers to, however often it is used, so a small
file cannot become a large value. Merge keys are ignored; GitHub refuses them in workflows.
"""

import yaml

from dora_metrics.settings import yaml_text

OptionalNode = yaml.Node | None
Token = tuple[str, str | None, str | None, str | None]
"""Kind, anchor, value and tag of a YAML event."""


class UnreadableYamlError(Exception):
    """A text that is not valid YAML, or not the expected kind of file. The message says where and why."""


def compose(text: str) -> OptionalNode:
    """Return the root node of a text, None if it is empty.

    Raises:
        UnreadableYamlError: if it is not YAML, too large a value, or more than one document.
    """
    try:
        return yaml_text.compose(text)
    except yaml.MarkedYAMLError as problem:
        location = f"line {problem.problem_mark.line + 1}: " if problem.problem_mark else ""
        raise UnreadableYamlError(f"{location}{problem.problem or problem.context}") from None
    except (yaml.YAMLError, ValueError) as problem:
        raise UnreadableYamlError(str(problem).splitlines()[0]) from None


def content_tokens(text: str) -> list[Token] | None:
    """Return the content of a YAML text without comments and layout, in order; None if `compose` refuses it."""
    resolver = yaml.SafeLoader("")
    try:
        return [_token(event, resolver) for event in yaml_text.events(text)]
    except (yaml.YAMLError, ValueError):
        return None


def _token(event: yaml.Event, resolver: yaml.SafeLoader) -> Token:
    """Resolve the tag of plain scalars: `true` differs from "true", `auto` equals "auto"."""
    tag = getattr(event, "tag", None)
    if isinstance(event, yaml.ScalarEvent) and tag is None:
        tag = resolver.resolve(yaml.ScalarNode, event.value, event.implicit)  # type: ignore[no-untyped-call]
    return type(event).__name__, getattr(event, "anchor", None), getattr(event, "value", None), tag


def mapping_entries(node: OptionalNode) -> dict[str, yaml.Node]:
    """Return the values of a mapping by key, empty for any other node."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def sequence_items(node: OptionalNode) -> tuple[yaml.Node, ...]:
    """Return the items of a sequence, empty for any other node."""
    return tuple(node.value) if isinstance(node, yaml.SequenceNode) else ()


def scalar_text(node: OptionalNode) -> str | None:
    """Return a scalar as it is written, None for null and for any other node."""
    if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null":
        return None
    return str(node.value)


def scalar_texts(node: OptionalNode) -> tuple[str, ...]:
    """Return the scalars of a sequence, or a single scalar."""
    scalars = sequence_items(node) or ((node,) if node is not None else ())
    return tuple(value for scalar in scalars if (value := scalar_text(scalar)) is not None)


def line_number(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def node_at(node: OptionalNode, *path: str) -> OptionalNode:
    """Return the node at a path of keys, None if there is none."""
    for key in path:
        node = mapping_entries(node).get(key)
    return node


def inline_yaml(value: object) -> str:
    """Return a value, or a list of values, as one line of YAML with quotes where they are needed."""
    items = value if isinstance(value, list | tuple) else [value]
    # Only double quotes escape line breaks.
    style = '"' if any(isinstance(item, str) and not item.isprintable() for item in items) else None
    dumped: str = yaml.safe_dump(
        value, default_flow_style=True, default_style=style, allow_unicode=True, width=10**9, sort_keys=False
    )
    return dumped.removesuffix("...\n").strip()
