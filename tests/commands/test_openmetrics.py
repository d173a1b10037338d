"""`compute --format openmetrics`: valid OpenMetrics at past times, and errors for options that make no sense."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dora_metrics.cli import run
from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.core.facts.model import Fact
from dora_metrics.runtime import Runtime
from support.facts import at, change, deployment, incident, vulnerability
from support.hostile_text import HOSTILE, assert_logs_nothing
from support.openmetrics_text import assert_valid_order, families_at, lines_of, values_at
from support.paths import ROOT
from support.property_cases import cases
from support.strategies import fact_lists

NOW = "2024-04-01T00:00:00Z"
DAY = timedelta(days=1)
SHOP = {"job": "dora", "repository": "acme/shop", "service": "shop", "environment": "production"}


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    def value(self, time: str, name: str, **labels: str) -> float | None:
        """The value of a series of acme/shop at a time; None if it is missing."""
        return values_at(self.out, at(time)).get((name, frozenset({**SHOP, **labels}.items())))


def openmetrics(facts: Sequence[Fact], *flags: str, now: str = NOW) -> Ran:
    lines = b"".join(encode_fact(fact) + b"\n" for fact in facts)
    out, err = StringIO(), StringIO()
    arguments = ["compute", "--facts", "-", "--format", "openmetrics", "--now", now, *flags]
    code = run(arguments, Runtime({}, BytesIO(lines), out, err, at("04-01"), lambda _: None))
    return Ran(code, out.getvalue(), err.getvalue())


def shop() -> list[Fact]:
    return [
        deployment(1, "03-01T12:00"),
        deployment(2, "03-10T12:00", changes=[1]),
        change(1, "03-08", merged_at="03-09"),
        incident(1, "03-10T13:00", resolved_at="03-12", severity="high"),
        vulnerability(1, "03-02", fixed_at="03-10"),
    ]


def times_of(ran: Ran) -> list[float]:
    return sorted({line.timestamp for line in lines_of(ran.out)})


# Times


def test_there_is_a_sample_a_day_for_90_days_unless_told_otherwise() -> None:
    times = times_of(openmetrics(shop()))
    assert times == [(at("04-01") - number * DAY).timestamp() for number in range(90, -1, -1)]


def test_the_last_time_is_now_and_the_others_are_whole_steps_before() -> None:
    ran = openmetrics(shop(), "--since", "1w", "--step", "36h", now="2024-04-01T06:30:00.25Z")
    last = at("04-01T06:30:00.25").timestamp()
    assert times_of(ran) == [last - number * 36 * 3600 for number in range(4, -1, -1)]
    assert "} 1.0 1711953000.250\n" in ran.out


def test_what_had_happened_counts_unless_told_otherwise() -> None:
    late = [replace(fact, observed_at=at("03-31")) for fact in shop()]
    for flags in ([], ["--as-of", "happened"]):
        ran = openmetrics(late, *flags)
        assert ran.value("03-02", "dora_deployments_total", source="deployments") == 1
        assert ran.value("03-11", "dora_deployments_total", source="deployments") == 2
        assert ran.value("03-11", "dora_open_incidents", severity="high") == 1
        assert ran.value("03-12", "dora_open_incidents", severity="high") == 0


def test_what_was_known_is_what_was_observed_by_then() -> None:
    late = [replace(fact, observed_at=at("03-31")) for fact in shop()]
    ran = openmetrics(late, "--as-of", "known")
    assert ran.value("03-30", "dora_deployments_total", source="deployments") == 0
    assert ran.value("03-31", "dora_deployments_total", source="deployments") == 2


def test_earlier_records_say_what_was_known_earlier() -> None:
    opened = incident(1, "03-10T13:00", severity="high")
    resolved = replace(opened, resolved_at=at("03-11"), observed_at=at("03-14"))
    ran = openmetrics([deployment(1, "03-01"), resolved, opened], "--as-of", "known")
    assert ran.value("03-10", "dora_open_incidents", severity="high") == 0
    assert ran.value("03-13", "dora_open_incidents", severity="high") == 1
    assert ran.value("03-14", "dora_open_incidents", severity="high") == 0


# Text


def test_the_text_is_openmetrics() -> None:
    ran = openmetrics(shop())
    assert_valid_order(ran.out)
    assert ran.err == ""
    families = families_at(ran.out, at("04-01"))
    assert families["dora_deployments"].type == "counter"
    assert families["dora_lead_time_seconds"].type == "histogram"
    assert families["dora_lead_time_p50_seconds"].type == "gauge"


def test_bounds_are_written_as_in_a_push() -> None:
    assert 'dora_lead_time_seconds_bucket{environment="production",job="dora",le="86400.0",' in openmetrics(shop()).out


def test_every_series_has_the_job_and_the_repository_as_in_a_push() -> None:
    other = replace(deployment(3, "03-02"), repository="acme/api", service="api")
    ran = openmetrics([*shop(), other], "--pushgateway-job", "numbers")
    assert all('job="numbers"' in line.series and 'repository="acme/' in line.series for line in lines_of(ran.out))
    infos = [line.series for line in lines_of(ran.out) if line.family == "dora_build_info" and line.timestamp > 1711e6]
    assert {series.partition("repository=")[2][:10] for series in infos} == {'"acme/shop', '"acme/api"'}


def test_every_series_has_the_static_labels() -> None:
    ran = openmetrics(shop(), "--labels", "cluster=eu-1, team: payments")
    assert all('cluster="eu-1"' in line.series and 'team="payments"' in line.series for line in lines_of(ran.out))


def test_series_of_scopes_have_their_team_and_stay_valid(tmp_path: Path) -> None:
    config = tmp_path / "dora.yml"
    config.write_text("teams: {pay: [pay, ledger]}", "utf-8")
    scopes = [replace(deployment(n, f"03-0{n}"), service=name) for n, name in enumerate(["pay", "web", "ledger"], 1)]
    ran = openmetrics(scopes, "--config", str(config))
    assert_valid_order(ran.out)
    deployments = [line.series for line in lines_of(ran.out) if line.family == "dora_deployments"]
    assert all(('team="pay"' in series) == ('service="web"' not in series) for series in deployments)


def test_another_format_has_the_static_labels_too() -> None:
    ran = openmetrics(shop(), "--format", "prometheus", "--labels", "cluster=eu-1")
    series = [line for line in ran.out.splitlines() if not line.startswith("#")]
    assert all('cluster="eu-1"' in line for line in series)


def test_no_series_is_named_after_a_sequence_that_a_push_would_have() -> None:
    assert "dora_ledger_sequence" not in openmetrics(shop()).out


@pytest.mark.parametrize(
    "text", ['say "x"', "back\\slash \\n", "two\nlines", "{{ x }}", ".*", 'a",le="1', "ü/日本 🚀", "# EOF"]
)
def test_a_label_keeps_its_value(text: str) -> None:
    ran = openmetrics([deployment(1, "03-01", service=text)])
    assert_valid_order(ran.out)
    assert ran.value("04-01", "dora_deployments_total", service=text, source="deployments") == 1


@settings(max_examples=cases(20))
@given(facts=fact_lists(), payloads=st.lists(st.sampled_from(HOSTILE), min_size=25, max_size=25))
def test_any_facts_make_a_valid_text_that_no_runner_obeys(facts: list[Fact], payloads: list[str]) -> None:
    hostile = [replace(fact, service=payload) for fact, payload in zip(facts, payloads, strict=False)]
    ran = openmetrics(hostile, "--since", "12w", "--step", "2w")
    assert ran.code == 0
    assert_valid_order(ran.out)
    assert_logs_nothing(ran.out + ran.err)


def test_without_facts_it_is_empty_and_says_so() -> None:
    ran = openmetrics([])
    assert (ran.code, ran.out) == (0, "# EOF\n")
    assert "Standard input holds no facts" in ran.err


def test_a_repository_without_deployments_has_its_facts_only() -> None:
    ran = openmetrics([change(1, "03-08")])
    families = {line.family for line in lines_of(ran.out)}
    assert families == {"dora_ledger_facts", "dora_build_info", "dora_benchmark_edge", "dora_benchmark_info"}


def test_infinity_is_written_as_openmetrics_has_it() -> None:
    assert any(line.value == float("inf") for line in lines_of(openmetrics(shop()).out))
    assert "} +Inf 1711929600\n" in openmetrics(shop()).out


def test_without_room_for_the_samples_it_says_what_to_do(tmp_path: Path) -> None:
    facts = tmp_path / "facts.jsonl"
    facts.write_bytes(b"".join(encode_fact(fact) + b"\n" for fact in shop()))
    options = f"--facts {facts} --format openmetrics --step 1h --now {NOW}"
    command = f"ulimit -f 100; {sys.executable} -m dora_metrics compute {options} | tail -1"
    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert re.fullmatch(
        r"dora-metrics: the temporary database for openmetrics failed \(.+\); free room in TMPDIR\n", done.stderr
    )


# Options


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--since", "0d"], "'0d' is not a valid duration; write one such as 90m, 24h, 30d or 12w"),
        (["--since", "all"], "'all' is not a valid duration; write one such as 90m, 24h, 30d or 12w"),
        (["--step", "0h"], "'0h' is not a valid duration; write one such as 90m, 24h, 30d or 12w"),
        (["--step=-1d"], "'-1d' is not a valid duration; write one such as 90m, 24h, 30d or 12w"),
        (["--step", "1 day"], "'1 day' is not a valid duration; write one such as 90m, 24h, 30d or 12w"),
        (["--since", "1d", "--step", "2d"], "the step 2d is longer than the period 1d"),
        (["--step", "1m"], "129,601 steps are too many; 20,000 are possible"),
        (["--since", "365000d", "--step", "1d"], "365,001 steps are too many; 20,000 are possible"),
    ],
)
def test_times_that_make_no_sense_are_an_error(flags: list[str], problem: str) -> None:
    ran = openmetrics(shop(), *flags)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.endswith(f": {problem}\n")


@pytest.mark.parametrize("flag", ["--since=90d", "--step=1d", "--as-of=known"])
@pytest.mark.parametrize("form", ["prometheus", "json"])
def test_another_format_takes_none_of_these_options(flag: str, form: str) -> None:
    ran = openmetrics(shop(), "--format", form, flag)
    name = flag.partition("=")[0]
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines()[0] == f"dora-metrics: compute: {name} needs --format openmetrics"


def test_another_meaning_of_the_past_is_an_error() -> None:
    ran = openmetrics(shop(), "--as-of", "guessed")
    assert (ran.code, ran.out) == (2, "")
    assert "--as-of 'guessed' is not one of 'happened', 'known'" in ran.err


def test_how_far_back_sync_reads_is_another_setting(tmp_path: Path) -> None:
    config = tmp_path / "dora.yml"
    config.write_text("since: all\n", "utf-8")
    assert len(times_of(openmetrics(shop(), "--config", str(config)))) == 91


def test_the_earliest_times_that_are_possible() -> None:
    ran = openmetrics(shop(), "--since", "365000d", "--step", "36500d")
    assert ran.code == 0, ran.err
