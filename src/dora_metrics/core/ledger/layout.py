"""How facts lie in the ledger's files, and which files a run changes (DESIGN §3).

Pure: a ledger is a mapping of paths to contents, wherever it is kept.

Facts that an endpoint has not acknowledged: remembered by id, oldest first, sent in bounded batches.

Which files of a site a run has to write: it is large, and no run reads it.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import msgspec

from dora_metrics.core.facts.jsonl import BadLine, canonical, canonical_line, decode_with_lines, encode
from dora_metrics.core.facts.model import Deployment, Fact, Record, Unknown

FACTS = "facts/"
QUARANTINE = "quarantine.jsonl"
OUTBOX = "outbox.jsonl"
NOT_FACTS = frozenset({QUARANTINE, OUTBOX})
"""Files of a ledger that end like facts files and are none."""

README = "README.md"
CHECKPOINT = "checkpoint.json"
SEQUENCE = "sequence"
CURSORS = "cursors.json"
REPORTS = "reports.json"
METRICS = "metrics.json"
PAGE = "index.html"
HISTORY = "history.json"
BADGES = "badges/"
NO_JEKYLL = ".nojekyll"
ROOT_FILES = (README, SEQUENCE, CHECKPOINT, CURSORS, REPORTS, OUTBOX, QUARANTINE)
"""What a run reads besides facts."""

TITLE = b"# The ledger of dora-metrics"
WELCOME = (
    TITLE
    + b"""

What was observed, one fact a line, in `facts/` by month. All else is computed from it: `index.html` is a page to look
at; `metrics.json`, `metrics.prom` and `history.json` are for programs, `badges/` is for READMEs.
It is written by the dora-metrics action. Facts are only ever added: please do not edit or delete files by hand.
"""
)
"""The README of a ledger, for who stumbles on it."""

_PART = re.compile(r"(?:-\d+)?\.jsonl$")

LARGEST = 400_000
"""A file is split before it passes this many bytes: GraphQL cuts blobs at 512,000."""


Folders = Mapping[str, tuple[str, ...] | None]
"""The names of the files in each folder, None for one that nobody has looked into yet; at the root all names."""


class Reach(NamedTuple):
    """Which months of a ledger: all from `since` on, and `also` single ones before it; by default all there are."""

    since: str = ""
    also: frozenset[str] = frozenset()

    def holds(self, month: str) -> bool:
        return month >= self.since or month in self.also

    def touches(self, year: str) -> bool:
        """Whether any month of a folder such as `facts/2026` is within reach."""
        return f"{year}/99" >= self.since or any(month.startswith(f"{year}/") for month in self.also)


EVERYTHING = Reach()


class Entry(NamedTuple):
    """A record and its canonical line, which keeps the keys that this version does not know."""

    record: Record
    line: bytes

    @property
    def month(self) -> str:
        return month_at(self.record.defining_time)


class Aside(NamedTuple):
    """A line of the ledger that is no fact."""

    path: str
    bad: BadLine


@dataclass(frozen=True)
class Contents:
    """A ledger as it was read: the newest entry of each id, the ids that lie in each month, lines that are no facts.

    Months before `sealed` are judged already; of their facts only those that are `carried` still count.
    """

    files: Mapping[str, bytes]
    entries: Mapping[str, Entry]
    places: Mapping[str, set[str]]
    aside: tuple[Aside, ...]
    sealed: str = ""
    carried: frozenset[str] = frozenset()

    @cached_property
    def facts(self) -> list[Fact]:
        """The facts to judge by."""
        counting = self._counting
        return [
            entry.record
            for identity, entry in self.entries.items()
            if identity in counting and not isinstance(entry.record, Unknown)
        ]

    def known(self, identity: str) -> Fact | None:
        entry = self.entries.get(identity)
        return None if entry is None or isinstance(entry.record, Unknown) else entry.record

    def old(self, since: str) -> AbstractSet[str]:
        """The facts that lie in months before this one, and in no later one."""
        later = (here for month, here in self.places.items() if month >= since)
        elsewhere = self.entries.keys() - set().union(*later)
        return {identity for identity in elsewhere if self.entries[identity].month < since}

    @cached_property
    def out_of_sight(self) -> AbstractSet[str]:
        """The facts that lie in sealed months."""
        return self.old(self.sealed)

    @cached_property
    def delivered(self) -> AbstractSet[str]:
        """The changes that deployments in sight have delivered."""
        records = (self.entries[identity].record for identity in self.entries.keys() - self.out_of_sight)
        return {change for d in records if isinstance(d, Deployment) for change in d.changes or ()}

    @property
    def _counting(self) -> AbstractSet[str]:
        if not self.sealed:
            return self.entries.keys()
        return (self.entries.keys() - self.out_of_sight) | self.carried | (self.delivered & self.entries.keys())


@dataclass(frozen=True)
class Plan:
    """What a run does to a ledger.

    `after`: the ledger with what was seen. `news`: the facts that changed it. `changes`: new contents by
    path, in an order in which being interrupted loses nothing; empty contents mean that the file goes.
    """

    after: Contents
    news: tuple[Fact, ...]
    changes: dict[str, bytes]


def is_foreign(files: Mapping[str, bytes], folders: Folders, sequence: int | None) -> bool:
    """Whether a place is somebody else's: no ledger was ever written there, and its files are not a ledger's.

    `folders`: what lies at the root and below `facts`, where the place could not hold anything else.
    """
    if sequence:
        return False
    if README in files:
        return not files[README].startswith(TITLE)
    return bool(folders.get("")) and not any(_holds_facts(path, names) for path, names in folders.items())


def _holds_facts(path: str, names: Sequence[str] | None) -> bool:
    """Whether a folder is one of a ledger's facts; one that nobody has looked into is, if it is a year."""
    if not f"{path}/".startswith(FACTS):
        return False
    if names is None:
        return re.fullmatch(r"facts/\d{4}", path) is not None
    return any(name.endswith(".jsonl") for name in names)


def read(files: Mapping[str, bytes], carried: Iterable[Fact] = (), until: datetime | None = None) -> Contents:
    """What lies in a ledger's files, and what is carried of those that were not read."""
    entries: dict[str, Entry] = {}
    places: dict[str, set[str]] = defaultdict(set)
    aside: list[Aside] = []
    for path in sorted(path for path in files if path.startswith(FACTS)):
        pairs, bad = decode_with_lines(files[path])
        places[month_of(path)].update(record.id for record, _ in pairs)
        aside += [Aside(path, one) for one in bad]
        for record, line in pairs:
            _take(entries, Entry(record, line))
    for fact in carried:  # where its month was read, it may lie in a file of another name
        entries.setdefault(fact.id, Entry(fact, encode(fact)))
    ids = frozenset(fact.id for fact in carried)
    return Contents(files, entries, places, tuple(aside), month_at(until) if until else "", ids)


def plan(contents: Contents, seen: Iterable[Fact]) -> Plan:
    """The ledger after it has taken in what was seen.

    A file is rewritten only where a fact in it changed or a line of it is no fact; such lines go to
    `quarantine.jsonl`.
    """
    entries = dict(contents.entries)
    news = tuple(fact for fact in seen if _take(entries, Entry(fact, encode(fact))))
    after = replace(contents, entries=entries, carried=contents.carried | {fact.id for fact in news})
    changed = {fact.id for fact in news}
    changes = _rewritten(after, changed, {month_of(bad.path) for bad in contents.aside})
    if contents.aside:
        quarantined = b"".join(_set_aside(bad) for bad in contents.aside)
        changes = {QUARANTINE: contents.files.get(QUARANTINE, b"") + quarantined, **changes}
    return Plan(replace(after, places=_moved(after, changed)), news, changes)


def _take(entries: dict[str, Entry], entry: Entry) -> bool:
    """Keeps the greater of two records of the same id; whether the new one was kept."""
    known = entries.get(entry.record.id)
    if known is not None and _key(known, entry) >= _key(entry, known):
        return False
    entries[entry.record.id] = entry
    return True


def _key(entry: Entry, other: Entry) -> tuple[object, bytes]:
    """The merge key; the costly half only where the other is as old."""
    tied = entry.record.observed_at == other.record.observed_at
    return entry.record.observed_at, canonical_line(entry.line) if tied else b""


def month_at(moment: datetime) -> str:
    """`facts/2026/11`."""
    return f"{FACTS}{moment:%Y/%m}"


def month_of(path: str) -> str:
    """`facts/2026/11` for `facts/2026/11.jsonl` and `facts/2026/11-2.jsonl`; a file of another name is its own."""
    return _PART.sub("", path)


def _rewritten(after: Contents, changed: set[str], broken: set[str]) -> dict[str, bytes]:
    """New contents of the months that gain, lose or clean a line; those that gain come first."""
    gaining: dict[str, list[Entry]] = defaultdict(list)
    for identity in changed:
        gaining[after.entries[identity].month].append(after.entries[identity])
    losing = broken | {month for month, here in after.places.items() if not changed.isdisjoint(here)}
    changes: dict[str, bytes] = {}
    for month in (*sorted(gaining), *sorted(losing - gaining.keys())):
        entries = [*gaining.get(month, ()), *_staying(after, month, changed)]
        parts = {f"{month}{suffix}.jsonl": content for suffix, content in _split(entries)}
        stale = {path: b"" for path in after.files if _is_stale(path, month, parts)}
        new = {**parts, **stale}
        changes.update((path, content) for path, content in new.items() if after.files.get(path) != content)
    return changes


def _moved(after: Contents, changed: set[str]) -> dict[str, set[str]]:
    """What lies in each month when the files are rewritten."""
    places = defaultdict(set, {month: here - changed for month, here in after.places.items()})
    for identity in changed:
        places[after.entries[identity].month].add(identity)
    return places


def _staying(after: Contents, month: str, changed: set[str]) -> Iterable[Entry]:
    """What stays in a month: a fact that changed lies where it belongs, any other where it was."""
    for identity in after.places.get(month, set()) - changed:
        entry = after.entries[identity]
        if entry.month == month or identity not in after.places.get(entry.month, ()):
            yield entry


def _is_stale(path: str, month: str, parts: Mapping[str, bytes]) -> bool:
    return path.startswith(FACTS) and month_of(path) == month and path not in parts


def _split(entries: list[Entry]) -> Iterable[tuple[str, bytes]]:
    """The lines of a month in the order of their times, in parts that stay below the limit."""
    lines = [entry.line + b"\n" for entry in sorted(entries, key=lambda e: (e.record.defining_time, e.record.id))]
    part: list[bytes] = []
    number = size = 0
    for line in (*lines, None):
        if part and (line is None or size + len(line) > LARGEST):
            number += 1
            yield "" if number == 1 else f"-{number}", b"".join(part)
            part, size = [], 0
        if line is not None:
            part.append(line)
            size += len(line)


def _set_aside(aside: Aside) -> bytes:
    text = aside.bad.text.decode("utf-8", "backslashreplace")
    return canonical({"file": aside.path, "line": aside.bad.number, "problem": aside.bad.problem, "text": text}) + b"\n"


LARGEST_BATCH = 200


class Owed(msgspec.Struct, frozen=True):
    """A fact's id, and the month it lies in, so that it is found again when a run no longer reads so far back."""

    id: str
    month: str = ""


_decoder = msgspec.json.Decoder(Owed)


def owed(files: Mapping[str, bytes]) -> list[Owed]:
    """What waits, oldest first; a broken line is left out, since `sync` sends what is missing."""
    return [one for line in files.get(OUTBOX, b"").splitlines() for one in _decoded(line)]


def _decoded(line: bytes) -> Iterator[Owed]:
    try:
        yield _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return


def added(waiting: Iterable[Owed], new: Iterable[Fact]) -> list[Owed]:
    """Both, each id once, in the order in which they came, each in its newest month."""
    found = {one.id: one for one in waiting}
    found |= {fact.id: Owed(fact.id, month_at(fact.defining_time)) for fact in new}
    return list(found.values())


def contents(waiting: Iterable[Owed]) -> bytes:
    """The outbox as a file."""
    return b"".join(canonical(one) + b"\n" for one in waiting)


PLACES = (PAGE, HISTORY, NO_JEKYLL, BADGES)
"""Where a site lies in a ledger; a folder ends with a slash."""


def blob(content: bytes) -> str:
    """The name that git gives to a content: what is compared, since GitHub lists it."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def difference(site: Mapping[str, bytes], there: Mapping[str, str]) -> dict[str, bytes]:
    """What makes the places hold this site and nothing else; empty contents mean that a file goes.

    Args:
        site: contents by path.
        there: what lies in the places now, by path, as git names it.
    """
    new = {path: content for path, content in site.items() if content and there.get(path) != blob(content)}
    gone = (path for path in there if path.startswith(PLACES) and not site.get(path))
    return {**new, **dict.fromkeys(gone, b"")}
