"""The outbox: the facts and reports that each endpoint is owed, oldest first.

The debts of the endpoint of the single inputs are in `outbox.jsonl`, those of named endpoints in
`outbox-endpoints.jsonl`: an older version of the action takes all of `outbox.jsonl` for its own, and leaves the other
file as it is. Debts of an endpoint that no setting has any more stay until it is back.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.ledger.layout import ENDPOINTS_OUTBOX_FILE, OUTBOX_FILE
from dora_metrics.core.ledger.month_files import month_of_time
from dora_metrics.core.periods import PERIOD_KINDS, PeriodKind, end_of_named

DEFAULT_ENDPOINT = "default"
"""The name of the endpoint of the single inputs."""

MAX_BATCH_FACTS = 200
"""The number of facts and reports that a shape gets at once."""

_REPORT = "report"

Entry = TypeVar("Entry", bound=msgspec.Struct)


class OutboxEntry(msgspec.Struct, frozen=True):
    """A fact or report that an endpoint has not acknowledged.

    Attributes:
        id: of the fact; `report:weekly:2026-W47` for a report.
        month: of the fact, in case a run does not read that far; empty for a report, and if it is not known.
    """

    id: str
    month: str = ""


class _NamedEntry(msgspec.Struct, frozen=True):
    """A line of `outbox-endpoints.jsonl`."""

    endpoint: str
    id: str
    month: str = ""


Outbox = Mapping[str, Sequence[OutboxEntry]]
"""The debts by the name of the endpoint, oldest first."""

_decoder = msgspec.json.Decoder(OutboxEntry)
_named_decoder = msgspec.json.Decoder(_NamedEntry)


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
        if prefix == _REPORT and name != rest and end_of_named(kind, name):
            return kind, name
    return None


def read_outbox(files: Mapping[str, bytes]) -> dict[str, list[OutboxEntry]]:
    """Return the debts of each endpoint. Lines that are not valid are skipped, because `sync` sends missing facts."""
    outbox: dict[str, list[OutboxEntry]] = {}
    if single := list(_decoded(files.get(OUTBOX_FILE, b""), _decoder)):
        outbox[DEFAULT_ENDPOINT] = single
    for line in _decoded(files.get(ENDPOINTS_OUTBOX_FILE, b""), _named_decoder):
        if line.endpoint != DEFAULT_ENDPOINT:
            outbox.setdefault(line.endpoint, []).append(OutboxEntry(line.id, line.month))
    return outbox


def _decoded(content: bytes, decoder: "msgspec.json.Decoder[Entry]") -> Iterator[Entry]:
    for line in content.splitlines():
        try:
            yield decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue


def with_entries(owed: Iterable[OutboxEntry], new: Iterable[OutboxEntry]) -> list[OutboxEntry]:
    """Append debts. Each id is listed once, at its first position, with its newest month."""
    return list({entry.id: entry for entry in (*owed, *new)}.values())


def remaining(owed: Iterable[OutboxEntry], settled: Collection[str], refused: Collection[str]) -> list[OutboxEntry]:
    """Return the debts that are not settled; those that were refused come last."""
    left = [entry for entry in owed if entry.id not in settled]
    return sorted(left, key=lambda entry: entry.id in refused)


def outbox_files(outbox: Outbox) -> dict[str, bytes]:
    """Return the files of an outbox; empty content for one without debts."""
    single = outbox.get(DEFAULT_ENDPOINT, ())
    named = (
        _NamedEntry(name, entry.id, entry.month)
        for name, entries in outbox.items()
        if name != DEFAULT_ENDPOINT
        for entry in entries
    )
    return {OUTBOX_FILE: _encoded(single), ENDPOINTS_OUTBOX_FILE: _encoded(named)}


def _encoded(entries: Iterable[msgspec.Struct]) -> bytes:
    return b"".join(canonical_json(entry) + b"\n" for entry in entries)
