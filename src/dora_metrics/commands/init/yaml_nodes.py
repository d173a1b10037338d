"""YAML of strangers as its nodes, with lines; and values of strangers as YAML.

Nodes are composed, not constructed: an alias stays the node that it refers to, however often it is named, so that a
small file cannot become a large value. Merge keys are not looked at; GitHub refuses them in workflows.
"""

import yaml

OptionalNode = yaml.Node | None


class UnreadableYamlError(Exception):
    """A text is no YAML; the message says where and why."""


def compose(text: str) -> OptionalNode:
    """The root node of a text, None for an empty one.

    Raises:
        NotReadableError: if it is no YAML, or several documents.
    """
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as problem:
        location = f"line {problem.problem_mark.line + 1}: " if problem.problem_mark else ""
        raise UnreadableYamlError(f"{location}{problem.problem or problem.context}") from None
    except RecursionError:
        raise UnreadableYamlError("it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as problem:
        raise UnreadableYamlError(str(problem).splitlines()[0]) from None


def content_tokens(text: str) -> list[tuple[str, str | None, str | None, str | None]] | None:
    """What a text says without its comments and layout, as the parts of it in order; None where it is no YAML."""
    resolver = yaml.SafeLoader("")
    try:
        return [_token(event, resolver) for event in yaml.parse(text, Loader=yaml.SafeLoader)]
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _token(event: yaml.Event, resolver: yaml.SafeLoader) -> tuple[str, str | None, str | None, str | None]:
    """A plain `true` is not the text "true", and a plain `auto` is the text "auto"."""
    tag = getattr(event, "tag", None)
    if isinstance(event, yaml.ScalarEvent) and tag is None:
        tag = resolver.resolve(yaml.ScalarNode, event.value, event.implicit)  # type: ignore[no-untyped-call]
    return type(event).__name__, getattr(event, "anchor", None), getattr(event, "value", None), tag


def mapping_entries(node: OptionalNode) -> dict[str, yaml.Node]:
    """A mapping by its keys; nothing for what is none."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def sequence_items(node: OptionalNode) -> tuple[yaml.Node, ...]:
    """A sequence's nodes; nothing for what is none."""
    return tuple(node.value) if isinstance(node, yaml.SequenceNode) else ()


def scalar_text(node: OptionalNode) -> str | None:
    """A scalar as it is written, None for null and for what is no scalar."""
    if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null":
        return None
    return str(node.value)


def scalar_texts(node: OptionalNode) -> tuple[str, ...]:
    """The scalars of a sequence, or a scalar by itself."""
    scalars = sequence_items(node) or ((node,) if node is not None else ())
    return tuple(value for scalar in scalars if (value := scalar_text(scalar)) is not None)


def line_number(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def node_at(node: OptionalNode, *path: str) -> OptionalNode:
    """What lies below some keys, None where there is nothing."""
    for key in path:
        node = mapping_entries(node).get(key)
    return node


def inline_yaml(value: object) -> str:
    """A value, or a list of them, on one line of YAML, in quotes where it needs them."""
    items = value if isinstance(value, list) else [value]
    # The other styles would write a line break as one.
    style = '"' if any(isinstance(item, str) and not item.isprintable() for item in items) else None
    dumped: str = yaml.safe_dump(
        value, default_flow_style=True, default_style=style, allow_unicode=True, width=10**9, sort_keys=False
    )
    return dumped.removesuffix("...\n").strip()
