"""The kinds of facts: deployments, changes, incidents, vulnerabilities, names of repositories (record format 1).

Facts are msgspec structs, because runs decode whole ledgers: a fact takes about 1.5 µs, against 13 µs with pydantic
(`make bench`). Validation and JSON Schema are equivalent. Settings and event payloads use pydantic.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct

from dora_metrics.core.facts import ids

RECORD_VERSION = 1
"""Written as `v`. A record with a higher `v` is kept and not interpreted."""

Text = Annotated[str, Meta(min_length=1)]
FactId = Annotated[str, Meta(pattern=ids.PATTERN, max_length=ids.MAX_LENGTH)]
FactName = Annotated[str, Meta(pattern=ids.NAME_PATTERN, max_length=ids.MAX_LENGTH)]
"""How a fact names others: usually by id."""
Sha = Annotated[str, Meta(pattern="^[0-9a-f]{40}$", max_length=40)]
Time = Annotated[datetime, Meta(tz=True)]
Count = Annotated[int, Meta(ge=0)]
AttemptNumber = Annotated[int, Meta(ge=1)]

PRERELEASE = "prerelease"
"""The environment of a release that is not for production yet."""

GIT_SOURCE = "git"
"""The source of facts from a git history, which knows no incidents, and no branch of a squashed pull request."""

ALERTMANAGER_SOURCE = "alertmanager"
"""The source of incidents that are alerts of Prometheus."""

Status = Literal["success", "failure", "cancelled"]
Health = Literal["passed", "failed"]
Severity = Literal["critical", "high", "medium", "low"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
CHOICES: dict[str, tuple[str, ...]] = {
    "status": get_args(Status),
    "health": get_args(Health),
    "severity": SEVERITIES,
}
"""Allowed values of each enumerated field, for error messages."""


class _FactBase(Struct, frozen=True, kw_only=True, gc=False, tag_field="kind"):
    id: FactId
    repository: Text
    observed_at: Time
    v: Annotated[int, Meta(ge=1)] = RECORD_VERSION
    service: str | None = None
    source: str | None = None
    url: str | None = None
    retracted: bool = False


class Commit(Struct, frozen=True, gc=False):
    """One commit of a change. Merge commits are left out."""

    sha: Sha
    authored_at: Time


class Deployment(_FactBase, frozen=True, kw_only=True, gc=False, tag="deployment"):
    """One finished attempt to deploy a version to an environment.

    `changes`: null if not known yet, empty if there are none. `previous`: the successful deployment before it, with
    which it was compared. `commit_count`: the number of newly reachable commits, merges included. `descends_from`: the
    earlier successes whose commits it contains, without those that another of them descends from; null if not known.
    It is empty, and `changes` null, if it was compared and shares no commit with any of them.

    `run_id`, `run_attempt`, `workflow` and `run_event`: the workflow run that deployed, its attempt (the first is 1),
    the name of its workflow and the event that started it. `job_id` and `job_name`: the job in it. The parts of one
    attempt are one deployment (`core.linking.attempts`).
    """

    finished_at: Time
    status: Status
    environment: str | None = None
    sha: Sha | None = None
    ref: str | None = None
    version: str | None = None
    started_at: Time | None = None
    changes: tuple[FactName, ...] | None = None
    previous: str | None = None
    descends_from: tuple[FactName, ...] | None = None
    remediates: str | None = None
    reached_users: bool = False
    commit_count: Count | None = None
    health: Health | None = None
    run_id: Text | None = None
    run_attempt: AttemptNumber | None = None
    job_id: Text | None = None
    job_name: str | None = None
    workflow: str | None = None
    run_event: str | None = None

    @property
    def defining_time(self) -> datetime:
        """The time that decides in which window and month the deployment counts: its end."""
        return self.finished_at

    @property
    def is_new_baseline(self) -> bool:
        """Whether it was compared and shares no commit with an earlier success, as after its history was rewritten."""
        return self.changes is None and self.previous is not None and self.descends_from == ()


class Change(_FactBase, frozen=True, kw_only=True, gc=False, tag="change"):
    """A merged pull request, or a commit that reached the deployed history without one.

    `reverts`: the changes that it reverts, by id or full sha; one as a string, several as a list. `commits`: the
    commits of its branch, oldest first.
    """

    sha: Sha | None = None
    title: str | None = None
    first_commit_at: Time | None = None
    opened_at: Time | None = None
    first_review_at: Time | None = None
    merged_at: Time | None = None
    labels: tuple[str, ...] | None = None
    branch: str | None = None
    bot: bool = False
    reverts: str | tuple[Text, ...] | None = None
    commits: tuple[Commit, ...] | None = None

    @property
    def reverted_names(self) -> tuple[str, ...]:
        """The ids and shas of the changes that it says it reverts."""
        if isinstance(self.reverts, str):
            return (self.reverts,) if self.reverts else ()
        return self.reverts or ()

    @property
    def defining_time(self) -> datetime:
        """The time that decides in which month the change is stored: its merge, if that is known."""
        return self.merged_at or self.first_commit_at or self.observed_at


class Incident(_FactBase, frozen=True, kw_only=True, gc=False, tag="incident"):
    """A time of degraded service. `deployment`: the id, sha, tag or version that it names as its cause.

    `also`: ids and addresses of reports of the same incident elsewhere. They are one incident with this one.
    `corrected`: the fields that corrections state; what its system reports does not change them. `reported_at`: of a
    corrected incident, when its system last reported it; 1970 if only corrections have mentioned it so far.
    """

    detected_at: Time
    environment: str | None = None
    severity: Severity | None = None
    title: str | None = None
    resolved_at: Time | None = None
    deployment: str | None = None
    also: tuple[FactName, ...] = ()
    corrected: tuple[Text, ...] = ()
    reported_at: Time | None = None

    @property
    def defining_time(self) -> datetime:
        """The time that decides in which window and month the incident counts: its detection."""
        return self.detected_at


class Vulnerability(_FactBase, frozen=True, kw_only=True, gc=False, tag="vulnerability"):
    """A security alert."""

    detected_at: Time
    severity: Severity | None = None
    introduced_at: Time | None = None
    fixed_at: Time | None = None
    dismissed_at: Time | None = None
    package: str | None = None

    @property
    def defining_time(self) -> datetime:
        """The time that decides in which window and month the vulnerability counts: its detection."""
        return self.detected_at


class Repository(_FactBase, frozen=True, kw_only=True, gc=False, tag="repository"):
    """All names of one repository so far, so that former names lead to the present one.

    `names`: oldest first, the present one last, without repetitions that differ in case only. `seen_at`: when each name
    was first seen. Without it, the present name counts from `observed_at`, and the others from the beginning.
    `repository` is the present name.
    """

    names: Annotated[tuple[Text, ...], Meta(min_length=1)]
    seen_at: tuple[Time, ...] = ()

    @property
    def defining_time(self) -> datetime:
        """The time that decides in which month the record is stored: when the repository was first seen."""
        return min(self.seen_at, default=self.observed_at)


class UnknownRecord(Struct, frozen=True, gc=False):
    """A record of an unsupported kind or version. The ledger keeps it; no metric uses it."""

    id: Text
    kind: Text
    observed_at: datetime

    @property
    def defining_time(self) -> datetime:
        """The time that decides in which month the record is stored."""
        return self.observed_at


Fact = Deployment | Change | Incident | Vulnerability
"""A fact that numbers are computed from."""

StoredFact = Fact | Repository
"""A fact as ledgers and facts files hold it. Names of repositories are in no number."""

FactRecord = StoredFact | UnknownRecord

TIME_FIELDS: dict[type[Fact], tuple[str, ...]] = {
    Deployment: ("observed_at", "finished_at", "started_at"),
    Change: ("observed_at", "first_commit_at", "opened_at", "first_review_at", "merged_at"),
    Incident: ("observed_at", "detected_at", "resolved_at", "reported_at"),
    Vulnerability: ("observed_at", "detected_at", "introduced_at", "fixed_at", "dismissed_at"),
}
"""Names of the timestamp fields of each kind."""

JOB_FIELDS = ("run_id", "run_attempt", "job_id", "job_name", "workflow", "run_event")
"""Names of the fields of a deployment that describe the job that made it."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
