"""Back-filled history in a real Prometheus: day counts are the facts, gauges are what `compute` says of that day."""

import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from io import BytesIO, StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from dora_metrics.cli import run
from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident
from dora_metrics.runtime import Runtime
from support.facts import at, sha
from support.scraped_history import create_blocks
from support.servers import Prometheus, free_port, prometheus

NOW, DAYS = at("04-01"), 60
DAY = timedelta(days=1)
SINCE = f"{DAYS}d"
HOSTILE_SERVICE = 'a "b" \\ {{ x }}\n.*'
SCOPES = (("acme/shop", "shop"), ("acme/shop", HOSTILE_SERVICE), ("acme/api", ".*"))
KEPT = "--storage.tsdb.retention.time=100y"


def history() -> list[Fact]:
    """Each scope deploys on some days at noon; what fails is resolved on the same day. The first one is late."""
    chance, facts = random.Random(3), list[Fact]()
    for number, (repository, service) in enumerate(SCOPES):
        for day in range(number * 20, DAYS):
            for hour in range(12, 12 + chance.choice((0, 0, 1, 2))):
                finished_at = NOW - (DAYS - day) * DAY + timedelta(hours=hour)
                facts += attempt(repository, service, f"{number}-{day}-{hour}", finished_at, chance)
    return facts


def attempt(repository: str, service: str, name: str, finished_at: datetime, chance: random.Random) -> Iterator[Fact]:
    common: Mapping[str, Any] = {"repository": repository, "service": service, "observed_at": NOW}
    change = f"github:pull:{repository}#{name.replace('-', '0')}"
    started_at = finished_at - timedelta(minutes=chance.randint(60, 6000))
    yield Change(id=change, first_commit_at=started_at, merged_at=finished_at, **common)
    yield Deployment(
        id=f"x:{name}",
        finished_at=finished_at,
        status="success",
        environment="production",
        source="deployments",
        sha=sha(name),
        changes=(change,),
        **common,
    )
    if chance.random() < 0.3:
        detected_at = finished_at + timedelta(minutes=20)
        resolved_at = detected_at + timedelta(minutes=chance.randint(10, 300))
        yield Incident(
            id=f"i:{name}", detected_at=detected_at, resolved_at=resolved_at, deployment=f"x:{name}", **common
        )


FACTS = history()


def compute(*flags: str, now: datetime = NOW) -> str:
    lines, out = b"".join(encode_fact(fact) + b"\n" for fact in FACTS), StringIO()
    arguments = ["compute", "--facts", "-", "--now", now.isoformat(), *flags]
    assert run(arguments, Runtime({}, BytesIO(lines), out, StringIO(), NOW, lambda _: None)) == 0
    return out.getvalue()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("filled")
    text = folder / "history.om"
    text.write_text(compute("--format", "openmetrics", "--since", SINCE, "--step", "1d"), "utf-8", newline="\n")
    create_blocks(text, folder / "tsdb")
    with prometheus(folder, f"127.0.0.1:{free_port()}", KEPT) as server:
        yield server


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def selector(repository: str, service: str) -> str:
    return f"repository={quoted(repository)}, service={quoted(service)}"


def values_of_days(server: Prometheus, query: str) -> list[float]:
    """The only result of a query at each step."""
    days = [NOW - number * DAY for number in range(DAYS, -1, -1)]
    return [float(server.vector(query, day)[0]["value"][1]) for day in days]


COUNTED: Mapping[str, type[Fact]] = {
    "dora_deployments_total": Deployment,
    "dora_incidents_total": Incident,
    "dora_incident_restore_seconds_count": Incident,
    "dora_deployment_failures_total": Incident,
    "dora_recovery_time_seconds_count": Incident,
}
"""The kind of fact that each counter counts here."""


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("scope", SCOPES)
def test_what_a_day_adds_to_a_counter_are_its_facts(filled: Prometheus, name: str, scope: tuple[str, str]) -> None:
    totals = values_of_days(filled, f"sum({name}{{{selector(*scope)}}})")
    facts = [fact for fact in FACTS if isinstance(fact, COUNTED[name]) and (fact.repository, fact.service) == scope]
    by_day = Counter((fact.defining_time - (NOW - DAYS * DAY)) // DAY for fact in facts)
    assert [later - earlier for earlier, later in pairwise(totals)] == [by_day[day] for day in range(DAYS)]
    assert totals[0] == 0


def test_the_increase_over_the_whole_history_has_the_first_deployment_too(filled: Prometheus) -> None:
    (result,) = filled.vector(f"sum(increase(dora_deployments_total[{DAYS + 1}d]))", NOW)
    count = sum(isinstance(fact, Deployment) for fact in FACTS)
    assert float(result["value"][1]) == pytest.approx(count, rel=0.02)


@pytest.mark.parametrize("name", [*COUNTED, "dora_lead_time_seconds_bucket", "dora_lead_time_seconds_sum"])
def test_no_counter_was_reset(filled: Prometheus, name: str) -> None:
    (result,) = filled.vector(f"sum(resets({name}[{DAYS + 1}d]))", NOW)
    assert float(result["value"][1]) == 0


GAUGES = {
    "dora_deployment_frequency_per_day": ("deployment_frequency", "per_day"),
    "dora_lead_time_p50_seconds": ("lead_time", "p50_seconds"),
    "dora_lead_time_p90_seconds": ("lead_time", "p90_seconds"),
    "dora_change_failure_ratio": ("change_failure_rate", "ratio"),
    "dora_recovery_time_p50_seconds": ("recovery_time", "p50_seconds"),
    "dora_window_deployments": ("change_failure_rate", "deployments"),
    "dora_window_failures": ("change_failure_rate", "failed"),
    "dora_window_changes": ("lead_time", "changes"),
    "dora_window_recoveries": ("recovery_time", "recovered"),
    "dora_rework_ratio": ("rework_rate", "ratio"),
}


@pytest.mark.parametrize("age", [0, 1, 13, 40])
@pytest.mark.parametrize("window", ["7d", "30d", "90d"])
def test_a_gauge_is_what_compute_says_of_that_day(filled: Prometheus, age: int, window: str) -> None:
    day = NOW - age * DAY
    document = json.loads(compute("--format", "json", "--window", window, now=day))
    assert document["scopes"]
    for scope in document["scopes"]:
        for name, (metric, field) in GAUGES.items():
            expected = scope["metrics"][metric][field]
            labels = f"{selector(scope['repository'], scope['service'])}, window={quoted(window)}"
            found = filled.vector(f"{name}{{{labels}}}", day)
            if not has_deployed(scope, day) or expected is None:
                assert found == []
            else:
                assert float(found[0]["value"][1]) == pytest.approx(expected, abs=1e-9, rel=1e-9)


def has_deployed(scope: Mapping[str, str], day: datetime) -> bool:
    """Whether there was a deployment by then. Before it, `compute` has a scope of the future, and no gauge exists."""
    names = (scope["repository"], scope["service"])
    deployments = (fact for fact in FACTS if isinstance(fact, Deployment) and (fact.repository, fact.service) == names)
    return any(fact.finished_at <= day for fact in deployments)


def test_promtool_takes_a_text_without_samples(tmp_path: Path) -> None:
    text = tmp_path / "empty.om"
    text.write_text("# EOF\n", "utf-8")
    create_blocks(text, tmp_path / "tsdb")
