"""What was filed: which period each kind of report was last made for, by whom, and in which issues.

It lies in the ledger, which only one run at a time can change: who writes its claim there makes the report. An issue is
found again by a hidden marker in its text, so that a run that dies after it has made one leaves no second one behind.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.core.periods import Period
from dora_metrics.core.scope import Scope

CLAIM = timedelta(minutes=5)
"""How long a run that has claimed a report is waited for, by clocks that differ."""

MISSED = timedelta(hours=24)
"""So long a schedule has to make what is due, before it counts as missed."""


class Filed(Struct, frozen=True):
    """An issue with a report, and the digest of the part of its text that is ours."""

    number: int
    digest: str


class Entry(Struct, frozen=True, kw_only=True):
    """The newest report of a kind, and its issues by marker.

    `done`: everything about it is filed. `refused`: GitHub did not let the run that claimed it. By scope: `before`, the
    newest issue of the reports before; `closing`, those that are still to be closed.
    """

    period: str
    claimed_at: datetime
    claimed_by: str
    done: bool = False
    refused: bool = False
    filed: dict[str, Filed] = {}
    before: dict[str, int] = {}
    closing: dict[str, int] = {}


Drawer = dict[str, Entry]
"""The reports of one repository, by kind."""

Cabinet = dict[str, Drawer]
"""By repository that has the issues: several may share a ledger."""


def decoded(text: bytes) -> Cabinet:
    """What a ledger holds; nothing where it cannot be read, since every issue is found by its marker as well."""
    try:
        return msgspec.json.decode(text, type=Cabinet)
    except msgspec.DecodeError:
        return {}


def encoded(cabinet: Mapping[str, Drawer]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(cabinet, order="sorted"), indent=1) + b"\n" if cabinet else b""


def claimed(drawer: Drawer, period: Period, by: str, now: datetime, *, asked: bool) -> Entry | None:
    """The entry that claims a period's report for a run; None where it is done, or is another run's.

    `asked`: a schedule or a person started the run. One of an event makes only what was missed, of a kind that was made
    before: it may not have the permission, and should neither complain of that nor stand in the way of who has it.
    """
    found = drawer.get(period.kind)
    fresh = Entry(period=period.name, claimed_at=now, claimed_by=by)
    if found is None:
        return fresh if asked else None
    if found.period < period.name:
        is_missed = now >= period.due + MISSED
        return replace(fresh, before=_latest(found), closing=_unclosed(found)) if asked or is_missed else None
    if found.period > period.name or found.done or (found.refused and not asked):
        return None
    if not found.refused and abs(now - found.claimed_at) < CLAIM:
        return None
    return replace(found, claimed_at=now, claimed_by=by, refused=False)


def finished(entry: Entry, made: Mapping[str, Filed]) -> Entry:
    """The entry once its issues are there, and those of the report before are closed."""
    return replace(entry, done=True, filed=entry.filed | dict(made), closing={})


def _latest(entry: Entry) -> dict[str, int]:
    return entry.before | _numbers(entry)


def _unclosed(entry: Entry) -> dict[str, int]:
    return entry.closing | _numbers(entry)


def _numbers(entry: Entry) -> dict[str, int]:
    """The issues of a report, by scope."""
    return {scope_of(marker): one.number for marker, one in entry.filed.items()}


def marker(period: Period, scope: Scope) -> str:
    """What a report is known by. A scope's name is a stranger's text, so that only its hash is told."""
    return f"{period.kind}:{period.name}:{scope_key(scope)}"


def scope_key(scope: Scope) -> str:
    return hashlib.sha256("\0".join(scope).encode()).hexdigest()[:16]


def scope_of(marker: str) -> str:
    """The key of the scope that a marker is of."""
    return marker.rpartition(":")[2]
