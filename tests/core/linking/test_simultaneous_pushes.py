"""Pushes of one moment are one deployment: a merge queue merges several pull requests with one push."""

from itertools import permutations
from typing import Any

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.linking.simultaneous_pushes import join_pushes
from support.facts import change, deployment, metrics_of, pull_id, sha


def push(name: str, seconds: int, changes: tuple[int, ...] | None = (), **fields: Any) -> Deployment:  # noqa: ANN401
    """A push of a commit, some seconds after noon of 5 March; it brought a commit with each change."""
    return deployment(
        1,
        f"03-05T12:{seconds // 60:02}:{seconds % 60:02}",
        **{
            "id": f"github:push:{sha(name)}",
            "source": "pushes",
            "sha": sha(name),
            "changes": changes,
            "commit_count": None if changes is None else len(changes),
            **fields,
        },
    )


def joined(*pushes: Deployment) -> list[tuple[str, str | None, int, tuple[str, ...] | None]]:
    """Id, commit, second and changes of each deployment, the same in any order of arrival."""
    results = {
        tuple((each.id, each.sha, each.finished_at.second, each.changes) for each in join_pushes(order).deployments)
        for order in permutations(pushes)
    }
    (result,) = {tuple(sorted(each)) for each in results}
    return list(result)


def test_a_group_of_a_merge_queue_is_one_push_of_its_newest_commit() -> None:
    """As a sync alone links them, and after an event: what comes after the newest commit brought nothing."""
    one, two, head = push("one", 0, (1,)), push("two", 1, (2,)), push("head", 3, (3,))
    in_order = (head.id, head.sha, 3, tuple(map(pull_id, (1, 2, 3))))
    assert joined(one, two, head) == [in_order]
    by_event, others = push("head", 0, (1, 2, 3)), [push("one", 2), push("two", 2)]
    assert joined(by_event, *others) == [(head.id, head.sha, 2, tuple(map(pull_id, (1, 2, 3))))]


def test_merges_one_after_the_other_are_pushes_of_their_own() -> None:
    one, two = push("one", 0, (1,)), push("two", 6, (2,))
    assert len(joined(one, two)) == 2
    assert join_pushes([one, two]).parts == {}


def test_a_push_by_force_and_other_sources_and_scopes_stay_apart() -> None:
    back = push("old", 1, id=f"github:push:{sha('old')}:2024-03-05T12:00:01Z")
    other_service = push("one", 0, service="api", id=f"github:push:{sha('one')}:api")
    release = deployment(2, "03-05T12:00:00", id="github:release:2", source="releases")
    assert len(joined(push("new", 0, (1,)), back, other_service, release)) == 4


def test_the_changes_of_a_group_count_once_and_its_push_once() -> None:
    baseline = deployment(1, "03-04", id=f"github:push:{sha('base')}", source="pushes", changes=None)
    one, head = (push(name, 0, (number,), previous=baseline.id) for name, number in (("one", 1), ("head", 2)))
    metrics = metrics_of(baseline, one, head, change(1), change(2))
    assert (metrics.deployment_frequency.deployments, metrics.lead_time.changes) == (2, 2)
