"""A Rollout of Argo Rollouts: whether its newest pods became the stable ones, or the rollout was aborted; pure.

Times that say when a rollout ended (argo-rollouts 1.9): `abortedAt`; `lastTransitionTime` of the condition Completed,
which is True while the newest pods are the stable ones; and that of the condition Progressing, for a rollout that made
no progress in time. The condition Healthy is none of them: it changes whenever pods are replaced.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from dora_metrics.core.facts.model import Time
from dora_metrics.core.gitops.commits import split_image
from dora_metrics.core.gitops.metadata import short_texts
from dora_metrics.core.gitops.occurrence import NoOccurrence, Occurrence, start_before
from dora_metrics.sources.kubernetes.objects import (
    ClusterObject,
    ClusterView,
    Condition,
    ObjectMetadata,
    ObjectReading,
    condition_of,
    short_reason,
    usable,
)

_TIMED_OUT = "ProgressDeadlineExceeded"
_ABORTED = "RolloutAborted"
_FAILED_ANALYSIS = ("Failed", "Error", "Inconclusive")


class _Container(Struct, frozen=True):
    image: str = ""


class _PodSpec(Struct, frozen=True, rename="camel"):
    containers: list[_Container] | None = None
    init_containers: list[_Container] | None = None


class _PodMetadata(Struct, frozen=True):
    annotations: dict[str, str] | None = None


class _PodTemplate(Struct, frozen=True):
    metadata: _PodMetadata | None = None
    spec: _PodSpec | None = None

    @property
    def annotations(self) -> tuple[tuple[str, str], ...]:
        annotations = self.metadata.annotations if self.metadata else None
        return tuple(short_texts(annotations or {}).items())

    @property
    def images(self) -> tuple[str, ...]:
        spec = self.spec or _PodSpec()
        containers = (*(spec.containers or ()), *(spec.init_containers or ()))
        return tuple(container.image for container in containers if container.image)


class _Strategy(Struct, frozen=True, rename="camel"):
    canary: dict[str, object] | None = None


class _RolloutSpec(Struct, frozen=True):
    template: _PodTemplate | None = None
    strategy: _Strategy | None = None


class _AnalysisStatus(Struct, frozen=True):
    status: str = ""


class _BlueGreen(Struct, frozen=True, rename="camel"):
    post_promotion_analysis_run_status: _AnalysisStatus | None = None


class _Duration(Struct, frozen=True, rename="camel"):
    rollout_started_at: Time | None = None


class _RolloutStatus(Struct, frozen=True, rename="camel"):
    abort: bool = False
    aborted_at: Time | None = None
    current_pod_hash: str = ""
    stable_rs: str = msgspec.field(default="", name="stableRS")
    observed_generation: str | int = ""
    phase: str = ""
    conditions: list[Condition] | None = None
    blue_green: _BlueGreen | None = None
    duration: _Duration | None = None


class _Rollout(ClusterObject, frozen=True, rename="camel"):
    spec: _RolloutSpec = _RolloutSpec()
    status: _RolloutStatus = _RolloutStatus()


class _RolloutEnd(Struct, frozen=True):
    """How a rollout ended; `time` None: it does not say when."""

    succeeded: bool
    time: datetime | None
    reached_users: bool = False


def read_rollout(text: bytes, cluster: ClusterView) -> ObjectReading:
    """Return how the rollout of the newest pods ended.

    Raises:
        msgspec.DecodeError: if it has another shape.
    """
    rollout = msgspec.json.decode(text, type=_Rollout)
    status = rollout.status
    if not _is_of_newest_generation(status.observed_generation, rollout.metadata):
        return NoOccurrence("its newest generation is not reconciled yet")
    ending = _ending(rollout)
    if ending is None or not status.current_pod_hash:
        return NoOccurrence(f"no rollout has ended ({short_reason(status.phase)})")
    return [_occurrence(rollout, ending, cluster)]


def _is_of_newest_generation(observed: str | int, metadata: ObjectMetadata) -> bool:
    """Whether the status is of the present generation. Before Argo Rollouts 0.10 it has a hash, which says nothing."""
    text = str(observed)
    is_number = text.isascii() and text.isdecimal()
    return not is_number or metadata.generation is None or int(text) >= metadata.generation


def _ending(rollout: _Rollout) -> _RolloutEnd | None:
    """Return how a rollout ended; None if it has not."""
    status = rollout.status
    if status.stable_rs and status.stable_rs == status.current_pod_hash:
        completed = condition_of(status.conditions, "Completed")
        is_completed = completed is not None and completed.status == "True"
        return _RolloutEnd(succeeded=True, time=completed.last_transition_time if completed and is_completed else None)
    progressing = condition_of(status.conditions, "Progressing")
    if status.abort or status.aborted_at:
        time = status.aborted_at or _transition(progressing, _ABORTED)
        return _RolloutEnd(succeeded=False, time=time, reached_users=_had_traffic(rollout))
    if progressing and progressing.status == "False" and progressing.reason == _TIMED_OUT:
        return _RolloutEnd(succeeded=False, time=_transition(progressing, _TIMED_OUT))
    return None


def _transition(condition: Condition | None, reason: str) -> datetime | None:
    return condition.last_transition_time if condition and condition.reason == reason else None


def _had_traffic(rollout: _Rollout) -> bool:
    """Whether an aborted rollout had traffic: every canary, and what failed its analysis after the switch to it."""
    if rollout.spec.strategy and rollout.spec.strategy.canary is not None:
        return True
    blue_green = rollout.status.blue_green
    analysis = blue_green.post_promotion_analysis_run_status if blue_green else None
    return analysis is not None and analysis.status in _FAILED_ANALYSIS


def _occurrence(rollout: _Rollout, ending: _RolloutEnd, cluster: ClusterView) -> Occurrence:
    template, duration = rollout.spec.template or _PodTemplate(), rollout.status.duration or _Duration()
    ended_at = usable(ending.time)
    images = template.images
    return Occurrence(
        deployer=rollout.deployer("argo-rollouts", "Rollout"),
        revision=rollout.status.current_pod_hash,
        succeeded=ending.succeeded,
        started_at=start_before(usable(duration.rollout_started_at), ended_at or cluster.read_at),
        finished_at=ended_at or cluster.read_at,
        observed_at=cluster.read_at,
        version=_version(images) or rollout.status.current_pod_hash,
        reached_users=ending.reached_users,
        images=images,
        annotations=(*rollout.annotations, *template.annotations),
        is_time_of_asking=ended_at is None,
    )


def _version(images: Sequence[str]) -> str | None:
    """Return the tag of the image, if there is one image and it has one."""
    tag = split_image(images[0])[1] if len(images) == 1 else ""
    return tag or None
