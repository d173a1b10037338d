"""YAML of strangers as its nodes, with lines; and values of strangers as YAML.

Nodes are composed, not constructed: an alias stays the node that it refers to, however often it is named, so that a
small file cannot become a large value. Merge keys are not looked at; GitHub refuses them in workflows.
"""

import yaml

Node = yaml.Node | None


class NotReadableError(Exception):
    """A text is no YAML; the message says where and why."""


def composed(text: str) -> Node:
    """The root node of a text, None for an empty one.

    Raises:
        NotReadableError: if it is no YAML, or several documents.
    """
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as problem:
        at = f"line {problem.problem_mark.line + 1}: " if problem.problem_mark else ""
        raise NotReadableError(f"{at}{problem.problem or problem.context}") from None
    except RecursionError:
        raise NotReadableError("it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as problem:
        raise NotReadableError(str(problem).splitlines()[0]) from None


def meaning(text: str) -> list[tuple[str, str | None, str | None, str | None]] | None:
    """What a text says without its comments and layout, as the parts of it in order; None where it is no YAML."""
    resolver = yaml.SafeLoader("")
    try:
        return [_said(event, resolver) for event in yaml.parse(text, Loader=yaml.SafeLoader)]
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _said(event: yaml.Event, resolver: yaml.SafeLoader) -> tuple[str, str | None, str | None, str | None]:
    """A plain `true` is not the text "true", and a plain `auto` is the text "auto"."""
    tag = getattr(event, "tag", None)
    if isinstance(event, yaml.ScalarEvent) and tag is None:
        tag = resolver.resolve(yaml.ScalarNode, event.value, event.implicit)  # type: ignore[no-untyped-call]
    return type(event).__name__, getattr(event, "anchor", None), getattr(event, "value", None), tag


def entries(node: Node) -> dict[str, yaml.Node]:
    """A mapping by its keys; nothing for what is none."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def items(node: Node) -> tuple[yaml.Node, ...]:
    """A sequence's nodes; nothing for what is none."""
    return tuple(node.value) if isinstance(node, yaml.SequenceNode) else ()


def text(node: Node) -> str | None:
    """A scalar as it is written, None for null and for what is no scalar."""
    if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null":
        return None
    return str(node.value)


def texts(node: Node) -> tuple[str, ...]:
    """The scalars of a sequence, or a scalar by itself."""
    each = items(node) or ((node,) if node is not None else ())
    return tuple(found for one in each if (found := text(one)) is not None)


def line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def under(node: Node, *path: str) -> Node:
    """What lies below some keys, None where there is nothing."""
    for key in path:
        node = entries(node).get(key)
    return node


def quoted(value: object) -> str:
    """A value, or a list of them, on one line of YAML, in quotes where it needs them."""
    texts_in_it = value if isinstance(value, list) else [value]
    # The other styles would write a line break as one.
    style = '"' if any(isinstance(one, str) and not one.isprintable() for one in texts_in_it) else None
    dumped: str = yaml.safe_dump(
        value, default_flow_style=True, default_style=style, allow_unicode=True, width=10**9, sort_keys=False
    )
    return dumped.removesuffix("...\n").strip()
