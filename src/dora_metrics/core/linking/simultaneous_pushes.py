"""Join pushes of one moment: they are one deployment.

A merge queue merges several pull requests with one push. Its event is about the newest commit, and GitHub's history
shows only the merges, each as if it had been a push by itself.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from msgspec.structs import replace

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.ids import DeploymentId
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.linking.attempts import JoinedDeployments, join_as_one
from dora_metrics.core.scope import Scope, scope_of

ONE_MOMENT = timedelta(seconds=5)
"""Merges by one push follow each other by less, and people who merge one by one take longer."""


def join_pushes(deployments: Iterable[Deployment]) -> JoinedDeployments:
    """Join the pushes of each scope that follow each other at once. Any other deployment is unchanged."""
    joined: list[Deployment] = []
    pushes_by_scope: defaultdict[Scope, list[Deployment]] = defaultdict(list)
    for deployment in deployments:
        (pushes_by_scope[scope_of(deployment)] if _may_be_joined(deployment) else joined).append(deployment)
    parts: dict[str, tuple[Deployment, ...]] = {}
    for pushes in pushes_by_scope.values():
        for of_one_moment in _by_moment(pushes):
            push = _as_one(of_one_moment)
            joined.append(push)
            if len(of_one_moment) > 1:
                parts[push.id] = tuple(of_one_moment)
    return JoinedDeployments(joined, parts)


def _may_be_joined(deployment: Deployment) -> bool:
    """Whether a deployment is the first push of a commit. One that is pushed again was pushed by force."""
    if deployment.source != "pushes" or deployment.status != "success":
        return False
    is_push = DeploymentId.parse(deployment.id).kind == "push"
    return is_push and ids.first_occurrence(deployment.id) == deployment.id


def _by_moment(pushes: Sequence[Deployment]) -> Iterator[list[Deployment]]:
    """Yield the pushes of each moment, in the order in which they are linked."""
    moment: list[Deployment] = []
    for push in sorted(pushes, key=lambda each: (each.finished_at, each.id)):
        if moment and push.finished_at - moment[-1].finished_at > ONE_MOMENT:
            yield moment
            moment = []
        moment.append(push)
    if moment:
        yield moment


def _as_one(pushes: Sequence[Deployment]) -> Deployment:
    """Return one push for all of a moment. Its commit is the newest one: the last that brought commits."""
    if len(pushes) == 1:
        return pushes[0]
    head = next((push for push in reversed(pushes) if push.commit_count != 0), pushes[-1])
    others = [push for push in pushes if push is not head]
    return replace(join_as_one(pushes, [head, *others]), id=head.id)
