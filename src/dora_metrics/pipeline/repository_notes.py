"""The notes on many repositories, where most say the same: each text once, with the repositories that it is about."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from dora_metrics.core import formatting

_MAX_SAME_NOTES = 3
"""The same note on more repositories than this is shown once. GitHub shows no summary of more than 1 MiB."""
_MAX_NAMED = 5


def joined_notes(notes: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return notes for readers, in the order in which their texts came first.

    Args:
        notes: pairs of a repository and a note on it, which may name it.
    """
    names_by_text: defaultdict[str, list[str]] = defaultdict(list)
    for name, note in notes:
        names_by_text[note.replace(name, _NAME)].append(name)
    return tuple(note for text, names in names_by_text.items() for note in _notes_with(text, names))


_NAME = "\0"
"""In place of the name of a repository; no note has this character."""


def _notes_with(text: str, names: list[str]) -> Iterator[str]:
    if len(names) <= _MAX_SAME_NOTES or _NAME not in text:
        yield from dict.fromkeys(text.replace(_NAME, name) for name in names)
        return
    first, *others = names
    yield f"{text.replace(_NAME, first)} The same applies to {formatting.join_first(others, _MAX_NAMED)}."
