"""The earlier successes of a scope that a deployment is compared with.

A deployment delivers the commits that it reaches and that no earlier success of its scope reaches. It is enough to
compare it with the tips: the successes that no other one is known to descend from. A linear history has one tip, two
release lines that are kept side by side have two.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import NamedTuple

from msgspec.structs import replace

from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.core.linking.link import deployment_order
from dora_metrics.core.scope import scope_of
from dora_metrics.core.versions import parse_version

_CLOCK_TOLERANCE = timedelta(hours=1)
"""By how much the clocks of people who commit may differ from GitHub's."""


class EarlierSuccesses(NamedTuple):
    """What a deployment is compared with.

    `latest` is the success directly before it. `tips` are the earlier successes that together reach every commit which
    any of them reaches; the one that probably shares most with the deployment comes first.
    """

    latest: Deployment
    tips: tuple[Deployment, ...]


def earlier_successes(deployment: Deployment, facts: Iterable[Fact]) -> EarlierSuccesses | None:
    """Return what a deployment is compared with; None if no earlier success of its scope has a sha."""
    end = deployment_order(deployment)
    successes = successes_of_scope(deployment, facts)
    earlier = [success for success in successes if deployment_order(success) < end]
    if not earlier:
        return None
    nearest_first = sorted(tips_of(earlier), key=lambda tip: _nearness(tip, deployment), reverse=True)
    return EarlierSuccesses(earlier[-1], tuple(nearest_first))


def successes_of_scope(deployment: Deployment, facts: Iterable[Fact]) -> list[Deployment]:
    """Return the other successes of a deployment's scope that have a sha, in order."""
    scope = scope_of(deployment)
    successes = (
        fact
        for fact in facts
        if isinstance(fact, Deployment) and fact.status == "success" and fact.sha and not fact.retracted
        if fact.id != deployment.id and scope_of(fact) == scope
    )
    return sorted(successes, key=deployment_order)


def tips_of(successes: Sequence[Deployment]) -> list[Deployment]:
    """Return the successes of a scope that no other of them is known to descend from, of each sha the last one.

    One that brought no new commit is none, since earlier ones reach all that it reaches.

    Args:
        successes: those of one scope, in order, each with a sha.
    """
    ancestor_ids = {ancestor_id for success in successes for ancestor_id in known_ancestor_ids(success)}
    tips = [success for success in successes if success.id not in ancestor_ids and success.commit_count != 0]
    by_sha = {tip.sha: tip for tip in tips or successes[-1:]}
    return list(by_sha.values())


def known_ancestor_ids(success: Deployment) -> Iterable[str]:
    """Return the ids of the successes that one descends from. Older records tell only with which it was compared."""
    if success.descends_from is not None:
        return success.descends_from
    return (success.previous,) if success.previous else ()


def compared_ids(success: Deployment) -> set[str]:
    """Return the ids of the earlier successes that one is known to have been compared with."""
    return {earlier for earlier in (success.previous, *(success.descends_from or ())) if earlier}


def as_new_baseline(deployment: Deployment, previous: Deployment) -> Deployment:
    """Return a deployment that shares no commit with any earlier success: its changes cannot be known.

    After a history was rewritten, all of its commits have other shas. They are not new, though no success had them.
    """
    return replace(deployment, changes=None, previous=previous.id, commit_count=None, descends_from=())


def may_reach(deployment: Deployment, commit_times: Iterable[datetime | None]) -> bool:
    """Return whether a deployment may hold some commits: those that were made after it had ended it cannot."""
    latest_possible = deployment.finished_at + _CLOCK_TOLERANCE
    return any(time is None or time <= latest_possible for time in commit_times)


def _nearness(tip: Deployment, deployment: Deployment) -> tuple[bool, int, tuple[object, ...]]:
    """Sort key, greatest for the tip that probably shares most: of the same branch, the same release line, the last."""
    is_same_ref = tip.ref is not None and tip.ref == deployment.ref
    return is_same_ref, _shared_number_count(tip, deployment), deployment_order(tip)


def _shared_number_count(tip: Deployment, deployment: Deployment) -> int:
    """Return how many leading numbers two versions share: 2 for v1.9.5 and v1.9.4."""
    pairs = zip(_version_numbers(tip), _version_numbers(deployment), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _version_numbers(deployment: Deployment) -> tuple[int, ...]:
    version = parse_version(deployment.version or deployment.ref or "")
    return version.numbers if version else ()
