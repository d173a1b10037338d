"""A ledger together with others that a run only reads, such as those of shards: each fact once, under present names.

The union is what one ledger with all these facts would hold. A repository that moved to another owner may be in two
ledgers; its number and its names say that it is one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import chain

from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.core import formatting
from dora_metrics.core.cursors import LAST_READING, Cursor, Cursors, decode_cursors
from dora_metrics.core.facts.jsonl import canonical_json, decode_lines, encode_fact
from dora_metrics.core.facts.model import EPOCH, Fact, FactRecord, Repository, UnknownRecord
from dora_metrics.core.ledger.counters_file import read_marks
from dora_metrics.core.ledger.layout import CURSORS_FILE, MergePlan
from dora_metrics.core.ledger.month_files import FACTS_FOLDER
from dora_metrics.core.linking.former_names import RepositoryNames
from dora_metrics.core.metrics.high_water_marks import NO_MARKS, HighWaterMarks
from dora_metrics.core.scope import Scope

_MAX_NAMES = 5
_ANY_TIME = datetime.max.replace(tzinfo=UTC)
_UNREAD = (
    "{} could not be read: {}. All repositories there are missing from the numbers, which does not mean that nothing "
    "happened in them."
)


class OtherLedger(Struct, frozen=True):
    """What a run takes from a ledger that it only reads.

    Attributes:
        records: the facts in its files, in the order of the files.
        names: those of repositories that it knows.
        marks: its high-water marks, by scopes as `RepositoryNames.stored_scope` reads them.
        cursors: how far its syncs have read, which says what they could not read.
        bad_line_count: how many lines are not facts.
    """

    records: tuple[FactRecord, ...]
    names: RepositoryNames
    marks: HighWaterMarks
    cursors: Cursors
    bad_line_count: int

    @classmethod
    def of(cls, files: Mapping[str, bytes], latest: datetime) -> "OtherLedger":
        """Decode all months of a ledger, and keep nothing else of its files. Cursors after `latest` do not count."""
        records, bad_line_count = _decode_facts(files)
        cursors = decode_cursors(files.get(CURSORS_FILE, b""), latest)
        return cls(records, RepositoryNames.of(records), read_marks(files), cursors, bad_line_count)

    @property
    def newer_record_count(self) -> int:
        """The records that only a newer version understands."""
        return sum(isinstance(record, UnknownRecord) for record in self.records)


class LedgerUnion(Struct, frozen=True):
    """The facts of several ledgers as if one held them, and what their readers must know.

    Attributes:
        facts: the newest version of each.
        names: those of the repositories in all ledgers.
        marks: the greatest high-water marks of the other ledgers.
        cursors: those of each other ledger, by the stable names in `names`.
        own_names: those that the run's own ledger knows.
        unread: a sentence on the ledgers that could not be read; empty without any.
    """

    facts: Sequence[Fact]
    names: RepositoryNames
    marks: HighWaterMarks
    cursors: Sequence[Cursors]
    own_names: RepositoryNames
    unread: str

    def cursors_with(self, own: Cursors) -> Cursors:
        """Return the cursors of all ledgers; `own` are those of the run's own one."""
        return join_cursors((_with_stable_names(own, self.own_names, self.names), *self.cursors))


class OtherLedgers(Struct, frozen=True):
    """The other ledgers of a run.

    Attributes:
        ledgers: those that were read.
        unread: the names of those that could not be read.
    """

    ledgers: tuple[OtherLedger, ...] = ()
    unread: tuple[str, ...] = ()

    def united_with(self, own: MergePlan) -> LedgerUnion:
        """Return the union with the run's own ledger, of which all months were read."""
        ledgers = [_own_ledger(own), *self.ledgers]
        names = own.after.names.including(chain.from_iterable(map(_names_as_read, ledgers)))
        return LedgerUnion(
            facts=list(_newest_facts(ledgers, names)),
            names=names,
            marks=_joined_marks(self.ledgers, names),
            cursors=[_with_stable_names(ledger.cursors, ledger.names, names) for ledger in self.ledgers],
            own_names=own.after.names,
            unread=_unread_text(self.unread) if self.unread else "",
        )

    def news_in_names(self, own: RepositoryNames) -> Iterator[Repository]:
        """Yield what the run's own ledger, which knows the names `own`, does not know yet of repositories.

        It keeps that, and so the high-water marks of a repository that was renamed stay those of the same one when the
        ledger that knows both names is unread.
        """
        return own.news_in(chain.from_iterable(map(_names_as_read, self.ledgers)))

    @property
    def has_facts(self) -> bool:
        return any(ledger.records for ledger in self.ledgers)


def _own_ledger(own: MergePlan) -> OtherLedger:
    """Return the run's own ledger like the others, without marks, which the run counts anyway."""
    records, bad_line_count = _decode_facts(own.after.files)
    cursors = decode_cursors(own.after.files.get(CURSORS_FILE, b""), _ANY_TIME)
    return OtherLedger((*records, *own.new_facts), own.after.names, NO_MARKS, cursors, bad_line_count)


def _decode_facts(files: Mapping[str, bytes]) -> tuple[tuple[FactRecord, ...], int]:
    """Return the records in the files of all months, as they were written, and the number of invalid lines."""
    decoded = [decode_lines(files[path]) for path in sorted(files) if path.startswith(FACTS_FOLDER)]
    records = tuple(chain.from_iterable(records for records, _ in decoded))
    return records, sum(len(bad_lines) for _, bad_lines in decoded)


def _names_as_read(ledger: OtherLedger) -> Iterator[Repository]:
    """Yield what a ledger knows of the names of repositories, as observed at their last reading.

    A ledger writes a record only if a name is new. So the record of a repository that moved to another shard, and back,
    is older in the ledger that reads it now.
    """
    for repository in ledger.names.repositories.values():
        stable_name = ledger.names.stable_name(ledger.names.present_name_of(repository))
        read_at = ledger.cursors.get(stable_name, {}).get(LAST_READING, Cursor()).newest
        yield replace(repository, observed_at=max(filter(None, (read_at, repository.observed_at))))


def _newest_facts(ledgers: Iterable[OtherLedger], names: RepositoryNames) -> Iterator[Fact]:
    """Yield the newest version of each fact, under present names.

    Each ledger says of which repositories its facts are, since other ledgers may know their names as those of others.
    Versions are compared as they were written, since names are resolved by the time at which a fact was observed.
    """
    newest: dict[str, tuple[FactRecord, RepositoryNames]] = {}
    for ledger in ledgers:
        names_there = names.as_written_with(ledger.names)
        for record in ledger.records:
            fact_id = names_there.resolve(record).id
            current = newest.get(fact_id)
            if current is None or _is_newer(record, current[0]):
                newest[fact_id] = (record, names_there)
    for record, names_there in newest.values():
        if not isinstance(record, Repository | UnknownRecord):
            yield names_there.resolve_fact(record)


def _is_newer(record: FactRecord, current: FactRecord) -> bool:
    """Whether a record counts in place of another one of the same id, as when they are merged into one ledger."""
    if record.observed_at != current.observed_at:
        return record.observed_at > current.observed_at
    return _canonical_line(record) > _canonical_line(current)


def _canonical_line(record: FactRecord) -> bytes:
    return canonical_json(record) if isinstance(record, UnknownRecord) else encode_fact(record)


def _joined_marks(ledgers: Iterable[OtherLedger], names: RepositoryNames) -> HighWaterMarks:
    """Return the greatest marks of ledgers, by the stable names in `names`."""
    joined = NO_MARKS
    for ledger in ledgers:
        joined |= ledger.marks.renamed(partial(_with_stable_name, names.stable_names_from(ledger.names)))
    return joined


def _with_stable_name(stable_names: Mapping[str, str], scope: Scope) -> Scope:
    return scope._replace(repository=stable_names.get(scope.repository, scope.repository))


def _with_stable_names(cursors: Cursors, known: RepositoryNames, names: RepositoryNames) -> Cursors:
    """Return the cursors of a ledger by the stable names in `names`; `known` are the names that it knows."""
    stable_names = names.stable_names_from(known)
    return join_cursors({stable_names.get(name, name): by_kind} for name, by_kind in cursors.items())


def join_cursors(cursors_of_ledgers: Iterable[Cursors]) -> Cursors:
    """Return the cursors of several ledgers.

    Of two with the same key, the one of the ledger that has read the repository last is kept: in the other one it stays
    as it was. Where both did at the same time, or none did, it is the one that says what is unread.
    """
    ranked: defaultdict[str, dict[str, tuple[datetime, bool, Cursor]]] = defaultdict(dict)
    for cursors in cursors_of_ledgers:
        for repository, by_kind in cursors.items():
            read_at = by_kind.get(LAST_READING, Cursor()).newest or EPOCH
            for kind, cursor in by_kind.items():
                candidate = (read_at, _has_unread(cursor), cursor)
                ranked[repository][kind] = max(ranked[repository].get(kind, candidate), candidate, key=_rank)
    return {name: {kind: cursor for kind, (*_, cursor) in by_kind.items()} for name, by_kind in ranked.items()}


def _rank(candidate: tuple[datetime, bool, Cursor]) -> tuple[datetime, bool]:
    read_at, has_unread, _ = candidate
    return read_at, has_unread


def _has_unread(cursor: Cursor) -> bool:
    return bool(cursor.refused or cursor.unread)


def _unread_text(names: Sequence[str]) -> str:
    return _UNREAD.format(formatting.count(len(names), "shard ledger"), formatting.join_first(names, _MAX_NAMES))
