"""A real Prometheus: `increase()` over a retraction is zero, and right over a window with what follows it.

Two repositories go through the same: five deployments, one of them is retracted, four more follow. `acme/shop` is
recorded and pushed by runs. `acme/unmarked` gets its bare totals, which shows what Prometheus makes of a fall.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.outcome import Outcome
from dora_metrics.pipeline.deliver import deliver
from dora_metrics.runtime import HttpLimits
from dora_metrics.settings.model import Settings
from dora_metrics.sinks.pushgateway import Pushgateway
from support import events
from support.ledger_writer import record_facts
from support.servers import Prometheus, prometheus, pushgateway
from support.sink_payloads import NOW, SHOP, deployment, sink_payload

UNMARKED = "acme/unmarked"
LIMITS = HttpLimits(connect_seconds=5, read_seconds=10, tries=2, pause_seconds=0.1)
BEFORE, FOLLOWING = 5, 4
NET_INCREASE = FOLLOWING - 1
COUNTERS = ("dora_deployments_total", "dora_deployment_duration_seconds_count", "dora_deployment_duration_seconds_sum")
CUSTOM = {"lead_time": [["gold", "1d"], ["tin", None]], "deployment_frequency": [["gold", 0.1], ["tin", None]]}
NAMED_LEVELS = """
count_values by (repository, metric, window) ("rank", dora_level)
  * on (repository, metric, rank) group_left (level)
group by (repository, metric, rank, level) (dora_benchmark_edge)
"""

Increases = dict[str, float | None]
"""Increases by counter."""


@dataclass(frozen=True)
class PushedHistory:
    """One history of deployments, pushed in both ways and scraped after each step."""

    ledger: Path
    gateway_url: str
    prometheus: Prometheus

    @property
    def settings(self) -> Settings:
        inputs = {"pushgateway-url": self.gateway_url, "benchmark": "custom", "custom": CUSTOM}
        return Settings.model_validate(inputs)

    def push_run(self, *facts: Deployment) -> Outcome:
        """Record in the ledger and push."""
        run = events.make_run("push", repository=SHOP)
        recorded = record_facts(self.ledger, *facts, run=run, settings=self.settings)
        (outcome,) = deliver(recorded, self.settings, run, LIMITS, read_template=Path.read_text)
        return outcome

    def push_bare_totals(self, *facts: Deployment) -> Outcome:
        renamed = [replace(fact, repository=UNMARKED) for fact in facts]
        return Pushgateway(self.gateway_url, "dora", limits=LIMITS).send(sink_payload(renamed, UNMARKED))

    def await_scrapes(self, count: int = 3) -> None:
        """Wait until a push that was made before has been scraped a few times."""
        scrapes = f'count_over_time(dora_ledger_facts{{repository="{UNMARKED}"}}[5m])'
        self.prometheus.await_at_least(scrapes, (self.prometheus.value(scrapes) or 0) + count)

    def increase(self, counter: str, repository: str = SHOP) -> float | None:
        return self.prometheus.value(f'sum(increase({counter}{{repository="{repository}"}}[5m]))')

    def resets(self, counter: str, repository: str = SHOP) -> float | None:
        return self.prometheus.value(f'sum(resets({counter}{{repository="{repository}"}}[5m]))')


def attempt(number: int) -> Deployment:
    """A deployment that took ten minutes."""
    finished = NOW - timedelta(days=10 - number)
    return deployment(number, started_at=finished - timedelta(minutes=10), finished_at=finished, observed_at=finished)


def attempts(*numbers: int) -> list[Deployment]:
    return [attempt(number) for number in numbers]


@pytest.fixture(scope="module")
def over_the_retraction(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PushedHistory, Increases]]:
    """The history, and the increases that were seen before anything followed the retraction."""
    folder = tmp_path_factory.mktemp("counters")
    with pushgateway(folder) as url, prometheus(folder, url) as server:
        history = PushedHistory(folder / "ledger", url, server)
        first = attempts(*range(BEFORE))
        retracted = replace(first[-1], retracted=True, observed_at=NOW)
        assert {history.push_run(*first).status, history.push_bare_totals(*first).status} == {"done"}
        history.await_scrapes()
        shutil.copytree(history.ledger, folder / "backup")
        assert {history.push_run(retracted).status, history.push_bare_totals(*first[:-1]).status} == {"done"}
        history.await_scrapes()
        seen = {counter: history.increase(counter) for counter in COUNTERS}
        following = attempts(*range(BEFORE, BEFORE + FOLLOWING))
        assert {history.push_run(*following).status, history.push_bare_totals(*first[:-1], *following).status} == {
            "done"
        }
        history.await_scrapes(8)
        yield history, seen


@pytest.mark.parametrize("counter", COUNTERS)
def test_the_increase_over_a_retraction_is_zero(
    over_the_retraction: tuple[PushedHistory, Increases], counter: str
) -> None:
    _, seen = over_the_retraction
    assert seen[counter] == 0


@pytest.mark.parametrize(("counter", "unit"), list(zip(COUNTERS, (1, 1, 600), strict=True)))
def test_the_increase_over_a_window_with_what_follows_is_right(
    over_the_retraction: tuple[PushedHistory, Increases], counter: str, unit: int
) -> None:
    """`increase` extrapolates by up to a scrape at each end, so the number is about right."""
    history, _ = over_the_retraction
    assert history.increase(counter) == pytest.approx(NET_INCREASE * unit, rel=0.25)
    assert history.resets(counter) == 0


def test_bare_totals_would_count_what_was_there_before_once_more(
    over_the_retraction: tuple[PushedHistory, Increases],
) -> None:
    history, _ = over_the_retraction
    assert history.resets("dora_deployments_total", UNMARKED) == 1
    assert (history.increase("dora_deployments_total", UNMARKED) or 0) > NET_INCREASE + BEFORE - 1


def test_buckets_and_their_count_agree_in_prometheus(
    over_the_retraction: tuple[PushedHistory, Increases],
) -> None:
    history, _ = over_the_retraction
    name, shop = "dora_deployment_duration_seconds", f'repository="{SHOP}"'
    assert history.prometheus.value(f'{name}_bucket{{{shop},le="+Inf"}} - ignoring (le) {name}_count{{{shop}}}') == 0
    assert history.prometheus.value(f"sum(resets({name}_bucket{{{shop}}}[5m]))") == 0


def test_an_older_ledger_that_is_restored_makes_no_counter_fall(
    over_the_retraction: tuple[PushedHistory, Increases],
) -> None:
    history, _ = over_the_retraction
    shutil.rmtree(history.ledger)
    shutil.copytree(history.ledger.parent / "backup", history.ledger)
    assert history.push_run().status == "done"
    history.await_scrapes()
    for counter in COUNTERS:
        assert history.resets(counter) == 0


def test_a_level_of_a_custom_benchmark_has_its_name(
    over_the_retraction: tuple[PushedHistory, Increases],
) -> None:
    history, _ = over_the_retraction
    named = {
        (series["metric"]["metric"], series["metric"]["window"]): series["metric"]["level"]
        for series in history.prometheus.vector(NAMED_LEVELS)
        if series["metric"]["repository"] == SHOP
    }
    assert named["deployment_frequency", "90d"] == "tin"
    assert named["deployment_frequency", "7d"] == "gold"
