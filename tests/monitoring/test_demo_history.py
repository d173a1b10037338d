"""The invented history of the local stack is always the same, ends now, and leaves no panel empty."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import demo_history
import yaml

from dora_metrics.core.facts.model import SEVERITIES, Fact, Incident, Vulnerability
from dora_metrics.core.reports.prometheus import exposition_text
from dora_metrics.core.windows import WINDOWS_DAYS
from dora_metrics.pipeline.evaluate import cumulative_totals, evaluate, prometheus_families
from dora_metrics.settings.loading import Layer, load_settings
from dora_metrics.settings.model import Settings
from support.paths import ROOT
from support.prometheus_text import counter_values

NOW = datetime(2026, 11, 21, 9, 5, tzinfo=UTC)


@cache
def facts() -> list[Fact]:
    return demo_history.history(NOW)


@cache
def settings() -> Settings:
    return load_settings([Layer("demo", yaml.safe_load((ROOT / "monitoring" / "demo.yml").read_text("utf-8")))])


def exposition_of(known: list[Fact]) -> str:
    results = evaluate(known, settings(), NOW)
    return exposition_text(prometheus_families(results, cumulative_totals(results, known), 1))


@cache
def exposition() -> str:
    return exposition_of(facts())


def test_it_is_the_same_at_each_run() -> None:
    assert demo_history.history(NOW) == facts()


def test_it_ends_now_whenever_that_is() -> None:
    later = timedelta(days=3, hours=5)
    moved = demo_history.history(NOW + later)
    assert [fact.observed_at for fact in moved] == [fact.observed_at + later for fact in facts()]
    assert NOW - max(fact.observed_at for fact in facts()) < timedelta(days=1)


def test_no_fact_is_from_the_future() -> None:
    assert [fact for fact in facts() if fact.observed_at > NOW or fact.defining_time > NOW] == []


def test_it_is_long_enough_for_full_windows_over_90_days_of_curves() -> None:
    oldest = min(fact.observed_at for fact in facts())
    assert NOW - oldest > timedelta(days=90 + max(WINDOWS_DAYS))


def test_incidents_and_alerts_have_every_severity() -> None:
    assert {fact.severity for fact in facts() if isinstance(fact, Incident)} == {*SEVERITIES, None}
    assert {fact.severity for fact in facts() if isinstance(fact, Vulnerability)} == {*SEVERITIES}


def test_every_family_has_a_value_other_than_zero() -> None:
    names = [line.split()[2] for line in exposition().splitlines() if line.startswith("# TYPE ")]
    values = {line.split("{")[0].split()[0] for line in exposition().splitlines() if not line.endswith(" 0.0")}
    empty = [name for name in names if not {name, f"{name}_count"} & values]
    assert empty == []


def test_every_counter_grew_in_the_last_90_days() -> None:
    known_then = [fact for fact in facts() if fact.observed_at < NOW - timedelta(days=90)]
    then, now = counter_values(exposition_of(known_then)), counter_values(exposition())
    grown = {name for (name, labels), value in now.items() if value > then.get((name, labels), 0)}
    assert {name for name, _ in now} - grown == set()


def test_its_goals_are_settings() -> None:
    assert len(settings().policy.goals) == 5


def test_the_command_writes_a_facts_file(tmp_path: Path) -> None:
    demo_history.write(tmp_path / "facts.jsonl", NOW)
    assert len((tmp_path / "facts.jsonl").read_bytes().splitlines()) == len(facts())
