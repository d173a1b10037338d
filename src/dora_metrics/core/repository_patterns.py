"""The setting `repositories`: patterns such as `owner/* topic:payments`, `owner/name` and `!owner/sandbox`.

The qualifiers after a pattern are those of GitHub's search for repositories. Letter case does not matter, as on GitHub.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from msgspec import Struct

from dora_metrics.core import wildcards

Forks = Literal["none", "included", "only"]

_NAME = re.compile(r"[A-Za-z0-9_-]+/[A-Za-z0-9._*-]+", re.ASCII)
_TOPIC = re.compile(r"[a-z0-9][a-z0-9-]{0,49}", re.ASCII)
_FORKS: dict[str, Forks] = {"true": "included", "only": "only"}
_HOW_TO_WRITE = "write owner/name, owner/*, or !owner/name to leave one out"
_QUALIFIERS = "topic:NAME, -topic:NAME, fork:true or fork:only"


class RepositoryPattern(Struct, frozen=True):
    """One item of `repositories`.

    Attributes:
        name: `owner/name`, in which `*` is any text.
        is_exclusion: whether it leaves repositories out.
        topics: those that a repository must have, all of them.
        excluded_topics: those that it must not have.
        forks: whether forks are among the repositories.
    """

    name: str
    is_exclusion: bool = False
    topics: frozenset[str] = frozenset()
    excluded_topics: frozenset[str] = frozenset()
    forks: Forks = "none"

    @property
    def owner(self) -> str:
        return self.name.partition("/")[0]

    @property
    def lists_owner(self) -> bool:
        """Whether only a list of the owner's repositories shows which ones it selects."""
        return "*" in self.name and not self.is_exclusion

    def matches(self, name: str) -> bool:
        """Whether a repository has a name of this pattern, whatever its qualifiers say."""
        return _matches(self.name, name)

    def admits(self, topics: Collection[str], *, is_fork: bool) -> bool:
        """Whether the qualifiers admit a repository with these topics."""
        has_topics = self.topics.issubset(topics) and self.excluded_topics.isdisjoint(topics)
        return has_topics and (self.forks != "none" if is_fork else self.forks != "only")


def _matches(pattern: str, name: str) -> bool:
    return wildcards.matches(pattern.lower(), name.lower())


def parse_pattern(text: str) -> RepositoryPattern:
    """Parse a pattern and its qualifiers.

    Raises:
        ValueError: if it is not valid, with what is wrong and what to write.
    """
    name, *qualifiers = text.removeprefix("!").split() or [""]
    if "*" in name.partition("/")[0] and "/" in name:
        raise ValueError(f"{text!r} has `*` in place of an owner; write owner/* for each owner")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{text!r} is not a repository; {_HOW_TO_WRITE}")
    if text.startswith("!"):
        return RepositoryPattern(_without_qualifiers(text, name, qualifiers), is_exclusion=True)
    return _qualified(text, name, qualifiers) if qualifiers else RepositoryPattern(name)


def _without_qualifiers(text: str, name: str, qualifiers: Sequence[str]) -> str:
    if qualifiers:
        advice = "leave out by topic with a pattern such as owner/* -topic:NAME"
        raise ValueError(f"{text!r}: `{qualifiers[0]}` has no effect after `!`; {advice}")
    return name


def _qualified(text: str, name: str, qualifiers: Sequence[str]) -> RepositoryPattern:
    if "*" not in name:
        raise ValueError(f"{text!r}: a full name includes its repository anyway; leave `{qualifiers[0]}` out")
    pairs = [_qualifier(text, qualifier) for qualifier in qualifiers]
    topics, excluded_topics, forks = (
        frozenset(value for key, value in pairs if key == each) for each in ("topic", "-topic", "fork")
    )
    if len(forks) > 1 or topics & excluded_topics:
        raise ValueError(f"{text!r}: its qualifiers contradict each other, so no repository has them all")
    return RepositoryPattern(
        name, topics=topics, excluded_topics=excluded_topics, forks=_FORKS[min(forks)] if forks else "none"
    )


def _qualifier(text: str, qualifier: str) -> tuple[str, str]:
    """Return the key and the value of a qualifier of the pattern `text`, in lower case."""
    key, _, value = qualifier.lower().partition(":")
    is_topic = key in ("topic", "-topic") and _TOPIC.fullmatch(value)
    if is_topic or (key == "fork" and value in _FORKS):
        return key, value
    raise ValueError(f"{text!r}: `{qualifier}` is not a qualifier; after a pattern, write {_QUALIFIERS}")


def is_selected(repository: str, patterns: Iterable[str]) -> bool:
    """Whether patterns select a repository by its name; the last one that matches decides.

    Topics and forks are only in GitHub's lists, so qualifiers are not considered.
    """
    selected = False
    for pattern in patterns:
        name, *_ = pattern.removeprefix("!").split()
        if _matches(name, repository):
            selected = not pattern.startswith("!")
    return selected
