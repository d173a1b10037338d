"""Every query in the documentation has the answer that stands below it, from a real Pushgateway and a real Prometheus.

A query is a `promql` block. `# sample data:` is a result after 90 days of scraping, at the time of the demo.
`# first day:` is one right after the first push; without such a line it is the same.
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from dora_metrics.cli import run
from dora_metrics.core.facts.model import Fact
from dora_metrics.runtime import Runtime
from dora_metrics.sources import fact_files
from support.paths import ROOT
from support.scraped_history import push, scraped_history
from support.servers import Prometheus, prometheus, pushgateway
from support.tools import require_tool

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ALERTS_PAGE = (ROOT / "docs" / "prometheus.md").read_text("utf-8")
SHOP = "acme/shop"
NOW = datetime(2026, 11, 21, 9, 5, tzinfo=UTC)
DAYS = 92
SCOPE_LABELS = {"__name__", "job", "repository", "service", "environment"}
"""Labels that are the same in all results, and not in the answers."""

Answers = dict[str, float]
"""Values by the labels that tell results apart, such as `{window="30d"}`."""


@dataclass(frozen=True)
class Query:
    """A query in the documentation with its answers."""

    page: str
    promql: str

    def answers(self, case: str) -> Answers:
        lines = re.findall(rf"^# {case}: ((?:{{.*?}} )?)(\S+)$", self.promql, flags=re.MULTILINE)
        return {labels.strip() or "{}": float(value) for labels, value in lines}


def queries() -> list[Query]:
    blocks = [
        (page.name, block)
        for page in PAGES
        for block in re.findall(r"^```promql\n(.*?)^```$", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    ]
    return [Query(name, block) for name, block in blocks]


QUERIES = queries()
each_query = pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query.page}:{query.promql.splitlines()[0]}")


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> list[Fact]:
    """The ledger of `make demo`."""
    folder = tmp_path_factory.mktemp("demo")
    process = Runtime({}, BytesIO(), StringIO(), StringIO(), NOW, lambda _: None)
    assert run(["demo", "--output", str(folder / "out")], process) == 0
    return list(fact_files.read(str(folder / "out" / "ledger"), BytesIO()).facts)


@pytest.fixture(scope="module")
def after_90_days(facts: list[Fact], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with scraped_history(tmp_path_factory.mktemp("history"), facts, SHOP, DAYS, NOW) as server:
        yield server


@pytest.fixture(scope="module")
def first_day(facts: list[Fact], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("first-day")
    with pushgateway(folder) as url, prometheus(folder, url) as server:
        push(url, facts, SHOP, NOW)
        server.await_at_least("count_over_time(dora_ledger_facts[5m])", 3)
        yield server


def results(vector: list[dict[str, Any]]) -> Answers:
    return {labels_text(result["metric"]): float(result["value"][1]) for result in vector}


def labels_text(labels: dict[str, str]) -> str:
    telling = sorted((name, value) for name, value in labels.items() if name not in SCOPE_LABELS)
    return "{" + ", ".join(f'{name}="{value}"' for name, value in telling) + "}"


def test_the_readme_and_the_page_of_prometheus_have_queries() -> None:
    assert {"README.md", "prometheus.md"} <= {query.page for query in QUERIES}


@each_query
def test_a_query_has_its_answers_after_90_days_of_scraping(query: Query, after_90_days: Prometheus) -> None:
    assert results(after_90_days.vector(query.promql, NOW)) == pytest.approx(query.answers("sample data"), rel=1e-3)


@each_query
def test_a_query_has_its_answers_on_the_first_day(query: Query, first_day: Prometheus) -> None:
    answers = results(first_day.vector(query.promql))
    if "time()" in query.promql:
        assert list(answers) == list(query.answers("sample data"))  # the sample data are of another day
    else:
        expected = query.answers("first day") or query.answers("sample data")
        assert answers == pytest.approx(expected, rel=1e-3, nan_ok=True)


def test_what_needs_history_is_what_says_so() -> None:
    """A query of counters has an answer of its own on the first day; a query of gauges has none."""
    for query in QUERIES:
        assert bool(query.answers("first day")) == ("increase(" in query.promql), query.promql


SERIES = {
    "push_time_seconds": 'push_time_seconds{job="dora", repository="acme/shop"}',
    "push_failure_time_seconds": 'push_failure_time_seconds{job="dora", repository="acme/shop"}',
    "last_deployment": 'dora_last_deployment_timestamp_seconds{repository="acme/shop", service="shop"}',
}


@pytest.mark.parametrize(
    ("alert", "hours", "values", "is_firing"),
    [
        ("DoraMetricsStale", 49, {"push_time_seconds": 0}, True),
        ("DoraMetricsStale", 47, {"push_time_seconds": 0}, False),
        ("DoraMetricsRejected", 1, {"push_time_seconds": 5, "push_failure_time_seconds": 6}, True),
        ("DoraMetricsRejected", 1, {"push_time_seconds": 6, "push_failure_time_seconds": 5}, False),
        ("NoDeploymentForTwoWeeks", 15 * 24, {"last_deployment": 0}, True),
        ("NoDeploymentForTwoWeeks", 13 * 24, {"last_deployment": 0}, False),
    ],
)
def test_an_alert_fires_when_its_text_says(
    tmp_path: Path, alert: str, hours: int, values: dict[str, int], *, is_firing: bool
) -> None:
    """Time begins at 0 in such a test."""
    (rules,) = re.findall(r"^```yaml\n(groups:\n.*?)^```$", ALERTS_PAGE, flags=re.DOTALL | re.MULTILINE)
    (tmp_path / "rules.yml").write_text(rules, "utf-8")
    query = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
    case = {
        "interval": "1h",
        "input_series": [{"series": SERIES[name], "values": f"{value}x{hours}"} for name, value in values.items()],
        "promql_expr_test": [
            {
                "expr": query,
                "eval_time": f"{hours}h",
                "exp_samples": [{"labels": "{}", "value": 1}] if is_firing else [],
            }
        ],
    }
    tests = tmp_path / "tests.yml"
    tests.write_text(
        yaml.safe_dump({"rule_files": ["rules.yml"], "evaluation_interval": "1h", "tests": [case]}), "utf-8"
    )
    command = [str(require_tool("promtool")), "test", "rules", str(tests)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
