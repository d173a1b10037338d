"""`compute`: from bytes and flags to the numbers, or to every problem at once."""

import json
import subprocess
import sys
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest

from dora_metrics.cli import run
from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.core.facts.model import Repository
from dora_metrics.runtime import Runtime
from support.facts import at, change, deployment, incident
from support.paths import ROOT

FACT = encode_fact(deployment(1, "03-05T12:00")) + b"\n"
NOW = "2024-04-01T00:00:00Z"


def facts_file(*facts: Any) -> bytes:  # noqa: ANN401
    return b"".join(encode_fact(fact) + b"\n" for fact in facts)


@dataclass(frozen=True)
class ComputeRun:
    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        assert self.code == 0, self.err
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def problems(self) -> list[str]:
        assert (self.code, self.out) == (2, "")
        return [line.removeprefix("dora-metrics: ") for line in self.err.splitlines()]


@dataclass(frozen=True)
class Compute:
    """Run the program in a folder; `facts` is the content of the facts file, `config` of the config file."""

    folder: Path

    def __call__(
        self,
        *flags: str,
        facts: bytes | None = FACT,
        config: str | bytes = "",
        now: str | None = NOW,
        names_config: bool = True,
    ) -> ComputeRun:
        place, stdin = self.folder / "facts.jsonl", BytesIO()
        if facts is not None:
            place.write_bytes(facts)
        (self.folder / "dora.yml").write_bytes(config if isinstance(config, bytes) else config.encode())
        given = ["compute", *(["--config", str(self.folder / "dora.yml")] if names_config else []), *flags]
        given += [] if "--facts" in flags else ["--facts", str(place)]
        given += ["--now", now] if now else []
        if "-" in flags:
            stdin = BytesIO(facts or b"")
        out, err = StringIO(), StringIO()
        code = run(given, Runtime({}, stdin, out, err, at("04-01"), lambda _: None))
        return ComputeRun(code, out.getvalue(), err.getvalue())


@pytest.fixture
def compute(tmp_path: Path) -> Compute:
    return Compute(tmp_path)


def deployment_count(ran: ComputeRun) -> int:
    return sum(scope["metrics"]["deployment_frequency"]["deployments"] for scope in ran.answer["scopes"])


# Facts


@pytest.mark.parametrize(
    "facts",
    [
        FACT,
        FACT.rstrip(),
        b"\xef\xbb\xbf" + FACT,
        FACT.replace(b"\n", b"\r\n"),
        b"\n \n\t\n" + FACT + b"\n\n",
        FACT * 3,
        FACT + b'{"kind":"build","id":"b1","observed_at":"2024-03-01T00:00:00Z"}\n',
        FACT.replace(b'"v":1', b'"v":2,"later":[{}]'),
        FACT.replace(b'"environment":"production",', b"").replace(b'"changes":[],', b'"zebra":{"a":[1]},'),
    ],
)
def test_facts_are_read_whatever_their_line_ends_and_company(compute: Compute, facts: bytes) -> None:
    assert deployment_count(compute(facts=facts)) == 1


@pytest.mark.parametrize("facts", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_no_facts_are_no_error(compute: Compute, facts: bytes) -> None:
    assert compute(facts=facts).answer["scopes"] == []


def test_facts_come_from_standard_input_too(compute: Compute) -> None:
    assert deployment_count(compute("--facts", "-")) == 1
    assert compute("--facts", "-", facts=b"nonsense\n").problems[0].startswith("standard input:1: ")


def test_facts_come_from_a_folder_too(compute: Compute) -> None:
    (compute.folder / "sub" / "er").mkdir(parents=True)
    (compute.folder / "sub" / "er" / "2.jsonl").write_bytes(encode_fact(deployment(2)))
    (compute.folder / "sub" / "notes.txt").write_text("no facts")
    assert deployment_count(compute("--facts", str(compute.folder))) == 2
    (compute.folder / "sub" / "er" / "2.jsonl").write_bytes(b"\n[]\n")
    assert compute("--facts", str(compute.folder)).problems == [
        f"{compute.folder}/sub/er/2.jsonl:2: a JSON list, not an object with `kind` and `id`"
    ]


def test_a_folder_that_a_person_names_may_hold_links(
    compute: Compute, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "2.jsonl"
    elsewhere.write_bytes(encode_fact(deployment(2)))
    (compute.folder / "2.jsonl").symlink_to(elsewhere)
    assert deployment_count(compute("--facts", str(compute.folder))) == 2


def test_every_line_that_is_no_fact_is_named_at_once(compute: Compute) -> None:
    facts = FACT + b"nonsense\n" + FACT + b'{"kind":"deployment"}\n\xff\n'
    found = compute(facts=facts).problems
    assert [line.split("facts.jsonl:")[1][:2] for line in found] == ["2:", "4:", "5:"]


def test_of_very_many_bad_lines_a_hundred_are_named_and_the_rest_counted(compute: Compute) -> None:
    found = compute(facts=b"nonsense\n" * 5000).problems
    assert (len(found), found[-1]) == (101, "and 4900 more such lines")


def test_a_place_that_is_not_there_is_named(compute: Compute) -> None:
    place = str(compute.folder / "nowhere")
    assert compute("--facts", place).problems == [f"{place}: no such file or folder"]
    place = "x" * 5_000
    assert compute("--facts", place).problems == [f"{place}: cannot be read (File name too long)"]


def test_the_notes_count_the_records_of_kinds_that_are_not_known(compute: Compute) -> None:
    facts = b'{"kind":"build","id":"b1"}\n{"kind":"test","id":"t1"}\n'
    assert compute(facts=facts).answer["notes"] == [
        "2 records of a kind or version that this program does not know are not counted (build, test)."
    ]


@pytest.mark.parametrize("text", ["\ud800".encode("utf-8", "surrogatepass"), b"\\ud800", b"\\u0000", "\u202e".encode()])
def test_strange_texts_are_borne_or_named(compute: Compute, text: bytes) -> None:
    ran = compute(facts=FACT.replace(b'"version":null', b'"version":"' + text + b'"'))
    assert ran.code in (0, 2)
    assert ran.code == 0 or "facts.jsonl:1: " in ran.err


def test_deep_nesting_and_long_lines_are_borne_or_named(compute: Compute) -> None:
    deep = FACT.rstrip()[:-1] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"
    assert "nested too deeply" in compute(facts=deep).problems[0]
    long = FACT.rstrip()[:-1] + b',"x":"' + b"x" * 10_000_000 + b'"}\n'
    assert deployment_count(compute(facts=long + encode_fact(deployment(2)))) == 2


# Settings


def test_the_moment_is_a_time_with_an_offset(compute: Compute) -> None:
    assert compute(now="2024-04-01T02:00:00+02:00").answer["generated_at"] == NOW
    assert compute(now=None).answer["generated_at"] == NOW  # the fixed clock of the tests
    for wrong in (
        "now",
        "2024-04-01",
        "2024-04-01T00:00:00",
        "1711929600",
        "2024-13-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
    ):
        (problem,) = compute(now=wrong).problems
        assert problem.startswith(f"--now: '{wrong}' is not ")


@pytest.mark.parametrize("window", ["soon", "30", "0d", "2024-02-01..2024-01-01", "2025-01-01..2025-02-01", ".."])
def test_a_window_that_cannot_be_is_named(compute: Compute, window: str) -> None:
    (problem,) = compute("--window", window).problems
    assert "window: " in problem


def test_a_window_that_ends_before_it_starts_is_named_as_the_option_it_is(compute: Compute) -> None:
    (problem,) = compute("--window", "2024-02-01..2024-01-01").problems
    assert problem == "--window: '2024-02-01..2024-01-01' ends before it starts; put the earlier date first"


def test_a_flag_wins_over_the_file(compute: Compute) -> None:
    answer = compute("--window", "7d", config="window: 14d\nbenchmark: 2021\n").answer
    assert (answer["window"]["days"], answer["benchmark"]) == (7, "2021")


def test_every_setting_that_is_wrong_is_named_at_once_with_its_place_value_and_choices(compute: Compute) -> None:
    config = """
window: soon
timezone: Mars/Olympus
benchmark: 2020
failure-rules: [explicit, guess]
count-failed-runs: ture
exclude-bots: 1
lead-time-start: birth
incident-window: 24
hotfix-window: -1h
hotfix-labels: {a: b}
deployment-source: [moon]
report: dayly
windw: 7d
"""
    found = compute("--benchmark", "2025", config=config).problems
    told = "\n".join(found)
    for said in (
        "dora.yml: window: 'soon' is not a valid window",
        "dora.yml: timezone: 'Mars/Olympus' is not a known time zone",
        "--benchmark: '2025' is not one of '2019', '2021', '2022', '2023', '2024', 'none', 'custom'",
        "dora.yml: failure-rules: 'guess' is not one of 'explicit', 'rollback'",
        "dora.yml: count-failed-runs: 'ture' is not a boolean; write true or false",
        "dora.yml: exclude-bots: 1 is not a boolean",
        "dora.yml: lead-time-start: 'birth' is not one of",
        "dora.yml: incident-window: '24' is not a valid duration",
        "dora.yml: hotfix-window: '-1h' is not a valid duration",
        "dora.yml: hotfix-labels: expected a list",
        "dora.yml: deployment-source: 'moon' is not one of",
        "dora.yml: report: 'dayly' is not one of 'weekly', 'monthly', 'quarterly', 'off'",
        "dora.yml: windw: unknown setting; did you mean window?",
    ):
        assert said in told
    assert len(found) == 13


def test_settings_and_facts_need_not_be_wrong_together_to_be_told(compute: Compute) -> None:
    assert len(compute("--window", "soon", facts=b"nonsense").problems) == 1


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("window: [", "dora.yml:"),
        ("- window", "expected one `name: value` per line"),
        ("7d", "expected one `name: value` per line"),
        ("{1: 2}", "expected one `name: value` per line"),
        ("window: 7d\n\twindow: 8d", "not valid YAML"),
        ("a: &a [*a]", "an alias refers to a value that contains it"),
        ("window: !!python/object:os.system x", "not valid YAML"),
        ("benchmark: custom", "needs a `custom:` table"),
        ("custom: [1]", "custom"),
        ("custom: {lead_time: [[a, 6h]]}", "the last limit must be null, and only the last"),
        ("x: " + "[" * 5000, "dora.yml"),
        (b"\xff\xfe", "it is not UTF-8"),
        (b"window: \x00", "not valid YAML"),
    ],
)  # fmt: skip
def test_a_config_file_that_cannot_be_used_is_named(compute: Compute, config: str | bytes, said: str) -> None:
    found = compute(config=config).problems
    assert "dora.yml" in found[0]
    assert said in "\n".join(found)


@pytest.mark.parametrize("config", ["", "\n# nothing\n", "window:\n", "window: ''", "---\n", "\ufeffwindow: 30d"])
def test_a_config_file_may_say_nothing(compute: Compute, config: str) -> None:
    assert compute(config=config).answer["window"]["days"] == 30


def test_a_config_file_that_was_named_must_be_there(compute: Compute) -> None:
    assert compute("--config", str(compute.folder / "other.yml")).problems == [
        f"--config {compute.folder}/other.yml: there is no such file"
    ]
    assert "cannot be read" in compute("--config", str(compute.folder)).problems[0]


@pytest.mark.parametrize(
    ("config", "flags"),
    [
        ("hotfix-labels: [urgent, now]", ()),
        ('hotfix-labels: "urgent, now"', ()),
        ("hotfix-labels: |\n  urgent\n  now\n", ()),
        ("", ("--hotfix-labels", "urgent,now")),
        ("", ("--hotfix-labels", "urgent\nnow")),
        ("hotfix-labels: never", ("--hotfix-labels", " now , urgent ,")),
    ],
)
def test_a_list_is_the_same_in_every_form(compute: Compute, config: str, flags: tuple[str, ...]) -> None:
    """Trap 29."""
    facts = [deployment(1, "03-05"), deployment(2, "03-05T01:00", changes=[1]), change(1, labels=("urgent",))]
    answer = compute(*flags, facts=facts_file(*facts), config=config).answer
    assert answer["scopes"][0]["metrics"]["change_failure_rate"]["failed"] == 1


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("production-environments", "qa"),
        ("failure-rules", "explicit"),
        ("failure-rules", "none"),
        ("count-failed-runs", "true"),
        ("incident-window", "1m"),
        ("hotfix-window", "12w"),
        ("lead-time-start", "merged"),
        ("exclude-bots", "false"),
        ("benchmark", "none"),
        ("timezone", "Asia/Tokyo"),
    ],
)
def test_a_setting_is_the_same_as_a_flag_and_in_the_file(compute: Compute, setting: str, value: str) -> None:
    facts = facts_file(deployment(1), deployment(2, environment="qa"), incident(1))
    as_flag, in_file = compute(f"--{setting}", value, facts=facts), compute(facts=facts, config=f"{setting}: {value}")
    assert as_flag.code == in_file.code
    assert as_flag.out == in_file.out
    if as_flag.code == 0:
        assert as_flag.answer != {**compute(facts=facts).answer, "notes": []} or setting in (
            "lead-time-start",
            "exclude-bots",
        )


def test_explain_says_why_and_works_with_the_other_options(compute: Compute) -> None:
    facts = facts_file(deployment(1, version="v1"), incident(1))
    ran = compute("--explain", "v1", "--timezone", "Europe/Berlin", facts=facts)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("### Deployment `v1`: failed, rule `incident`\n\n`github:deployment:1`, commit")
    assert "it finished on 2024-03-05 13:00 Europe/Berlin" in ran.out
    assert "\n- `incident`: **yes; this rule decides:**" in ran.out
    off = compute("--explain", "#1", "--failure-rules", "explicit", facts=facts)
    assert "attributed to no deployment" in off.out
    assert "the rule `incident` is switched off" in off.out


def test_a_fact_of_a_renamed_repository_is_explained_by_its_former_id(compute: Compute) -> None:
    names = Repository(
        id="github:repository:1",
        repository="acme/store",
        observed_at=at("03-07"),
        names=("acme/shop", "acme/store"),
    )
    facts = facts_file(deployment(1), deployment(2, "03-06", changes=[1]), change(1), names)
    ran = compute("--explain", "github:pull:acme/shop#1", facts=facts)
    assert (ran.code, ran.err) == (0, "")
    assert "github:pull:acme/store#1" in ran.out


def test_what_is_not_known_cannot_be_explained_and_names_what_is_near(compute: Compute) -> None:
    assert compute("--explain", "v2", facts=facts_file(deployment(1, version="v1"))).problems == [
        "--explain: no deployment, change or incident is named 'v2'; did you mean v1?"
    ]
    assert compute("--explain", "").problems == [
        "--explain: no deployment, change or incident is named ''; give a version, #12, a commit or an id"
    ]
    (problem,) = compute("--explain", "a\n::error::b").problems
    assert "::error::" not in problem


def test_an_explanation_bears_hostile_texts(compute: Compute) -> None:
    facts = facts_file(
        deployment(0, "03-01"),
        deployment(1, version="`v1` | @octocat <script>", changes=[1]),
        change(1, title="<!-- @team --> [x](javascript:y) #12", url="javascript:alert(1)"),
        incident(1, title="<b>@all</b>", url="javascript:alert(1)"),
    )
    for name in ("github:deployment:1", "github:pull:acme/shop#1", "github:issue:acme/shop#1"):
        out = compute("--explain", name, facts=facts).out
        for bad in ("<script>", "<!-- @", "@octocat", "@team", "@all", "](javascript:alert"):
            assert bad not in out


def test_a_threshold_that_is_hit_is_told_beside_the_answer_and_fails_with_fail_on(compute: Compute) -> None:
    facts = facts_file(deployment(1), incident(1))
    ran = compute("--fail-on", "change_failure_rate > 0.5", "--warn-on", "lead_time > 1d", facts=facts)
    assert (ran.code, json.loads(ran.out)["scopes"][0]["metrics"]["change_failure_rate"]["ratio"]) == (1, 1)
    hit = "change failure rate is 100 % (1 of 1), above 50 % (change_failure_rate > 0.5)"
    reason = "the first recorded deployment is the baseline and has no lead time"
    assert ran.err.splitlines() == [
        f"dora-metrics: fail-on: {hit} in acme/shop, service shop, environment production",
        f"dora-metrics: threshold lead_time > 1d: not evaluated, {reason}",
    ]
    assert compute("--warn-on", "change_failure_rate > 0.5", facts=facts).code == 0


def test_a_custom_benchmark_comes_from_the_file(compute: Compute) -> None:
    config = "benchmark: custom\ncustom:\n  deployment_frequency: [[gold, 1], [iron, null]]\n"
    metrics = compute(config=config).answer["scopes"][0]["metrics"]
    assert (metrics["deployment_frequency"]["level"], metrics["change_failure_rate"]["level"]) == ("iron", None)


# The document


def test_the_answer_has_the_shape_of_the_contract(compute: Compute) -> None:
    facts = (deployment(0, "02-01"), deployment(1, changes=[1], commit_count=3), change(1), incident(1))
    answer = compute(facts=facts_file(*facts)).answer
    assert list(answer) == ["schema", "generated_at", "window", "timezone", "benchmark", "scopes", "notes"]
    assert (answer["schema"], answer["timezone"], answer["benchmark"]) == ("dora-metrics/1", "UTC", "2023")
    assert answer["window"] == {"from": "2024-03-02T00:00:00Z", "to": "2024-04-01T00:00:00Z", "days": 30}
    (scope,) = answer["scopes"]
    assert list(scope) == [
        "repository",
        "service",
        "environment",
        "metrics",
        "previous",
        "weeks",
        "evidence",
        "outlook",
    ]
    judged = {"interval95", "level", "level_span", "reason"}
    shapes = {
        "deployment_frequency": judged | {
            "deployments", "per_day", "per_week", "deployment_days", "median_deployment_days_per_week"
        },
        "lead_time": judged | {
            "changes", "p50_seconds", "p75_seconds", "p90_seconds", "p95_seconds", "mean_seconds", "stages", "excluded"
        },
        "change_failure_rate": judged | {"failed", "deployments", "ratio"},
        "recovery_time": judged | {"recovered", "open", "p50_seconds", "p90_seconds", "mean_seconds"},
        "rework_rate": judged | {"rework", "deployments", "ratio"},
        "incident_restore": {
            "incidents", "resolved", "open", "unmatched", "p50_seconds", "p90_seconds", "mean_seconds"
        },
        "pipeline": {"failed_runs", "recovery_p50_seconds"},
        "security": set(),
        "overall_level": {"level", "rests_on"},
    }  # fmt: skip
    assert {name: set(value) for name, value in scope["metrics"].items()} == shapes
    assert scope["previous"].keys() == scope["metrics"].keys()
    assert scope["metrics"]["lead_time"]["excluded"].keys() == {"first_deployment", "bots", "negative", "no_start"}
    assert set(scope["weeks"][0]) == {
        "week", "from", "to", "partial", "deployments", "deployment_days", "lead_time_p50_seconds",
        "change_failure_ratio", "recovery_p50_seconds", "rework_ratio", "incidents",
    }  # fmt: skip
    evidence = scope["evidence"]
    assert set(evidence["deployments"][0]) == {"deployment", "sha", "finished_at", "status", "commit_count", "changes"}
    assert set(evidence["failed_deployments"][0]) == {
        "deployment", "rule", "because", "url", "remediated_by", "recovered_at"
    }  # fmt: skip
    assert set(evidence["lead_times"][0]) == {"change", "deployment", "seconds"}
    assert {name: type(value) for name, value in scope["outlook"].items()} == {
        "trends": dict, "goals": list, "advice": list, "achievements": list, "remarks": list
    }  # fmt: skip


@pytest.mark.parametrize("form", ["markdown", "prometheus", "weekly"])
def test_the_other_formats_bear_hostile_facts(compute: Compute, form: str) -> None:
    hostile = {"service": "sh\nop|<b>@x", "repository": "acme/shop"}
    facts = (
        deployment(0, "03-01", **hostile),
        deployment(1, "03-05", version="`v1` | @octocat <script>", changes=[1], **hostile),
        change(1, title="::error::[x](javascript:y) #12"),
        incident(1, "03-05T01:00", title="<!-- @team -->", url="javascript:alert(1)", **hostile),
    )
    out = compute("--format", form, facts=facts_file(*facts))
    assert out.code == 0
    if form in ("markdown", "weekly"):
        for bad in ("<script>", "<!-- @", "@octocat", "@team", "](javascript:"):
            assert bad not in out.out


def test_no_setting_of_the_process_leaks_in(compute: Compute, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INPUT_WINDOW", "7d")
    monkeypatch.setenv("DORA_INPUTS", '{"window": "7d"}')
    assert compute().answer["window"]["days"] == 30


def test_a_reader_that_has_seen_enough_gets_no_traceback(tmp_path: Path) -> None:
    facts = ROOT / "src" / "dora_metrics" / "sample" / "ledger"
    command = f"{sys.executable} -m dora_metrics compute --facts {facts} | head -c 1"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "{"
    assert done.stderr == ""


# Reports


@pytest.mark.parametrize(
    ("kind", "title"), [("weekly", "week 13, 2024"), ("monthly", "March 2024"), ("quarterly", "Q1 2024")]
)
def test_the_report_that_is_due_is_printed_as_its_issue_would_be(compute: Compute, kind: str, title: str) -> None:
    ran = compute("--format", kind, now="2024-04-01T06:00:00Z")
    assert ran.out.startswith(f"# Delivery report · acme/shop · {title}\n\n<!-- dora-metrics:report {kind}:2024-")


def test_a_report_of_facts_that_are_long_over_is_empty(compute: Compute) -> None:
    assert compute("--format", "weekly", now="2025-04-01T06:00:00Z").out == ""


def test_a_template_of_ones_own_is_tried_without_github(compute: Compute, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(compute.folder)
    missing = compute("--format", "weekly", "--report-template", "mine.md.j2")
    assert (missing.code, missing.problems) == (2, ["report-template mine.md.j2 cannot be used: there is no such file"])
    (compute.folder / "mine.md.j2").write_text("{{ report.title }}!", "utf-8")
    assert "week 13, 2024!" in compute("--format", "weekly", "--report-template", "mine.md.j2").out
    (compute.folder / "mine.md.j2").write_text("{% endif %}", "utf-8")
    ran = compute("--format", "weekly", "--report-template", "mine.md.j2")
    assert ran.problems == ["report-template mine.md.j2 cannot be used: line 1: Encountered unknown tag 'endif'."]
    (compute.folder / "mine.md.j2").write_text("{{ 'x'|center(20000000000) }}", "utf-8")
    ran = compute("--format", "weekly", "--report-template", "mine.md.j2")
    assert ran.code == 2
    assert ran.problems == ["report-template mine.md.j2 cannot be used: it repeats without end (MemoryError)"]


def test_a_strangers_clone_writes_neither_a_link_nor_a_text_into_a_report(
    compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(compute.folder)
    (compute.folder / "t.md.j2").write_text("Hi @octocat", "utf-8")
    (compute.folder / ".github").mkdir()
    config = compute.folder / ".github" / "dora.yml"
    config.write_text("page-url: https://evil.example/phish\nreport-template: t.md.j2", "utf-8")
    ran = compute("--format", "weekly", names_config=False)
    assert "# Delivery report" in ran.out
    assert "evil.example" not in ran.out
    assert "@octocat" not in ran.out
    assert ran.err == (
        "dora-metrics: `page-url` and `report-template` of .github/dora.yml are not used, because the settings in this "
        "checkout are not trusted. Set an option, or name the file with --config\n"
    )
    assert "@octocat" in compute("--format", "weekly", "--config", str(config)).out
    options = ("--report-template", "t.md.j2", "--page-url", "https://evil.example/phish")
    named = compute("--format", "weekly", *options, names_config=False)
    assert ("@octocat" in named.out, named.err) == (True, "")
    assert compute("--format", "markdown", names_config=False).err == ""
