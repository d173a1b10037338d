"""What the name of a tag says: a version, a prerelease, or a name that moves with each release. Pure."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import inf

from msgspec import Struct

from dora_metrics.core.names import (
    NUMBER_PREFIXES,
    PRERELEASE_WORDS,
    PRERELEASE_WORDS_AFTER_VERSION,
    RETRACTED_WORDS,
    WORKING_BRANCH_WORDS,
    words_of,
)

_TAIL = r"(?:[-+._~]?[0-9A-Za-z][0-9A-Za-z+._~^-]*)?"
_VERSION = re.compile(
    rf"""
    (?:(?P<name>(?![0-9.]+[-_@/]).+?)(?P<separator>[-_@/]|(?<=[a-z])\.))??   # shop-, @acme/web@
    (?:(?P<v>v) | (?P<letters>(?<![0-9a-z])[a-z]+)(?=\d+\.))?              # go1.21.3
    (?:
        (?:
            (?P<date>\d{{4}}-\d\d?-\d\d? | \d\d?-\d\d?-\d{{4}}             # 2018-12-19, 01-02-2025
              | (?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))     # 20260821
          | \d+(?:\.\d+)*(?P<hash>\.v(?=[a-f_]*\d)[0-9a-f_]{{6,}})         # 1414.v878271fc496f
          | (?P<numbers>\d+(?:\.\d+)+)                                     # 1.2, 2026.8.0
        )
        (?P<tail>{_TAIL})
      | (?P<number>\d+)(?P<stage>[-._]?(?:alpha|beta|rc|pre)[.-]?\d*)?     # 161
    )
    (?P<build>/[0-9A-Za-z][0-9A-Za-z+._-]*)?                               # 2026.7.3/2026.2546
    """,
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_LINE_OF_RELEASES = re.compile(r"\.[x*](?![0-9a-z])", re.IGNORECASE)
"""In the tail of `2.3.x`, which is the name of a branch."""

_LETTER_PRERELEASE = re.compile(r"(?:[ab]|[-.]m)\d+", re.ASCII | re.IGNORECASE)
"""A tail such as in `5.0a1` and `2.0.0.M1`."""

_GENERIC_NAMES = frozenset({"", "v", "r", "rel", "release", "releases", "stable", "ver", "version", "tag", "tags"})
"""Names before a version that are not a package's."""

_LONGEST_NAME = 255

_CALENDAR_YEARS = range(1990, 2200)
"""A version whose first number is one of these is a date."""


class Version(Struct, frozen=True, dict=True):
    """A tag whose name reads as a version.

    `name` and `separator` precede it, as in `web@` and `shop-`, and `letters` stand before its first number without a
    separator. `numbers` are those of a dotted version or a single number, empty for a date and for one with a hash.
    """

    tag: str
    name: str
    separator: str
    letters: str
    has_v: bool
    numbers: tuple[int, ...]
    is_date: bool
    tail: str

    @property
    def is_single_number(self) -> bool:
        return len(self.numbers) == 1

    @property
    def package(self) -> str:
        """The name of the package, empty if there is none."""
        return "" if self.name.lower() in _GENERIC_NAMES else self.name

    @property
    def pattern(self) -> str:
        """The pattern for `--tags` that selects the versions of this package; empty if no pattern does."""
        if self.package:
            return re.sub(r"([*?[])", r"[\1]", self.name + self.separator) + "*"
        return "v*" if self.has_v and not self.name else ""

    @cached_property
    def is_prerelease(self) -> bool:
        """Whether a word says so, or letters follow `-` in a version that is a date.

        So is a snapshot, `0.0.0-…`. In `name@version` the name is a package's, and says nothing of the stage:
        `@acme/testing@1.0.0`.
        """
        words = re.findall("[a-z]+(?:2e)?", f"{self._name_of_stage}/{self.letters}/{self.tail}".lower())
        has_word = not PRERELEASE_WORDS.isdisjoint(words) or not PRERELEASE_WORDS_AFTER_VERSION.isdisjoint(
            words_of(self.tail)
        )
        is_snapshot = self.tail.startswith("-") and len(self.numbers) > 1 and not any(self.numbers)
        has_letters_after_date = self.is_date and re.match("-[a-z]", self.tail, re.IGNORECASE)
        has_letter = self.numbers and _LETTER_PRERELEASE.match(self.tail)
        return bool(has_word or is_snapshot or has_letters_after_date or has_letter)

    @property
    def _name_of_stage(self) -> str:
        return "" if self.separator == "@" else self.name

    @property
    def specificity(self) -> tuple[int, int, int, tuple[tuple[int, int, str], ...]]:
        """A key that is greatest for the tag that names a commit best.

        More numbers come first, then a tag without a package, then the shorter name, then the higher version.
        """
        return len(self.numbers), not self.package, -len(self.name), version_key(self.tag)


_MAX_TAG_LENGTH = 300
"""Longer names are no versions; the pattern would take long for them."""


def parse_version(tag: str) -> Version | None:
    """Return the version that the name of a tag reads as, by the name alone; None if it reads as none.

    Between name and version stands a separator; before dotted numbers letters may stand without one, as in `go1.21.3`.
    """
    match = _VERSION.fullmatch(tag) if len(tag) <= _MAX_TAG_LENGTH else None
    tail = (match["tail"] or "") if match else ""
    if match is None or _LINE_OF_RELEASES.match(tail) or not RETRACTED_WORDS.isdisjoint(words_of(tail)):
        return None
    version = _version(tag, match)
    is_name_of_a_test = version.is_single_number and version.is_prerelease and not version.tail
    return None if is_name_of_a_test else version  # `test-1`


def _version(tag: str, match: re.Match[str]) -> Version:
    dotted = match["number"] or match["numbers"] or ""
    numbers = tuple(int(part[:18]) for part in dotted.split(".") if part)
    return Version(
        tag=tag,
        name=match["name"] or "",
        separator=match["separator"] or "",
        letters=match["letters"] or "",
        has_v=bool(match["v"]),
        numbers=numbers,
        is_date=bool(match["date"] or (match["numbers"] and numbers[0] in _CALENDAR_YEARS)),
        tail=match["stage"] or match["tail"] or "",
    )


def reads_as_version(tag: str, other_tags: Collection[str] = ()) -> bool:
    """Return whether the name of a tag reads as a version: `v1.2.0`, `shop-1.2`, `01-02-2025`, `r-0906`, `v161`.

    A single number is a version unless another tag begins with it and a dot: `v10` next to `v10.1` moves with releases.
    """
    version = _version_of_ref(tag)
    is_moving = version is not None and version.is_single_number and any(o.startswith(f"{tag}.") for o in other_tags)
    return version is not None and not is_moving


def ref_reads_as_version(ref: str) -> bool:
    """Return whether a name that may be a tag's or a branch's reads as a version.

    A single number counts only after nothing or a word for a release, since branches are often named after tickets.
    """
    version = _version_of_ref(ref)
    return version is not None and not (version.is_single_number and version.name.lower() not in NUMBER_PREFIXES)


def is_prerelease_name(tag: str) -> bool:
    """Return whether the name of a tag is a prerelease's."""
    version = parse_version(tag)
    words = re.findall(r"[a-z]+", tag.lower())
    return version.is_prerelease if version else not PRERELEASE_WORDS.isdisjoint(words)


def _version_of_ref(name: str) -> Version | None:
    """Return the version of a name; None for a long name, and for that of a working branch such as `fix-12`."""
    version = parse_version(name) if len(name) <= _LONGEST_NAME else None
    return version if version and WORKING_BRANCH_WORDS.isdisjoint(words_of(version.name)) else None


def versions_by_tag(seconds_by_tag: Mapping[str, float | None]) -> dict[str, Version]:
    """Return the versions among the names of a repository's tags, without those that move with each release.

    A single number moves if there is a longer version of it: `v1` next to `v1.2.0`. So does `v1.2` next to `v1.2.3`,
    unless it is itself the first of its line: not newer than `v1.2.1`, and there is no `v1.2.0`.

    Args:
        seconds_by_tag: the time of each tag in seconds; None if it is unknown.
    """
    versions = {tag: version for tag in seconds_by_tag if (version := parse_version(tag))}
    lines = _lines_of_versions(versions.values(), seconds_by_tag)
    moving_tags = {tag for tag, version in versions.items() if _is_moving(version, lines, seconds_by_tag[tag])}
    return {tag: version for tag, version in versions.items() if tag not in moving_tags}


@dataclass
class _Line:
    """The versions that continue the same name and first numbers with more numbers: what is least of the releases."""

    next_number: float = inf
    seconds: float = inf

    def add(self, next_number: int, seconds: float | None) -> None:
        self.next_number = min(self.next_number, next_number)
        self.seconds = min(self.seconds, -inf if seconds is None else seconds)

    def begins_with(self, seconds: float | None) -> bool:
        """Whether the version without more numbers, made at this time, is the first one of the line."""
        return self.next_number == 1 and seconds is not None and seconds <= self.seconds


_Lines = dict[tuple[str, tuple[int, ...]], _Line]
"""By name and first numbers."""


def _lines_of_versions(versions: Iterable[Version], seconds_by_tag: Mapping[str, float | None]) -> _Lines:
    lines: _Lines = defaultdict(_Line)
    for version in versions:
        for length in range(1, min(len(version.numbers), 4)):
            line = lines[version.name + version.separator, version.numbers[:length]]
            if not version.is_prerelease:
                line.add(version.numbers[length], seconds_by_tag[version.tag])
    return lines


def _is_moving(version: Version, lines: _Lines, seconds: float | None) -> bool:
    line = lines.get((version.name + version.separator, version.numbers))
    if version.is_single_number or line is None:
        return line is not None
    return line.next_number < inf and not line.begins_with(seconds)


def version_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts names with numbers by value: v1.9.0 before v1.10.0."""
    return tuple(_version_key_parts(name))


def _version_key_parts(name: str) -> Iterator[tuple[int, int, str]]:
    for part in re.findall(r"\d{1,18}|\D+", name, re.ASCII):
        yield (0, int(part), "") if part[0] in "0123456789" else (1, 0, part)


def newest_names(names: Iterable[str], limit: int = 5) -> str:
    """Return the highest versions as text, with the count of the rest."""
    ordered = sorted(names, key=version_key, reverse=True)
    return ", ".join(ordered[:limit]) + (f" and {len(ordered) - limit} more" if len(ordered) > limit else "")
