"""The setting `repositories`: patterns such as `owner/* topic:payments`, `owner/name` and `!owner/sandbox`.

The qualifiers after a pattern are those of GitHub's search for repositories. Letter case does not matter, as on GitHub.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Literal

from msgspec import Struct

Forks = Literal["none", "included", "only"]

_NAME = re.compile(r"[A-Za-z0-9_-]+/[A-Za-z0-9._*-]+", re.ASCII)
_TOPIC = re.compile(r"[a-z0-9][a-z0-9-]{0,49}", re.ASCII)
_FORKS: dict[str, Forks] = {"fork:true": "included", "fork:only": "only"}
_HOW_TO_WRITE = "write owner/name, owner/*, or !owner/name to leave one out"
_QUALIFIERS = "topic:NAME, -topic:NAME, fork:true or fork:only"


class RepositoryPattern(Struct, frozen=True):
    """One item of `repositories`.

    Attributes:
        name: `owner/name`, in which `*` stands for any text.
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
        """Whether only a list of the owner's repositories tells which ones it selects."""
        return "*" in self.name and not self.is_exclusion

    def matches(self, name: str) -> bool:
        """Whether a repository has a name of this pattern, whatever its qualifiers say."""
        return _expression(self.name).fullmatch(name) is not None

    def admits(self, topics: Collection[str], *, is_fork: bool) -> bool:
        """Whether the qualifiers admit a repository with these topics."""
        has_topics = self.topics.issubset(topics) and self.excluded_topics.isdisjoint(topics)
        return has_topics and (self.forks != "none" if is_fork else self.forks != "only")


@lru_cache(maxsize=256)
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.IGNORECASE)


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
    topics, excluded_topics, forks = set[str](), set[str](), set[Forks]()
    for qualifier in qualifiers:
        key, _, value = qualifier.lower().partition(":")
        if key in ("topic", "-topic") and _TOPIC.fullmatch(value):
            (topics if key == "topic" else excluded_topics).add(value)
        elif choice := _FORKS.get(qualifier.lower()):
            forks.add(choice)
        else:
            raise ValueError(f"{text!r}: `{qualifier}` is not a qualifier; after a pattern, write {_QUALIFIERS}")
    if len(forks) > 1 or topics & excluded_topics:
        raise ValueError(f"{text!r}: its qualifiers contradict each other, so no repository has them all")
    return RepositoryPattern(
        name,
        topics=frozenset(topics),
        excluded_topics=frozenset(excluded_topics),
        forks=forks.pop() if forks else "none",
    )


def is_selected(repository: str, patterns: Iterable[str]) -> bool:
    """Whether patterns select a repository by its name; the last one that matches decides.

    Topics and forks are only in GitHub's lists, so qualifiers are not considered.
    """
    selected = False
    for pattern in patterns:
        name, *_ = pattern.removeprefix("!").split()
        if _expression(name).fullmatch(repository):
            selected = not pattern.startswith("!")
    return selected
