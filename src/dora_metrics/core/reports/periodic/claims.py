"""The ledger's record of periodic reports: the newest period of each kind, the run that claimed it, and its issues.

The ledger has a compare-and-swap write, so only one run can claim a report. A hidden marker in the issue identifies the
report; a run that resumes after a crash finds the issue by it and creates no duplicate.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from dora_metrics.core.facts.merge import CLOCK_SKEW, CLOCK_TOLERANCE
from dora_metrics.core.json_errors import UNREADABLE_JSON
from dora_metrics.core.periods import Period, end_of_named
from dora_metrics.core.scope import Scope

CLAIM_RENEWAL = timedelta(minutes=5)
"""A claim that is older is renewed before anything is created. Creating an issue takes no longer than this."""

CLAIM_DURATION = 2 * CLOCK_SKEW + 3 * CLAIM_RENEWAL
"""How long a claim is valid for other runs. Each clock may differ from GitHub's, so both directions count."""

MISSED_AFTER = timedelta(hours=24)
"""How long after its due time a report counts as missed by the schedule."""


class FiledIssue(Struct, frozen=True):
    """An issue that holds a report. `digest`: hash of the generated part of its text."""

    number: int
    digest: str


class OpenIssue(Struct, frozen=True):
    """An issue of an earlier report that is to be closed.

    `scope_key`: of the report that it holds. `unseen_count`: how many runs GitHub did not show it to.
    """

    number: int
    scope_key: str
    unseen_count: int = 0


class ReportClaim(Struct, frozen=True, kw_only=True):
    """The newest report of a kind.

    `done`: all its issues are filed. `refused`: GitHub denied the claiming run permission. `filed`: issues by marker.
    `before`: the newest issue of earlier reports, by scope key. `closing`: issues to close once there are new ones, by
    scope key. `left_open`: issues that could not be closed yet.
    """

    period: str
    claimed_at: Annotated[datetime, Meta(tz=True)]
    claimed_by: str
    done: bool = False
    refused: bool = False
    filed: dict[str, FiledIssue] = {}
    before: dict[str, int] = {}
    closing: dict[str, int] = {}
    left_open: tuple[OpenIssue, ...] = ()


KindClaims = dict[str, ReportClaim]
"""Claims of one repository, by kind of report."""

RepositoryClaims = dict[str, KindClaims]
"""Claims by the first known name of the repository that holds the issues. Several repositories may share a ledger."""


def decode_claims(content: bytes) -> RepositoryClaims:
    """Decode the claims in a ledger; empty if they are invalid, since issues can also be found by their markers."""
    try:
        return msgspec.json.decode(content, type=RepositoryClaims)
    except UNREADABLE_JSON:
        return {}


def encode_claims(claims: Mapping[str, KindClaims]) -> bytes:
    """Encode claims for the ledger; empty if there are none."""
    return msgspec.json.format(msgspec.json.encode(claims, order="sorted"), indent=1) + b"\n" if claims else b""


def claim_report(
    claims: KindClaims, period: Period, run_name: str, now: datetime, *, is_requested: bool
) -> ReportClaim | None:
    """Return a claim on a period's report for a run; None if the report is done or claimed by another run.

    `is_requested`: a schedule or a person started the run. A run started by an event makes only reports that the
    schedule missed, of a kind that was made before: it may lack the permission, and must then neither warn nor block
    a run that has it.

    A claim from the future was made by a run whose clock was wrong, and one on a period that had not ended, or that
    does not exist, by no run. It is replaced, and its issues are closed with those of the previous report.
    """
    existing = claims.get(period.kind)
    new_claim = ReportClaim(period=period.name, claimed_at=now, claimed_by=run_name)
    if existing is None:
        return new_claim if is_requested else None
    if existing.period < period.name or _is_from_future(existing, period, now):
        is_missed = now >= period.due + MISSED_AFTER
        before, closing = _latest_issues(existing), _issues_to_close(existing)
        claim = replace(new_claim, before=before, closing=closing, left_open=existing.left_open)
        return claim if is_requested or is_missed else None
    if existing.period > period.name or existing.done or (existing.refused and not is_requested):
        return None
    if not existing.refused and abs(now - existing.claimed_at) < CLAIM_DURATION:
        return None
    return replace(existing, claimed_at=now, claimed_by=run_name, refused=False)


def _is_from_future(claim: ReportClaim, period: Period, now: datetime) -> bool:
    """Whether a claim, or the period in it, is of a time that no run can have reached."""
    if claim.claimed_at - now > CLOCK_TOLERANCE:
        return True
    if claim.period == period.name:
        return False
    period_end = end_of_named(period.kind, claim.period)
    return period_end is None or period_end - claim.claimed_at > CLOCK_TOLERANCE


def complete_claim(claim: ReportClaim, filed_issues: Mapping[str, FiledIssue]) -> ReportClaim:
    """Return the claim with its issues filed and those of the previous report closed."""
    return replace(claim, done=True, filed=claim.filed | dict(filed_issues), closing={})


def _latest_issues(claim: ReportClaim) -> dict[str, int]:
    return claim.before | _issue_numbers(claim)


def _issues_to_close(claim: ReportClaim) -> dict[str, int]:
    return claim.closing | _issue_numbers(claim)


def _issue_numbers(claim: ReportClaim) -> dict[str, int]:
    """Return the numbers of a report's issues, by scope key."""
    return {scope_key_of(marker): issue.number for marker, issue in claim.filed.items()}


def report_marker(period: Period, scope: Scope) -> str:
    """Return the marker that identifies a report. It holds a hash of the scope, whose name is untrusted text.

    The scope has the first known name of its repository, so that the report is found again after a rename.
    """
    return f"{period.kind}:{period.name}:{scope_key(scope)}"


def all_scopes_marker(period: Period, repository: str, ledger: str) -> str:
    """Return the marker of the report on all scopes of a ledger.

    `repository` is the first known name of the repository that holds the issue, which may have several ledgers.
    """
    return f"{period.kind}:{period.name}:{_hash_of('all scopes', repository, ledger, '')}"


def scope_key(scope: Scope) -> str:
    """Return the hash that stands for a scope in markers: 16 hexadecimal digits."""
    return _hash_of(*scope)


def _hash_of(*names: str) -> str:
    return hashlib.sha256("\0".join(names).encode()).hexdigest()[:16]


def scope_key_of(marker: str) -> str:
    """Return the scope key in a marker."""
    return marker.rpartition(":")[2]
