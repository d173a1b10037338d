"""The two commands of docs/prometheus.md, "History from the first minute", word for word; then the first push."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO, StringIO

import pytest

from dora_metrics.cli import run
from dora_metrics.runtime import Runtime
from dora_metrics.sources import fact_files
from support.paths import ROOT
from support.scraped_history import push
from support.servers import Prometheus, prometheus, pushgateway
from support.tools import require_tool

PAGE = (ROOT / "docs" / "prometheus.md").read_text("utf-8")
NOW = datetime(2026, 11, 21, 9, 5, tzinfo=UTC)
SHOP = "acme/shop"


def documented_commands() -> list[list[str]]:
    (section,) = re.findall(r"^## History from the first minute$(.*?)^## ", PAGE, flags=re.DOTALL | re.MULTILINE)
    (block,) = re.findall(r"^```bash\n(.*?)^```$", section, flags=re.DOTALL | re.MULTILINE)
    return [shlex.split(line) for line in block.splitlines()]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus with the history of the demo's ledger, that has also scraped its first push."""
    folder = tmp_path_factory.mktemp("filled")
    process = Runtime({}, BytesIO(), StringIO(), StringIO(), NOW, lambda _: None)
    assert run(["demo", "--output", str(folder / "demo")], process) == 0
    (folder / "demo" / "ledger").rename(folder / "ledger")
    facts = fact_files.read(str(folder / "ledger"), BytesIO()).facts
    (_, *arguments, _, output), (_, *options) = documented_commands()
    with (folder / output).open("wb") as text:
        command = [sys.executable, "-m", "dora_metrics", *arguments, "--now", NOW.isoformat()]
        subprocess.run(command, cwd=folder, env={"PYTHONPATH": str(ROOT / "src")}, stdout=text, check=True)
    subprocess.run([require_tool("promtool"), *options], cwd=folder, check=True, capture_output=True)
    (folder / "data").rename(folder / "tsdb")
    with pushgateway(folder) as url, prometheus(folder, url, "--storage.tsdb.retention.time=100y") as server:
        push(url, facts, SHOP, NOW)
        server.await_at_least("count_over_time(dora_ledger_facts[5m])", 2)
        yield server


def test_the_history_is_there(filled: Prometheus) -> None:
    (result,) = filled.vector('count_over_time(dora_window_deployments{window="30d"}[91d])', NOW)
    assert float(result["value"][1]) > 80
    (result,) = filled.vector('dora_window_deployments{window="30d"}', NOW)
    assert float(result["value"][1]) == float(filled.value('dora_window_deployments{window="30d"}') or 0)


def labels_of(server: Prometheus, query: str, at: datetime | None = None) -> set[frozenset[tuple[str, str]]]:
    return {frozenset(result["metric"].items()) for result in server.vector(query, at)}


@pytest.mark.parametrize("name", ["dora_.*_total", "dora_.*_(count|sum)", "dora_(window|level|benchmark|open).*"])
def test_the_first_push_continues_the_series(filled: Prometheus, name: str) -> None:
    query = f'{{__name__=~"{name}"}}'
    assert labels_of(filled, query) == labels_of(filled, query, NOW) != set()


@pytest.mark.parametrize("name", ["dora_.*_total", "dora_.*_(count|sum)"])
def test_the_first_push_is_no_reset(filled: Prometheus, name: str) -> None:
    """The push is of today, and the demo of another day: both are what the same facts say."""
    query = f'{{__name__=~"{name}"}}'
    pushed = {frozenset(each["metric"].items()): each["value"][1] for each in filled.vector(query)}
    last = {frozenset(each["metric"].items()): each["value"][1] for each in filled.vector(query, NOW)}
    assert pushed == last
