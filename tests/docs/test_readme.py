"""The README and the other pages agree with the program."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.resources import as_file, files
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import responses
import yaml

from dora_metrics.core import names
from dora_metrics.core.failures.judge import RULE_PRECEDENCE
from dora_metrics.core.reports import prometheus
from dora_metrics.core.shapes.shape import ShapedRequest
from dora_metrics.core.targets import benchmarks
from dora_metrics.pipeline.evaluate import cumulative_totals, evaluate, prometheus_families
from dora_metrics.settings.loading import Layer, load_settings
from dora_metrics.settings.model import NAMES, Settings
from dora_metrics.sinks.endpoint import Endpoint
from dora_metrics.sources import fact_files
from support.paths import ROOT
from support.tools import require_tool

README = (ROOT / "README.md").read_text("utf-8")
PROMETHEUS = (ROOT / "docs" / "prometheus.md").read_text("utf-8")
COMMANDS = (ROOT / "docs" / "command-line.md").read_text("utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
DEFINITIONS = (ROOT / "docs" / "definitions.md").read_text("utf-8")
ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "tests" / "README.md",
        ROOT / "examples" / "facts" / "README.md",
        ROOT / "monitoring" / "README.md",
    ]
)
EXAMPLES = sorted((ROOT / "examples").glob("*.yml"))
NOW = datetime(2026, 11, 21, 9, 5, tzinfo=UTC)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def table_rows(text: str, heading: str) -> list[list[str]]:
    """Cells of the first table after a text."""
    _, _, rest = text.partition(heading)
    table = re.search(r"(?:^\|.*\|\n)+", rest, flags=re.MULTILINE)
    assert table, heading
    return [re.split(r" *\| *", line.strip("| ")) for line in table[0].splitlines()[2:]]


# --- Length, quick start, commands ---

MAX_README_WORDS = 1300


def test_the_readme_can_be_read_in_five_minutes() -> None:
    assert len(README.split()) <= MAX_README_WORDS


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"]({name})" not in index and f"]({name}#" not in index} == set()


def assert_generated(text: str, expected: str) -> None:
    """A part of the README that is made from another file. `DORA_GOLDEN=write` writes it, like golden files."""
    if os.environ.get("DORA_GOLDEN") == "write":
        path = ROOT / "README.md"
        path.write_text(path.read_text("utf-8").replace(text, expected), "utf-8", newline="\n")
    else:
        assert text == expected


def test_the_quick_start_is_an_example_word_for_word() -> None:
    assert README.index("## Use it in a workflow") < README.index("```yaml")
    (block,) = code_blocks(README, "yaml")
    assert_generated(block, (ROOT / "examples" / "five-lines.yml").read_text("utf-8"))


@cache
def help_of(*command: str) -> str:
    """Help text of a command."""
    result = subprocess.run(
        [sys.executable, "-m", "dora_metrics", *command, "--help"],
        env={"PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout


def documented_commands() -> list[str]:
    return re.findall(r"^ {4}(\w+) {2,}\S", help_of(), flags=re.MULTILINE)


def test_every_command_is_mentioned() -> None:
    assert documented_commands()
    assert [name for name in documented_commands() if f"dora-metrics {name}" not in COMMANDS] == []


def test_every_option_that_is_no_setting_is_mentioned() -> None:
    texts = [help_of(), *(help_of(name) for name in documented_commands())]
    options = {option for text in texts for option in re.findall(r"(?<![\w-])--([a-z][\w-]*)", text)}
    missing = {name for name in options - set(NAMES) - {"help"} if f"--{name}" not in COMMANDS}
    assert missing == set()
    assert "--config" in COMMANDS  # a setting and an option


def test_the_limits_and_goals_that_are_shown_can_be_used() -> None:
    (shown,) = (block for block in code_blocks(DEFINITIONS, "yaml") if block.startswith("fail-on:"))
    found = load_settings([Layer("definitions", yaml.safe_load(shown))])
    assert found.fail_on == ("change_failure_rate > 0.15", "regression")
    assert [goal.metric for goal in found.policy.goals] == ["deployment_frequency", "lead_time"]


# --- Links, paths, examples of text ---


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_a_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there.read_text("utf-8")), target


@each_page
def test_a_module_that_is_named_exists(page: Path) -> None:
    package = ROOT / "src" / "dora_metrics"
    named = re.findall(
        r"`((?:(?:commands|core|github|pipeline|settings|sinks|sources|storage)/(?:\w+/)*)?\w+\.py)`",
        page.read_text("utf-8"),
    )
    assert [name for name in named if not (package / name).is_file() and not name.startswith("yaml")] == [
        name for name in named if name in ("support/tools.py", "support/web.py")
    ]


_NOT_FOR_READERS = re.compile(
    r"(?<![\w.])/(?:work|opt|home|root|tmp|Users|mnt)/|\b[A-Z]:\\\\"
    r"|pypi\.|pythonhosted|npmjs|index-url|registry=|docker\.io|ghcr\.io|localhost:\d",
)


@pytest.mark.parametrize("path", [*PAGES, *EXAMPLES], ids=lambda path: path.name)
def test_no_machine_and_no_package_registry_is_named(path: Path) -> None:
    assert [line for line in path.read_text("utf-8").splitlines() if _NOT_FOR_READERS.search(line)] == []


def test_the_fact_that_is_shown_is_one_of_the_demos() -> None:
    (shown,) = (block for block in code_blocks(ARCHITECTURE, "json") if '"kind":"deployment"' in block)
    month = files("dora_metrics") / "sample" / "ledger" / "facts" / "2026" / "11.jsonl"
    assert shown in month.read_text("utf-8")


@responses.activate
def test_the_check_of_the_signature_accepts_what_is_sent_and_nothing_else() -> None:
    responses.post("http://endpoint.example/")
    Endpoint("http://endpoint.example/", secret="secret").send(ShapedRequest(body=b'{"facts":[]}', key="k"))
    request: Any = responses.calls[0].request
    header, body = request.headers["X-Dora-Signature-256"], request.body

    (snippet,) = code_blocks((ROOT / "docs" / "endpoint.md").read_text("utf-8"), "python")
    names: dict[str, Any] = {}
    exec(snippet, names)
    assert names["is_genuine"]("secret", body, header)
    assert not names["is_genuine"]("secret", body + b" ", header)
    assert not names["is_genuine"]("other", body, header)
    assert not names["is_genuine"]("secret", body, None)


# --- Metrics for Prometheus ---


@cache
def sample_exposition() -> str:
    """Exposition text of the sample ledger, as a Pushgateway gets it."""
    with as_file(files("dora_metrics") / "sample" / "ledger") as ledger:
        facts = fact_files.read(str(ledger), BytesIO()).facts
    subject = evaluate(facts, Settings(), NOW)
    families = prometheus_families(subject, cumulative_totals(subject, facts), 1)
    return prometheus.exposition_text(families.identified_by("github:repository:1300192"))


def metric_rows() -> list[list[str]]:
    return table_rows(PROMETHEUS, "## Metrics")


def test_every_metric_is_in_the_table_with_its_type() -> None:
    said = [(row[0].strip("`"), row[1]) for row in metric_rows()]
    assert said == re.findall(r"^# TYPE (\S+) (\w+)$", sample_exposition(), flags=re.MULTILINE)


def test_every_label_is_in_the_table() -> None:
    scope = {"repository", "service", "environment"}
    for name, _, further, _ in metric_rows():
        bare = name.strip("`")
        found = re.findall(rf"^{bare}(?:_bucket)?(?:{{(.*?)}})? ", sample_exposition(), flags=re.MULTILINE)
        labels = {label for one in found for label in re.findall(r'(\w+)="', one)} - {"le"}
        said = set(re.findall(r"`(\w+)`", further))
        if found:
            assert labels == (said if re.search("only|none", further) else said | scope), bare


@pytest.mark.parametrize("text", [README, PROMETHEUS], ids=["README.md", "prometheus.md"])
def test_no_metric_is_named_that_is_not_exposed(text: str) -> None:
    known = {name for name, _ in re.findall(r"^# TYPE (\S+) (\w+)$", sample_exposition(), flags=re.MULTILINE)}
    named = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bdora_[a-z0-9_]+[a-z0-9]\b", text)}
    assert named - {"dora_metrics"} <= known


def test_the_readmes_queries_are_those_of_the_page() -> None:
    assert set(code_blocks(README, "promql")) <= set(code_blocks(PROMETHEUS, "promql"))


def test_prometheus_takes_the_queries_the_alerts_and_the_scrape_configuration(tmp_path: Path) -> None:
    promtool = str(require_tool("promtool"))
    recorded = [{"record": f"a:query{i}", "expr": query} for i, query in enumerate(code_blocks(PROMETHEUS, "promql"))]
    rules, scrape, alerts = (tmp_path / f"{name}.yml" for name in ("rules", "scrape", "alerts"))
    rules.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": recorded}]}), "utf-8")
    texts = {next(iter(yaml.safe_load(block))): block for block in code_blocks(PROMETHEUS, "yaml")}
    scrape_text, alerts_text = texts["scrape_configs"], texts["groups"]
    scrape.write_text(scrape_text, "utf-8")
    alerts.write_text(alerts_text, "utf-8")
    for command in (["rules", str(rules), str(alerts)], ["config", str(scrape)]):
        result = subprocess.run([promtool, "check", *command], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


# --- Definitions ---


def test_the_rules_are_told_in_the_order_in_which_they_hit() -> None:
    assert [row[0].strip("`") for row in table_rows(DEFINITIONS, "## What marks a deployment as failed")] == list(
        RULE_PRECEDENCE
    )


def test_the_levels_are_told_of_every_published_table() -> None:
    told = [row[0].partition("`,")[0].strip("`") for row in table_rows(DEFINITIONS, "## Levels")]
    assert tuple(told) == benchmarks.PUBLISHED_BENCHMARKS
    assert f"`{Settings().policy.benchmark.name}`, the default" in DEFINITIONS


def test_the_words_that_decide_are_listed_as_they_are() -> None:
    events = (ROOT / "docs" / "events.md").read_text("utf-8")
    production, workflow, prerelease, working_branch = table_rows(events, "## Words that decide")
    assert re.match(r"(.*?) \(", production[1])[1].split(", ") == list(names.PRODUCTION_NAMES)  # type: ignore[index]
    assert set(production[2].split(", ")) == names.NOT_PRODUCTION_WORDS
    assert set(workflow[1].partition(";")[0].split(", ")) == names.DEPLOY_WORDS
    assert set(workflow[2].partition(", and ")[2].split(", ")) == names.NOT_DEPLOY_WORDS - names.NOT_PRODUCTION_WORDS
    assert set(prerelease[1].partition(", and ")[0].split(", ")) == names.PRERELEASE_WORDS - names.NOT_PRODUCTION_WORDS
    assert set(working_branch[1].partition(", before")[0].split(", ")) == names.WORKING_BRANCH_WORDS
    prefixes = re.search(r"after `v`, ([^.]*?),\s+because", events, flags=re.DOTALL)
    assert prefixes
    assert set(re.findall(r"`(\w+)`", prefixes[1])) == names.NUMBER_PREFIXES - {""}
