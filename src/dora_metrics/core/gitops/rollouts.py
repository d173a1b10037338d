"""Which reports of rollouts are about the same one: the rule of recording and of linking.

A controller reports a revision again at each reconciliation. It may be asked as well as report by itself, and two runs
may record at the same time. So rollouts are compared with the one before and the one after, of the same object in the
same environment.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from dora_metrics.core.facts.ids import RolloutId, rollout_revision
from dora_metrics.core.facts.model import Deployment, Status
from dora_metrics.core.scope import environment_of

SAME_OCCURRENCE = timedelta(minutes=15)
"""Two reports of one revision and result are of one rollout if no more time is between them."""

_TOOLS_THAT_REPORT_ONCE = ("flagger",)
_MARKS_OF_SOURCE_REVISIONS = frozenset("@/:")
"""A revision of a git repository, of an OCI artefact or of a bucket has one of these; no chart version has."""


class RolloutKey(Struct, frozen=True):
    """What the rollouts that are compared have in common.

    A Kustomization and a HelmRelease can have the same path. `has_chart_versions` keeps them apart.
    """

    repository: str
    environment: str
    tool: str
    path: str
    has_chart_versions: bool


class Rollout(Struct, frozen=True):
    """A recorded or observed deployment as these rules see it. `revision` is written as in ids."""

    key: RolloutKey
    revision: str
    deployment: Deployment

    @property
    def time(self) -> datetime:
        """When it ended."""
        return self.deployment.finished_at

    @property
    def status(self) -> Status:
        """How it ended."""
        return self.deployment.status

    @property
    def is_reported_once(self) -> bool:
        """Whether the tool reports each rollout once, so that the same revision later is deployed again.

        Helm upgrades, and Flagger analyses, only what differs, even if the chart or the pods do not.
        """
        return self.key.has_chart_versions or self.key.tool in _TOOLS_THAT_REPORT_ONCE


def rollout_of(deployment: Deployment) -> Rollout | None:
    """Return a deployment as a rollout; None if no GitOps tool made it, or if its revision is not known.

    The id of a rollout that another system reported may have no revision. Its commit is the revision then.
    """
    rollout_id = RolloutId.parse(deployment.id)
    if rollout_id is None:
        return None
    revision = rollout_id.revision or rollout_revision(deployment.sha or "")
    if not revision:
        return None
    key = RolloutKey(
        deployment.repository.casefold(),
        environment_of(deployment),
        rollout_id.tool,
        rollout_id.path,
        rollout_id.tool == "flux" and _MARKS_OF_SOURCE_REVISIONS.isdisjoint(revision),
    )
    return Rollout(key, revision, deployment)


def rollout_order(rollout: Rollout) -> tuple[datetime, str]:
    """Sort key of rollouts: end, id."""
    return rollout.time, rollout.deployment.id


def is_same_occurrence(earlier: Rollout, later: Rollout) -> bool:
    """Whether two rollouts of one object, with no other between them, are reports of one."""
    is_close = later.time - earlier.time <= SAME_OCCURRENCE
    return is_close and (earlier.revision, earlier.status) == (later.revision, later.status)


def is_repetition(earlier: Rollout, later: Rollout) -> bool:
    """Whether nothing was deployed by a rollout, after the last one of its object that counts.

    It is the same occurrence, or a reconciliation of what is deployed already. If that fails, nothing was deployed
    either: a health check found that what is there is not well.
    """
    if is_same_occurrence(earlier, later):
        return True
    if earlier.revision != later.revision:
        return False
    if later.status == earlier.status == "failure":
        return True  # tried again
    return later.status in (earlier.status, "failure") and not later.is_reported_once


def is_new(rollout: Rollout, recorded: Sequence[Rollout]) -> bool:
    """Whether a rollout is none of those that are recorded of its object, in order of time, and deployed something."""
    position = bisect_right(recorded, rollout.time, key=_time_of)
    last = _last_counted(recorded, position)
    if last and is_repetition(last, rollout):
        return False
    return position == len(recorded) or not is_same_occurrence(rollout, recorded[position])


def _last_counted(recorded: Sequence[Rollout], position: int) -> Rollout | None:
    """Return the last rollout that counts before a position. Only those of its revision before it decide that."""
    start = position
    while start and recorded[start - 1].revision == recorded[position - 1].revision:
        start -= 1
    counted = _counted(recorded[start:position])
    return counted[-1] if counted else None


def _time_of(rollout: Rollout) -> datetime:
    return rollout.time


def is_present_state(rollout: Rollout, recorded: Sequence[Rollout], unchanged_since: datetime | None) -> bool:
    """Whether what is recorded of an object has led to the state in which it was read.

    Args:
        rollout: the state, as the rollout that led to it. Its time may be that of the reading.
        recorded: the recorded rollouts of the object, in order of time.
        unchanged_since: since when the object has been in this state, with whatever revision; None if it does not say.
    """
    if unchanged_since:
        return any(each.status == rollout.status and each.time >= unchanged_since for each in recorded)
    last = _counted(recorded)[-1:]
    return any(each.revision == rollout.revision and rollout.status in (each.status, "failure") for each in last)


def is_outdated_state(rollout: Rollout, recorded: Sequence[Rollout], *, is_shared: bool) -> bool:
    """Whether a state whose only time is that of the reading leads to no deployment, although it is not the last one.

    Args:
        rollout: the state, which is not the present one.
        recorded: the recorded rollouts of the object, in order of time.
        is_shared: whether the same reading has another object of this name. A revision that is recorded may then be
            that of a cluster where nothing changed, so it is no return to it.
    """
    if not recorded:
        return False
    if recorded[-1].time > rollout.time:
        return True  # it was read before the newest rollout ended
    is_return = recorded[-1].revision != rollout.revision and any(
        each.revision == rollout.revision for each in recorded
    )
    return is_shared and is_return


def repeated_ids(deployments: Iterable[Deployment]) -> frozenset[str]:
    """Return the ids of the deployments that only report again what another one reports."""
    by_key: defaultdict[RolloutKey, list[Rollout]] = defaultdict(list)
    for deployment in deployments:
        if rollout := rollout_of(deployment):
            by_key[rollout.key].append(rollout)
    return frozenset(
        each.deployment.id
        for rollouts in by_key.values()
        for counted in [{each.deployment.id for each in _counted(sorted(rollouts, key=rollout_order))}]
        for each in rollouts
        if each.deployment.id not in counted
    )


def _counted(rollouts: Iterable[Rollout]) -> list[Rollout]:
    """Return the rollouts that count, in order of time; of one occurrence the first report with a commit."""
    counted: list[Rollout] = []
    for rollout in rollouts:
        if not counted or not is_repetition(counted[-1], rollout):
            counted.append(rollout)
        elif counted[-1].deployment.sha is None and rollout.deployment.sha and is_same_occurrence(counted[-1], rollout):
            counted[-1] = rollout
    return counted
