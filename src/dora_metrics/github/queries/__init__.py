"""What is asked of GitHub in GraphQL: one file a query, each held against GitHub's schema by a test."""

import re
from importlib.resources import files


def load(name: str) -> str:
    """The text of a query or mutation, with the fragments that it uses."""
    folder = files("dora_metrics.github") / "queries"
    query_text = (folder / f"{name}.graphql").read_text("utf-8")
    own_fragments = set(re.findall(r"^fragment (\w+)", query_text, re.MULTILINE))
    used_fragments = sorted(set(re.findall(r"\.\.\.(\w+)", query_text)) - own_fragments)
    return "\n".join(
        (query_text, *((folder / f"{fragment}.fragment.graphql").read_text("utf-8") for fragment in used_fragments))
    )


def with_slots(query_text: str, slot_count: int) -> str:
    """A query that asks for several of a thing: its line `slot: …` and its variable `$slot`, so many times over."""
    numbers = range(slot_count)
    declarations = ", ".join(f"$slot{number}: String!" for number in numbers)
    slot_line = next(line for line in query_text.splitlines() if line.lstrip().startswith("slot:"))
    copies = [slot_line.replace("slot:", f"slot{number}:").replace("$slot", f"$slot{number}") for number in numbers]
    return query_text.replace("$slot: String!", declarations).replace(slot_line, "\n".join(copies))
