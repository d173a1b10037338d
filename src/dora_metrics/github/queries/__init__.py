"""The GraphQL queries, one file each. A test checks them against GitHub's schema."""

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

JsonObject = Mapping[str, Any]
"""An object in one of GitHub's responses."""


def load(name: str) -> str:
    """Return the text of a query or mutation, followed by the fragments that it uses."""
    folder = files("dora_metrics.github") / "queries"
    query_text = (folder / f"{name}.graphql").read_text("utf-8")
    own_fragments = set(re.findall(r"^fragment (\w+)", query_text, re.MULTILINE))
    used_fragments = sorted(set(re.findall(r"\.\.\.(\w+)", query_text)) - own_fragments)
    fragments = ((folder / f"{name}.fragment.graphql").read_text("utf-8") for name in used_fragments)
    return "\n".join((query_text, *fragments))


def with_slots(query_text: str, slot_count: int) -> str:
    """Return a query that reads several objects of one kind: `slot_count` copies of its line `slot: …` and of `$slot`.

    The copies are named `slot0`, `slot1` and so on; each variable is a required string. `$slotName` becomes
    `$slot0Name`.
    """
    numbers = range(slot_count)
    declared = re.findall(r"\$slot(\w*): String!", query_text)
    declarations = ", ".join(f"$slot{number}{part}: String!" for number in numbers for part in declared)
    slot_line = next(line for line in query_text.splitlines() if line.lstrip().startswith("slot:"))
    copies = [slot_line.replace("slot:", f"slot{number}:").replace("$slot", f"$slot{number}") for number in numbers]
    one_declaration = ", ".join(f"$slot{part}: String!" for part in declared)
    return query_text.replace(one_declaration, declarations).replace(slot_line, "\n".join(copies))
