"""Whatever the history, and whoever reports it first: a deployment delivers what git says that it brought."""

import tempfile
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.github import FakeGitHub
from support.any_history import (
    DeployedRepository,
    History,
    commit_counts,
    delivered_commits,
    histories,
    recorded_facts,
)
from support.any_pull_requests import AnyPullRequests
from support.deploying_shop import DeployingShop, Source
from support.github_history import NOW
from support.property_cases import cases


@settings(max_examples=cases(4), deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(), st.randoms(use_true_random=False))
def test_events_in_any_order_a_sync_and_both_say_what_git_says(history: History, random: object) -> None:
    order = list(range(len(history.deployed)))
    random.shuffle(order)  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as name, FakeGitHub(now=lambda: NOW) as github:
        folder, shop = Path(name), DeployedRepository(github, history)
        shop.record_events(folder / "in-order", sorted(order))
        shop.record_events(folder / "any-order", order)
        shop.sync(folder / "sync")
        for ledger in ("in-order", "any-order", "sync"):
            assert delivered_commits(recorded_facts(folder / ledger)) == shop.reached, ledger
        for ledger in ("in-order", "any-order"):
            shop.sync(folder / ledger)
            assert delivered_commits(recorded_facts(folder / ledger)) == shop.reached, f"{ledger}, then a sync"
        expected = commit_counts(recorded_facts(folder / "sync"))
        assert commit_counts(recorded_facts(folder / "in-order")) == expected


@settings(max_examples=cases(4), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(("deployments", "releases", "workflow-runs")),
    st.integers(6, 16),
    st.integers(0, 2**32).map(Random),
)
def test_pull_requests_are_delivered_alike_by_events_at_once_or_later_by_a_sync_and_by_both(
    source: Source, steps: int, random: Random
) -> None:
    with tempfile.TemporaryDirectory() as name, FakeGitHub(now=lambda: NOW) as github:
        shop = DeployingShop(github, Path(name), source, source)
        AnyPullRequests(shop, random).happen(steps)
        for event, payload, sha in random.sample(shop.events, len(shop.events)):
            shop.run("later", event, payload, sha)
        shop.sync("sync")
        expected = shop.lead_times("sync")
        for ledger in ("events", "later"):
            assert shop.lead_times(ledger) == expected, ledger
            shop.sync(ledger)
            assert shop.lead_times(ledger) == expected, f"{ledger}, then a sync"
