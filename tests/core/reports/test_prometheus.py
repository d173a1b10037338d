"""The Prometheus text: exact, well named, complete, and fit for `increase()` (docs/prometheus.md).

promtool checks part of it; the lint here checks the rest. One small set of facts is counted by hand, and properties
hold what counters and histograms guarantee.
"""

import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from io import BytesIO
from math import inf
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

import dora_metrics
from dora_metrics.core.facts.model import SEVERITIES, Change, Commit, Deployment, Fact, Incident, Vulnerability
from dora_metrics.core.reports.prometheus import exposition_text
from dora_metrics.core.targets.benchmarks import PUBLISHED_BENCHMARKS
from dora_metrics.pipeline.evaluate import cumulative_totals, evaluate, prometheus_families
from dora_metrics.settings.metric_labels import RESERVED
from dora_metrics.settings.model import Settings
from dora_metrics.sources import fact_files
from support.paths import ROOT
from support.property_cases import cases
from support.sink_payloads import NOW, SHOP, at, deployment
from support.strategies import fact_lists
from support.tools import require_tool

SAMPLE = Path(dora_metrics.__file__).parent / "sample" / "ledger"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BOUNDS = (
    300, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 172800, 259200, 432000, 604800, 1209600,
    1814400, 2592000, 5184000, 7776000, 15552000,
)  # fmt: skip
SCOPE = {"repository": SHOP, "service": "shop", "environment": "production"}
HOSTILE = ["a/b c", 'say "x"', "two\nlines", "back\\slash\\n", "ü/日本 🚀", "{le=}", "' or #1", "a\tb\r", "\\", "="]

DEFAULTS: Mapping[str, object] = {}

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def exposition(
    facts: Iterable[Fact], settings_fields: Mapping[str, object] = DEFAULTS, sequence: int | None = 3
) -> str:
    """The exposition text of these facts."""
    known = list(facts)
    subject = evaluate(known, Settings.model_validate(settings_fields), NOW)
    return exposition_text(prometheus_families(subject, cumulative_totals(subject, known), sequence))


def parsed_families(facts: Iterable[Fact], settings_fields: Mapping[str, object] = DEFAULTS) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(exposition(facts, settings_fields))}


def parsed_series(facts: Iterable[Fact], settings_fields: Mapping[str, object] = DEFAULTS) -> Series:
    samples = (sample for family in parsed_families(facts, settings_fields).values() for sample in family.samples)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}


def series_value(series: Series, name: str, **labels: str) -> float | None:
    """Value of a series of acme/shop; None if it is missing."""
    return series.get((name, frozenset({**SCOPE, **labels}.items())))


def change(name: str, started: float, **fields: object) -> Change:
    made = Change(id=name, repository=SHOP, observed_at=at(started), first_commit_at=at(started))
    return replace(made, **fields)


def incident(name: str, days_ago: float, **fields: object) -> Incident:
    return replace(Incident(id=name, repository=SHOP, observed_at=NOW, detected_at=at(days_ago)), **fields)


def vulnerability(name: str, days_ago: float, **fields: object) -> Vulnerability:
    return replace(Vulnerability(id=name, repository=SHOP, observed_at=NOW, detected_at=at(days_ago)), **fields)


def hand_counted_facts() -> list[Fact]:
    """Six attempts: the fourth and fifth fail by incidents, the third before it reached users."""
    runs = {"source": "workflow-runs"}
    failed_at = at(4)
    return [
        deployment(1, 40, changes=("first",), started_at=at(40) - timedelta(seconds=300)),
        change("first", 50),
        deployment(2, 20, changes=("quick", "bots"), started_at=at(20) - timedelta(seconds=301)),
        change("quick", 20 + 1 / 24),
        change("bots", 30, bot=True),
        deployment(3, 5, status="failure", started_at=at(5) - timedelta(seconds=60), **runs),
        deployment(4, 4, changes=("slow",), **runs),
        change("slow", 6),
        incident("over", 0, detected_at=failed_at + HOUR, resolved_at=failed_at + 3 * HOUR, severity="high"),
        deployment(5, 2, changes=("unknown",), remediates="over", health="failed"),
        incident("open", 1.5),
        deployment(6, 1, status="cancelled"),
        deployment(7, 1, environment="staging"),
        deployment(8, 1, retracted=True),
        vulnerability("fixed", 10, severity="critical", fixed_at=at(9)),
        vulnerability("found", 10, severity="low"),
    ]


@pytest.fixture(scope="module")
def small() -> Series:
    return parsed_series(hand_counted_facts())


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("dora_deployments_total", {"source": "deployments"}, 3),
        ("dora_deployments_total", {"source": "workflow-runs"}, 1),
        ("dora_deployments_total", {"source": "releases"}, 0),
        ("dora_deployments_total", {"source": "pushes"}, 0),
        ("dora_deployment_failures_total", {}, 2),
        ("dora_rework_deployments_total", {}, 1),
        ("dora_pipeline_failures_total", {}, 1),
        ("dora_changes_total", {}, 4),
        ("dora_incidents_total", {}, 2),
        ("dora_open_incidents", {"severity": "high"}, 0),
        ("dora_open_incidents", {"severity": "unspecified"}, 1),
        ("dora_last_deployment_timestamp_seconds", {}, at(2).timestamp()),
    ],
)
def test_counters_and_states_count_what_happened(
    small: Series, name: str, labels: dict[str, str], expected: float
) -> None:
    assert series_value(small, name, **labels) == expected


@pytest.mark.parametrize(
    ("name", "labels", "spans"),
    [
        ("dora_lead_time_seconds", {}, [3600, 172800]),
        ("dora_recovery_time_seconds", {}, [10800]),
        ("dora_incident_restore_seconds", {}, [7200]),
        ("dora_deployment_duration_seconds", {}, [300, 301, 60]),
        ("dora_vulnerability_remediation_seconds", {"severity": "critical"}, [86400]),
        ("dora_vulnerability_remediation_seconds", {"severity": "low"}, []),
    ],
)
def test_histograms_have_the_nineteen_buckets_each_with_its_bound(
    small: Series, name: str, labels: dict[str, str], spans: list[float]
) -> None:
    found = {
        float(le): series_value(small, f"{name}_bucket", le=le, **labels) for le in (*map(bucket_bound, BOUNDS), "+Inf")
    }
    assert found == {le: sum(span <= le for span in spans) for le in found}
    assert len(found) == 20
    assert series_value(small, f"{name}_count", **labels) == len(spans)
    assert series_value(small, f"{name}_sum", **labels) == sum(spans)


def bucket_bound(seconds: int) -> str:
    return str(float(seconds))


@pytest.mark.parametrize(
    ("name", "by_window"),
    [
        ("dora_deployment_frequency_per_day", (2 / 7, 3 / 30, 4 / 90)),
        ("dora_lead_time_p50_seconds", (172800, 88200, 88200)),
        ("dora_lead_time_p90_seconds", (172800, 155880, 155880)),
        ("dora_change_failure_ratio", (1, 2 / 3, 2 / 4)),
        ("dora_recovery_time_p50_seconds", (10800, 10800, 10800)),
        ("dora_rework_ratio", (1 / 2, 1 / 3, 1 / 4)),
        ("dora_window_deployments", (2, 3, 4)),
        ("dora_window_failures", (2, 2, 2)),
        ("dora_window_changes", (1, 2, 2)),
        ("dora_window_recoveries", (1, 1, 1)),
    ],
)
def test_window_gauges_are_exact(small: Series, name: str, by_window: tuple[float, ...]) -> None:
    found = tuple(series_value(small, name, window=window) for window in ("7d", "30d", "90d"))
    assert found == pytest.approx(by_window, rel=1e-12)


@pytest.mark.parametrize(
    ("metric", "by_window"),
    [
        ("deployment_frequency", (2, 1, 1)),
        ("lead_time", (2, 2, 2)),
        ("change_failure_rate", (0, 0, 0)),
        ("recovery_time", (2, 2, 2)),
    ],
)
def test_levels_are_ranks_from_the_lowest_upwards(small: Series, metric: str, by_window: tuple[int, ...]) -> None:
    found = tuple(series_value(small, "dora_level", metric=metric, window=window) for window in ("7d", "30d", "90d"))
    assert found == by_window


def test_levels_of_a_custom_benchmark_are_ranks_of_its_own() -> None:
    table = {"lead_time": [["gold", "1d"], ["silver", "3d"], ["tin", None]]}
    found = parsed_series(hand_counted_facts(), {"benchmark": "custom", "custom": table})
    assert series_value(found, "dora_level", metric="lead_time", window="7d") == 1
    assert series_value(found, "dora_level", metric="recovery_time", window="7d") is None


def benchmark_edges(inputs: Mapping[str, object]) -> dict[tuple[str, str, str], float]:
    """The worst value by metric, level and rank."""
    samples = parsed_families([], inputs)["dora_benchmark_edge"].samples
    return {(each.labels["metric"], each.labels["level"], each.labels["rank"]): each.value for each in samples}


def test_a_custom_benchmark_has_its_edges_and_the_names_of_all_levels_without_any_fact() -> None:
    table = {
        "lead_time": [["gold", "1d"], ["silver", "3d"], ["tin", None]],
        "deployment_frequency": [["gold", 2], ["tin", None]],
        "change_failure_rate": [["silver", 0.1], ["tin", None]],
    }
    assert benchmark_edges({"benchmark": "custom", "custom": table}) == {
        ("lead_time", "gold", "2"): 86400,
        ("lead_time", "silver", "1"): 259200,
        ("lead_time", "tin", "0"): inf,
        ("deployment_frequency", "gold", "2"): 2,
        ("deployment_frequency", "tin", "0"): 0,
        ("change_failure_rate", "silver", "1"): 0.1,
        ("change_failure_rate", "tin", "0"): 1,
    }


def test_a_published_benchmark_has_the_edges_of_the_levels_that_a_value_can_have() -> None:
    edges = benchmark_edges({"benchmark": "2019"})
    assert {key: value for key, value in edges.items() if key[0] == "change_failure_rate"} == {
        ("change_failure_rate", "elite", "3"): 0.15,
        ("change_failure_rate", "low", "0"): 1,
    }


@pytest.mark.parametrize("name", [*PUBLISHED_BENCHMARKS, "none"])
def test_the_benchmark_in_use_is_named(name: str) -> None:
    (sample,) = parsed_families([], {"benchmark": name})["dora_benchmark_info"].samples
    assert (sample.labels, sample.value) == ({"benchmark": name}, 1)


@pytest.mark.parametrize("name", PUBLISHED_BENCHMARKS)
def test_every_level_that_is_exported_has_its_rank_among_the_edges(name: str) -> None:
    exported = parsed_families(hand_counted_facts(), {"benchmark": name})["dora_level"].samples
    ranks = {(metric, rank) for metric, _, rank in benchmark_edges({"benchmark": name})}
    assert {(each.labels["metric"], f"{each.value:g}") for each in exported} <= ranks
    assert exported


def test_goals_are_exported_in_the_units_of_the_gauges() -> None:
    goals = {
        "lead_time": {"target": "1d", "by": "2027-03-31"},
        "deployment_frequency": {"target": "7/w"},
        "change_failure_rate": {"target": 0.15},
        "recovery_time": {"target": "90m"},
        "rework_rate": {"target": "0.05", "from": 0.2},
    }
    samples = parsed_families([], {"goals": goals})["dora_goal"].samples
    assert {each.labels["metric"]: each.value for each in samples} == {
        "lead_time": 86400,
        "deployment_frequency": 1,
        "change_failure_rate": 0.15,
        "recovery_time": 5400,
        "rework_rate": 0.05,
    }
    assert {frozenset(each.labels) for each in samples} == {frozenset({"metric"})}


def test_without_goals_there_are_no_series_of_goals() -> None:
    assert parsed_families(hand_counted_facts())["dora_goal"].samples == []


MAX_SERIES_PER_SCOPE = 150


def test_the_series_of_one_scope_are_as_many_as_the_documentation_says() -> None:
    """With all that it can have but vulnerabilities, whose histogram is a series for each bucket and severity."""
    page = (ROOT / "docs" / "prometheus.md").read_text("utf-8")
    (stated, stated_with_alerts) = (int(number) for number in re.findall(r"\*\*(\d+) series\*\*", page))
    without_alerts = [fact for fact in hand_counted_facts() if not isinstance(fact, Vulnerability)]
    assert series_of_scope(without_alerts) == stated <= MAX_SERIES_PER_SCOPE
    assert series_of_scope(hand_counted_facts()) - stated == stated_with_alerts


def series_of_scope(facts: Sequence[Fact]) -> int:
    return sum("service" in dict(labels) for _, labels in parsed_series(facts))


def test_static_labels_are_on_every_series() -> None:
    goals = {"lead_time": {"target": "1d"}}
    plain = parsed_series(hand_counted_facts(), {"goals": goals})
    results = evaluate(hand_counted_facts(), Settings.model_validate({"goals": goals}), NOW)
    families = prometheus_families(results, cumulative_totals(results, hand_counted_facts()), 3)
    text = exposition_text(families.with_labels({"cluster": "eu-1", "team": 'a "b"'}))
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    added = {"cluster": "eu-1", "team": 'a "b"'}
    assert {(each.name, frozenset(each.labels.items())): each.value for each in samples} == {
        (name, frozenset({**dict(labels), **added}.items())): value for (name, labels), value in plain.items()
    }


def of_teams(*facts: Fact, **teams: str) -> Series:
    return parsed_series(facts, {"teams": teams})


def test_every_series_of_a_scope_has_its_team_and_no_other_series() -> None:
    plain = parsed_series(hand_counted_facts())
    assert of_teams(*hand_counted_facts(), pay="acme/*") == {
        (name, labels | {("team", "pay")} if "service" in dict(labels) else labels): value
        for (name, labels), value in plain.items()
    }


def test_a_scope_without_a_team_has_no_such_label() -> None:
    facts = [deployment(1), deployment(2, service="cart")]
    series = of_teams(*facts, pay="cart")
    teams = {(dict(labels).get("service"), dict(labels).get("team")) for _, labels in series}
    assert teams == {("shop", None), ("cart", "pay"), (None, None)}


@pytest.mark.parametrize("team", [text for text in HOSTILE if text.isprintable()])
def test_a_team_keeps_its_name(team: str) -> None:
    series = of_teams(deployment(1), **{team: "acme/*"})
    assert {dict(labels)["team"] for _, labels in series if "service" in dict(labels)} == {team}


@settings(max_examples=cases(25))
@given(facts=fact_lists(), pattern=st.sampled_from(["acme/*", "shop", "*", "acme/shop:s*", "nothing"]))
def test_teams_change_no_value(facts: list[Fact], pattern: str) -> None:
    with_teams = of_teams(*facts, pay=pattern)
    without_label = {
        (name, frozenset(pair for pair in labels if pair[0] != "team")): value
        for (name, labels), value in with_teams.items()
    }
    assert without_label == parsed_series(facts)
    assert len(without_label) == len(with_teams)


def test_no_static_label_can_have_the_name_of_a_label_of_the_metrics() -> None:
    samples = [sample for family in parsed_families(varied_facts()).values() for sample in family.samples]
    assert {label for sample in samples for label in sample.labels} <= RESERVED


def test_without_a_benchmark_there_are_no_levels_and_no_edges() -> None:
    found = parsed_families(hand_counted_facts(), {"benchmark": "none"})
    assert found["dora_level"].samples == found["dora_benchmark_edge"].samples == []


def test_the_ledger_says_how_much_it_knows_and_how_new_it_is() -> None:
    found = parsed_series([*hand_counted_facts(), deployment(9, repository="acme/other")])
    assert found["dora_ledger_facts", frozenset({("repository", SHOP)})] == 16
    assert found["dora_ledger_facts", frozenset({("repository", "acme/other")})] == 1
    assert found["dora_ledger_sequence", frozenset()] == 3
    assert found["dora_build_info", frozenset({("version", dora_metrics.__version__)})] == 1


def test_a_ledger_that_counts_nothing_has_no_sequence() -> None:
    assert "dora_ledger_sequence" not in exposition([deployment()], sequence=None)


def test_every_value_of_every_label_begins_at_nought() -> None:
    """`increase` does not see a series that first appears with its first event."""
    found = parsed_series([deployment(), vulnerability("open", 1)])
    counters = ("deployment_failures", "rework_deployments", "pipeline_failures", "changes", "incidents")
    assert {series_value(found, f"dora_{name}_total") for name in counters} == {0}
    sources = {source: series_value(found, "dora_deployments_total", source=source) for source in SOURCES}
    assert sources == {"deployments": 1, "releases": 0, "workflow-runs": 0, "pushes": 0}
    for severity in (*SEVERITIES, "unspecified"):
        assert series_value(found, "dora_open_incidents", severity=severity) == 0
        assert series_value(found, "dora_vulnerability_remediation_seconds_count", severity=severity) == 0


def test_the_time_to_remediate_is_absent_until_a_vulnerability_is_known_since_unknown_is_not_none() -> None:
    name = "dora_vulnerability_remediation_seconds"
    assert parsed_families([deployment()])[name].samples == []
    dismissed = vulnerability("none", 1, dismissed_at=NOW)
    assert series_value(parsed_series([deployment(), dismissed]), f"{name}_count", severity="low") == 0
    elsewhere = vulnerability("theirs", 1, repository="acme/web")
    assert series_value(parsed_series([deployment(), elsewhere]), f"{name}_count", severity="low") is None


SOURCES = ("deployments", "releases", "workflow-runs", "pushes")


def test_a_gauge_without_data_is_absent_and_never_nought() -> None:
    found = parsed_families([incident("open", 1)])
    absent = {name for name, family in found.items() if family.type == "gauge" and not family.samples}
    assert absent == {
        "dora_window_deployments",
        "dora_window_failures",
        "dora_window_changes",
        "dora_window_recoveries",
        "dora_deployment_frequency_per_day",
        "dora_lead_time_p50_seconds",
        "dora_lead_time_p90_seconds",
        "dora_change_failure_ratio",
        "dora_recovery_time_p50_seconds",
        "dora_rework_ratio",
        "dora_level",
        "dora_open_incidents",
        "dora_last_deployment_timestamp_seconds",
        "dora_goal",
    }


def test_a_frequency_that_is_truly_nought_is_nought() -> None:
    found = parsed_series([deployment(1, 20)])
    assert series_value(found, "dora_deployment_frequency_per_day", window="7d") == 0
    assert series_value(found, "dora_window_deployments", window="7d") == 0
    assert series_value(found, "dora_window_failures", window="7d") == 0
    assert series_value(found, "dora_change_failure_ratio", window="7d") is None
    assert series_value(found, "dora_change_failure_ratio", window="30d") == 0


def varied_facts() -> list[Fact]:
    """The sample ledger, the hand-counted facts, and hostile names."""
    sample = fact_files.read(str(SAMPLE), BytesIO()).facts
    odd = [deployment(100 + n, repository=name, service=name, source=name) for n, name in enumerate(HOSTILE)]
    return [*sample, *hand_counted_facts(), *odd]


def test_promtool_has_nothing_to_say() -> None:
    promtool = require_tool("promtool")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=exposition(varied_facts()).encode(), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


COUNTED = {"incidents", "facts", "deployments", "failures", "changes", "recoveries"}
UNITS = {"seconds", "ratio", "total", "info", "day", "level", "edge", "sequence", "goal"} | COUNTED
SCOPE_LABELS = {"repository", "service", "environment"}
LABELS = SCOPE_LABELS | {"source", "severity", "window", "metric", "level", "rank", "benchmark", "version"}


def test_names_and_labels_are_those_of_the_contract() -> None:
    found = parsed_families(varied_facts())
    for name, family in found.items():
        assert re.fullmatch(r"dora(_[a-z0-9]+)+", name)
        assert name.rpartition("_")[2] in UNITS or family.type == "counter"
        assert not re.search(r"_percent|_timestamp$|_created$|_hours|_days|_minutes|_milliseconds", name)
        assert family.documentation.endswith(".")
        used = {label for sample in family.samples for label in sample.labels}
        assert used - {"le"} <= LABELS
        assert ("le" in used) <= (family.type == "histogram")


def test_counters_and_only_counters_end_in_total_and_nothing_is_created() -> None:
    samples = [
        (family.type, sample.name) for family in parsed_families(varied_facts()).values() for sample in family.samples
    ]
    assert {name for kind, name in samples if (kind == "counter") != name.endswith("_total")} == set()
    assert {name for _, name in samples if name.endswith("_created")} == set()
    assert {kind for kind, _ in samples} == {"counter", "gauge", "histogram"}


def test_these_families_are_exported() -> None:
    counters = {"deployments", "deployment_failures", "rework_deployments", "pipeline_failures", "changes", "incidents"}
    histograms = {"lead_time", "recovery_time", "incident_restore", "deployment_duration", "vulnerability_remediation"}
    gauges = {
        "deployment_frequency_per_day", "lead_time_p50_seconds", "lead_time_p90_seconds", "change_failure_ratio",
        "recovery_time_p50_seconds", "rework_ratio", "level", "last_deployment_timestamp_seconds", "open_incidents",
        "ledger_facts", "ledger_sequence", "benchmark_edge", "benchmark_info", "build_info",
        "window_deployments", "window_failures", "window_changes", "window_recoveries", "goal",
    }  # fmt: skip
    found = {(family.type, name.removeprefix("dora_")) for name, family in parsed_families(varied_facts()).items()}
    assert found == {
        *(("counter", name) for name in counters),
        *(("histogram", f"{name}_seconds") for name in histograms),
        *(("gauge", name) for name in gauges),
    }


def test_nobody_and_nothing_single_is_in_a_label() -> None:
    """No person, sha, ref, run or pull request: each would create a series of its own forever."""
    commit = Commit(sha="c" * 40, authored_at=at(3))
    facts: Sequence[Fact] = [
        deployment(1, 2, ref="feature/x", version="v1.2.3", changes=("github:pull:acme/shop#1",), url="https://u.test"),
        change("github:pull:acme/shop#1", 3, title="A title", branch="feature/x", commits=(commit,)),
    ]
    said = exposition(facts)
    for single in ("github:", "#1", "feature", "v1.2.3", "https", "A title", "c" * 40, f"{1:040x}"):
        assert single not in said


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_parses_back_to_the_same(name: str) -> None:
    found = parsed_families([deployment(repository=name, service=name, environment=f"prod/{name}", source=name)])
    labels = {"repository": name, "service": name, "environment": f"prod/{name}"}
    samples = {tuple(sorted(s.labels.items())): s.value for s in found["dora_deployments"].samples}
    assert samples[tuple(sorted({**labels, "source": name}.items()))] == 1
    assert [sample.labels for sample in found["dora_changes"].samples] == [labels]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_name_parses_back_to_the_same(name: str) -> None:
    (sample,) = parsed_families([deployment(repository=name, service=name)])["dora_changes"].samples
    assert sample.labels == {"repository": name, "service": name, "environment": "production"}


DAYS = st.floats(min_value=0.001, max_value=400, allow_nan=False)
SPANS = st.lists(st.floats(min_value=0, max_value=400 * 86400), max_size=30)


def counter_series(facts: Sequence[Fact]) -> Series:
    return {key: count for key, count in parsed_series(facts).items() if key[0].endswith("_total")}


def assert_never_falls(facts: Sequence[Fact]) -> None:
    before: Series = {}
    for known in range(1, len(facts) + 1):
        now = counter_series(facts[:known])
        assert {key for key, count in before.items() if now[key] < count} == set()
        before = now


@settings(max_examples=cases(10))
@given(st.lists(DAYS, min_size=1, max_size=8))
def test_counters_never_fall_in_whatever_order_deployments_arrive(days: list[float]) -> None:
    assert_never_falls([deployment(number, days_ago) for number, days_ago in enumerate(days, 1)])


@settings(max_examples=cases(10))
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.lists(st.sampled_from("vwxyz"), max_size=2)), min_size=1, max_size=8)
)
def test_counters_never_fall_while_deployments_arrive_in_their_order(attempts: list[tuple[str, list[str]]]) -> None:
    """Also with rollbacks, redeployments, and changes recorded earlier."""
    started = {name: change(name, 200) for name in "vwxyz"}
    made = [
        deployment(number, 100 - number, sha=sha * 40, changes=tuple(brought))
        for number, (sha, brought) in enumerate(attempts, 1)
    ]
    assert_never_falls([*made[:1], *started.values(), *made[1:]])


@settings(max_examples=cases(15))
@given(SPANS)
def test_histograms_are_cumulative_and_their_last_bucket_is_their_count(spans: list[float]) -> None:
    facts: list[Deployment] = [
        deployment(number, started_at=at(1) - timedelta(seconds=span)) for number, span in enumerate(spans, 1)
    ]
    found = parsed_series([*facts, deployment(1000)])
    counts = [series_value(found, f"{DURATION}_bucket", le=le) or 0 for le in (*map(bucket_bound, BOUNDS), "+Inf")]
    assert counts == sorted(counts)
    assert counts[-1] == series_value(found, f"{DURATION}_count") == len(spans)
    assert series_value(found, f"{DURATION}_sum") == pytest.approx(sum(spans), abs=1e-3)


DURATION = "dora_deployment_duration_seconds"
