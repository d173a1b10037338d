"""Ninety days of a Pushgateway, as Prometheus would have scraped them, in a Prometheus that has just started.

Each simulated day pushes what the facts say by then to a real Pushgateway. Its answers become blocks of Prometheus's
store, with the times of the simulated scrapes.
"""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import requests

from dora_metrics.core.facts.model import Fact
from dora_metrics.pipeline.evaluate import cumulative_totals, evaluate, prometheus_families
from dora_metrics.settings.model import Settings
from dora_metrics.sinks.base import SinkPayload
from dora_metrics.sinks.pushgateway import Pushgateway
from support.servers import Prometheus, prometheus, pushgateway
from support.tools import require_tool

SCRAPE_INTERVAL = timedelta(hours=6)
SCRAPE_DELAY = timedelta(minutes=1)
"""Keeps every scrape off the exact ends of windows, where versions of Prometheus differ."""


def push(url: str, facts: Sequence[Fact], repository: str, now: datetime) -> None:
    """Push what the facts that were observed by `now` say."""
    observed = [fact for fact in facts if fact.observed_at <= now]
    results = evaluate(observed, Settings(), now)
    families = prometheus_families(results, cumulative_totals(results, observed), 1, repository)
    outcome = Pushgateway(url, "dora").send(SinkPayload(repository, families))
    assert outcome.status == "done", outcome.detail


@contextmanager
def scraped_history(
    folder: Path, facts: Sequence[Fact], repository: str, days: int, now: datetime
) -> Iterator[Prometheus]:
    """Start a Prometheus whose store holds these days before `now`, pushed daily and scraped every six hours."""
    with pushgateway(folder) as url:
        samples = folder / "samples.txt"
        with samples.open("w", encoding="utf-8") as file:
            for age_days in range(days, -1, -1):
                pushed_at = now - timedelta(days=age_days)
                push(url, facts, repository, pushed_at)
                file.writelines(_scrapes(requests.get(f"{url}/metrics", timeout=5).text, pushed_at, now))
            file.write("# EOF\n")
        create_blocks(samples, folder / "tsdb")
        with prometheus(folder, url, "--storage.tsdb.retention.time=100y") as server:
            yield server


def _scrapes(exposition: str, pushed_at: datetime, now: datetime) -> Iterator[str]:
    """The lines of a push, with the time of each scrape until the next one."""
    series = [line for line in exposition.splitlines() if line.startswith("dora_")]
    scraped_at = pushed_at - SCRAPE_DELAY
    while scraped_at < min(now, pushed_at + timedelta(days=1) - SCRAPE_DELAY):
        yield from (f"{line} {scraped_at.timestamp():.0f}\n" for line in series)
        scraped_at += SCRAPE_INTERVAL


def create_blocks(samples: Path, store: Path) -> None:
    """Make blocks of Prometheus's store from an OpenMetrics file."""
    command = ["tsdb", "create-blocks-from", "--max-block-duration=2400h", "openmetrics", str(samples), str(store)]
    subprocess.run([str(require_tool("promtool")), *command], check=True, capture_output=True)
