"""The outbox: the facts and reports that each endpoint is owed, oldest first.

The facts that the endpoint of the single inputs is owed are in `outbox.jsonl`, everything else in
`outbox-endpoints.jsonl`: an older version of the action takes all of `outbox.jsonl` for facts of its own, and leaves
the other file as it is. Debts of an endpoint that no setting has any more stay until it is back.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.json_errors import UNREADABLE_JSON
from dora_metrics.core.ledger.layout import ENDPOINTS_OUTBOX_FILE, OUTBOX_FILE
from dora_metrics.core.ledger.month_files import month_of_time
from dora_metrics.core.linking.former_names import NO_NAMES, RepositoryNames
from dora_metrics.core.periods import PERIOD_KINDS, PeriodKind, end_of_named

DEFAULT_ENDPOINT = "default"
"""The name of the endpoint of the single inputs."""

MAX_BATCH_FACTS = 200
"""The number of facts and reports that a shape gets at once."""

_REPORT = "report"
_FIRST_YEAR, _END_YEAR = "1970", "9000"

Entry = TypeVar("Entry", bound=msgspec.Struct)


class OutboxEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A fact or report that an endpoint has not acknowledged.

    Attributes:
        id: of the fact; `report:weekly:2026-W47` for a report.
        month: of the fact, in case a run does not read that far; empty for a report, and if it is not known.
        owed_at: the sequence of the ledger with which it was last owed, by which a newer debt of the same fact is told
            from the one that was sent; 0 if it is not known.
        refused: whether the endpoint refused it the last time.
    """

    id: str
    month: str = ""
    owed_at: int = 0
    refused: bool = False


class _NamedEntry(OutboxEntry, frozen=True, kw_only=True, omit_defaults=True):
    """A line of `outbox-endpoints.jsonl`."""

    endpoint: str


Outbox = Mapping[str, Sequence[OutboxEntry]]
"""The debts by the name of the endpoint, as `name_in_outbox` has it, oldest first."""

_decoder = msgspec.json.Decoder(OutboxEntry)
_named_decoder = msgspec.json.Decoder(_NamedEntry)


def name_in_outbox(endpoint: str, tenant: str) -> str:
    """Return what an endpoint is called in the outbox.

    Where several repositories write one ledger, each has endpoints of its own, whose names others may use too.

    Args:
        endpoint: its name in the settings.
        tenant: the repository of these settings, if the ledger is that of another one; empty if it is its own.
    """
    return f"{endpoint}@{tenant}" if tenant else endpoint


def entry_of(fact: Fact) -> OutboxEntry:
    """Return the debt of a fact."""
    return OutboxEntry(fact.id, month_of_time(fact.defining_time))


def report_entry(kind: str, period_name: str) -> OutboxEntry:
    """Return the debt of a periodic report."""
    return OutboxEntry(f"{_REPORT}:{kind}:{period_name}")


def is_report(debt_id: str) -> bool:
    """Whether a debt is a report. No fact has such an id: its source would be `report`."""
    return debt_id.startswith(f"{_REPORT}:")


def reported_period(debt_id: str) -> tuple[PeriodKind, str] | None:
    """Return kind and name of the period of an owed report; None if the id names no period."""
    prefix, _, rest = debt_id.partition(":")
    for kind in PERIOD_KINDS:
        name = rest.removeprefix(f"{kind}:")
        if prefix == _REPORT and name != rest and _FIRST_YEAR <= name[:4] < _END_YEAR and end_of_named(kind, name):
            return kind, name
    return None


def read_outbox(files: Mapping[str, bytes], names: RepositoryNames = NO_NAMES) -> dict[str, list[OutboxEntry]]:
    """Return the debts of each endpoint, by the present ids of facts: a repository may have been renamed since.

    Lines that are not valid are skipped, because `sync` sends missing facts.
    """
    outbox: defaultdict[str, list[OutboxEntry]] = defaultdict(list)
    outbox[DEFAULT_ENDPOINT] += _decoded(files.get(OUTBOX_FILE, b""), _decoder)
    for line in _decoded(files.get(ENDPOINTS_OUTBOX_FILE, b""), _named_decoder):
        outbox[line.endpoint].append(OutboxEntry(line.id, line.month, line.owed_at, line.refused))
    return {name: _with_present_ids(entries, names) for name, entries in outbox.items() if entries}


def _with_present_ids(entries: Iterable[OutboxEntry], names: RepositoryNames) -> list[OutboxEntry]:
    return with_entries((), (replace(entry, id=names.present_id(entry.id)) for entry in entries))


def _decoded(content: bytes, decoder: "msgspec.json.Decoder[Entry]") -> Iterator[Entry]:
    for line in content.splitlines():
        try:
            yield decoder.decode(line)
        except UNREADABLE_JSON:
            continue


def with_entries(owed: Iterable[OutboxEntry], new: Iterable[OutboxEntry]) -> list[OutboxEntry]:
    """Append debts. Each id is listed once, at its first position, as it was last owed."""
    return list({entry.id: entry for entry in (*owed, *new)}.values())


def refused_last(owed: Iterable[OutboxEntry]) -> list[OutboxEntry]:
    """Return debts in the order of sending: those that were refused the last time come after the others."""
    return sorted(owed, key=lambda entry: entry.refused)


def remaining(
    owed: Iterable[OutboxEntry],
    sent: Mapping[str, OutboxEntry],
    settled: Collection[str],
    refused: Collection[str],
) -> list[OutboxEntry]:
    """Return the debts that are left, those that were refused now as the last ones.

    Args:
        owed: the debts of the endpoint.
        sent: by id, the debts that a run tried to settle. One that was owed again since stays as it is.
        settled: the ids of those that are settled.
        refused: the ids of those that were refused.
    """
    tried = {entry.id for entry in owed if sent.get(entry.id, entry).owed_at == entry.owed_at}
    left = [entry for entry in owed if not (entry.id in tried and entry.id in settled)]
    marked = [replace(each, refused=True) if each.id in refused and each.id in tried else each for each in left]
    return sorted(marked, key=lambda entry: entry.id in refused)


def outbox_files(outbox: Outbox) -> dict[str, bytes]:
    """Return the files of an outbox; empty content for one without debts."""
    single = [entry for entry in outbox.get(DEFAULT_ENDPOINT, ()) if not is_report(entry.id)]
    named = (
        _NamedEntry(entry.id, entry.month, entry.owed_at, entry.refused, endpoint=name)
        for name, entries in outbox.items()
        for entry in entries
        if name != DEFAULT_ENDPOINT or is_report(entry.id)
    )
    return {OUTBOX_FILE: _encoded(single), ENDPOINTS_OUTBOX_FILE: _encoded(named)}


def _encoded(entries: Iterable[msgspec.Struct]) -> bytes:
    return b"".join(canonical_json(entry) + b"\n" for entry in entries)
