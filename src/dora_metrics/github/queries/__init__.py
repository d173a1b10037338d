"""What is asked of GitHub in GraphQL: one file a query, each held against GitHub's schema by a test."""

import re
from importlib.resources import files


def text(name: str) -> str:
    """The text of a query or mutation, with the fragments that it uses."""
    folder = files("dora_metrics.github") / "queries"
    found = (folder / f"{name}.graphql").read_text("utf-8")
    own = set(re.findall(r"^fragment (\w+)", found, re.MULTILINE))
    used = sorted(set(re.findall(r"\.\.\.(\w+)", found)) - own)
    return "\n".join((found, *((folder / f"{fragment}.fragment.graphql").read_text("utf-8") for fragment in used)))


def repeated(found: str, times: int) -> str:
    """A query that asks for several of a thing: its line `slot: …` and its variable `$slot`, so many times over."""
    numbers = range(times)
    declared = ", ".join(f"$slot{number}: String!" for number in numbers)
    line = next(line for line in found.splitlines() if line.lstrip().startswith("slot:"))
    copies = [line.replace("slot:", f"slot{n}:").replace("$slot", f"$slot{n}") for n in numbers]
    return found.replace("$slot: String!", declared).replace(line, "\n".join(copies))
