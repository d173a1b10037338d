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

CLAIM_DURATION = timedelta(minutes=5)
"""How long a run that has claimed a report is waited for, by clocks that differ."""

MISSED_AFTER = timedelta(hours=24)
"""So long a schedule has to make what is due, before it counts as missed."""


class FiledIssue(Struct, frozen=True):
    """An issue with a report, and the digest of the part of its text that is ours."""

    number: int
    digest: str


class ReportClaim(Struct, frozen=True, kw_only=True):
    """The newest report of a kind, and its issues by marker.

    `done`: everything about it is filed. `refused`: GitHub did not let the run that claimed it. By scope: `before`, the
    newest issue of the reports before; `closing`, those that are still to be closed.
    """

    period: str
    claimed_at: datetime
    claimed_by: str
    done: bool = False
    refused: bool = False
    filed: dict[str, FiledIssue] = {}
    before: dict[str, int] = {}
    closing: dict[str, int] = {}


KindClaims = dict[str, ReportClaim]
"""The reports of one repository, by kind."""

RepositoryClaims = dict[str, KindClaims]
"""By repository that has the issues: several may share a ledger."""


def decode_claims(content: bytes) -> RepositoryClaims:
    """What a ledger holds; nothing where it cannot be read, since every issue is found by its marker as well."""
    try:
        return msgspec.json.decode(content, type=RepositoryClaims)
    except msgspec.DecodeError:
        return {}


def encode_claims(claims: Mapping[str, KindClaims]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(claims, order="sorted"), indent=1) + b"\n" if claims else b""


def claim_report(
    claims: KindClaims, period: Period, run_name: str, now: datetime, *, is_requested: bool
) -> ReportClaim | None:
    """The entry that claims a period's report for a run; None where it is done, or is another run's.

    `asked`: a schedule or a person started the run. One of an event makes only what was missed, of a kind that was made
    before: it may not have the permission, and should neither complain of that nor stand in the way of who has it.
    """
    existing = claims.get(period.kind)
    new_claim = ReportClaim(period=period.name, claimed_at=now, claimed_by=run_name)
    if existing is None:
        return new_claim if is_requested else None
    if existing.period < period.name:
        is_missed = now >= period.due_at + MISSED_AFTER
        return (
            replace(new_claim, before=_latest_issues(existing), closing=_issues_to_close(existing))
            if is_requested or is_missed
            else None
        )
    if existing.period > period.name or existing.done or (existing.refused and not is_requested):
        return None
    if not existing.refused and abs(now - existing.claimed_at) < CLAIM_DURATION:
        return None
    return replace(existing, claimed_at=now, claimed_by=run_name, refused=False)


def complete_claim(claim: ReportClaim, filed_issues: Mapping[str, FiledIssue]) -> ReportClaim:
    """The entry once its issues are there, and those of the report before are closed."""
    return replace(claim, done=True, filed=claim.filed | dict(filed_issues), closing={})


def _latest_issues(claim: ReportClaim) -> dict[str, int]:
    return claim.before | _issue_numbers(claim)


def _issues_to_close(claim: ReportClaim) -> dict[str, int]:
    return claim.closing | _issue_numbers(claim)


def _issue_numbers(claim: ReportClaim) -> dict[str, int]:
    """The issues of a report, by scope."""
    return {scope_key_of(marker): issue.number for marker, issue in claim.filed.items()}


def report_marker(period: Period, scope: Scope) -> str:
    """What a report is known by. A scope's name is a stranger's text, so that only its hash is told."""
    return f"{period.kind}:{period.name}:{scope_key(scope)}"


def scope_key(scope: Scope) -> str:
    return hashlib.sha256("\0".join(scope).encode()).hexdigest()[:16]


def scope_key_of(marker: str) -> str:
    """The key of the scope that a marker is of."""
    return marker.rpartition(":")[2]
