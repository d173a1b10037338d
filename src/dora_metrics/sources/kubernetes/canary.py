"""A Canary of Flagger: whether its last analysis promoted the canary; pure.

`status.lastTransitionTime` is never the end of an analysis, since each write of the status moves it. Neither does
`failedChecks` say that one failed, since it is 0 again afterwards. The condition Promoted says both.
"""

import msgspec
from msgspec import Struct

from dora_metrics.core.gitops.occurrence import NoOccurrence, Occurrence
from dora_metrics.sources.kubernetes.objects import (
    ClusterObject,
    ClusterView,
    Condition,
    ObjectReading,
    condition_of,
    short_reason,
    usable,
)

_SUCCEEDED, _FAILED = "Succeeded", "Failed"


class _CanaryStatus(Struct, frozen=True, rename="camel"):
    phase: str = ""
    last_applied_spec: str = ""
    conditions: list[Condition] | None = None


class _Canary(ClusterObject, frozen=True, rename="camel"):
    status: _CanaryStatus = _CanaryStatus()


def read_canary(text: bytes, cluster: ClusterView) -> ObjectReading:
    """Return the end of the last analysis of a Canary. A canary that failed had a part of the traffic.

    Raises:
        msgspec.DecodeError: if it has another shape.
    """
    canary = msgspec.json.decode(text, type=_Canary)
    status = canary.status
    promoted = condition_of(status.conditions, "Promoted")
    is_of_another_phase = promoted is not None and promoted.reason != status.phase
    if status.phase not in (_SUCCEEDED, _FAILED) or not status.last_applied_spec or is_of_another_phase:
        return NoOccurrence(f"no analysis has ended ({short_reason(status.phase)})")
    ended_at = usable(promoted.last_transition_time) if promoted else None
    return [
        Occurrence(
            deployer=canary.deployer("flagger", "Canary"),
            revision=status.last_applied_spec,
            succeeded=status.phase == _SUCCEEDED,
            finished_at=ended_at or cluster.read_at,
            observed_at=cluster.read_at,
            version=status.last_applied_spec,
            reached_users=status.phase == _FAILED,
            annotations=canary.annotations,
            is_time_of_asking=ended_at is None,
        )
    ]
