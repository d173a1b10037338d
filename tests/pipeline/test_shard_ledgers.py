"""A run over the ledgers of shards shows what one ledger with all their facts would show."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from msgspec.structs import replace

from dora_metrics import cli
from dora_metrics.core.cursors import Cursor, encode_cursors
from dora_metrics.core.facts.model import Deployment, Fact, Repository
from dora_metrics.core.ledger.layout import CURSORS_FILE, REPORTS_FILE
from dora_metrics.runtime import Runtime
from dora_metrics.settings.model import Settings
from fakes.github import FakeGitHub
from fakes.records import Issue
from support.branch_shop import BranchShop
from support.facts import at
from support.runs import NOW, ActionRun, check_out, deployment_status, run_action
from support.servers import listen
from support.shard_ledgers import (
    files_in,
    ledger_files,
    organisation_facts,
    run_in,
    shard_of,
    show_all,
    show_one,
    shown,
    shown_on,
    write_ledger,
    write_shards,
)
from support.sink_payloads import NOW as RUN_TIME
from support.sink_payloads import deployment

DAY = timedelta(days=1)

PUSHED_BY_SHARDS = "the runs that write the `shard-ledgers` send the series of their scopes, so this run sends none"
MISSING = (
    "shard ledger could not be read: {}. All repositories there are missing from the numbers, which does not mean that "
    "nothing happened in them."
)


@pytest.fixture(scope="module")
def facts() -> list[Fact]:
    return list(organisation_facts())


def notes_in(root: Path) -> list[str]:
    notes: list[str] = json.loads((root / "metrics.json").read_bytes())["notes"]
    return notes


def repositories_in(root: Path) -> set[str]:
    return {scope["repository"] for scope in json.loads((root / "metrics.json").read_bytes())["scopes"]}


def repositories_of(facts: list[Fact], shards: int, *numbers: int) -> set[str]:
    """The repositories of these shards of so many, each counted from 1."""
    return {fact.repository for fact in facts if shard_of(fact, shards) + 1 in numbers}


# What is shown


@pytest.mark.parametrize("shards", [1, 3, 10])
def test_shards_show_what_one_ledger_shows(tmp_path: Path, facts: list[Fact], shards: int) -> None:
    """Page, numbers, evidence, history, badges, the text for Prometheus, and the outputs of the step."""
    alone = show_one(tmp_path, facts)
    ledgers = write_shards(tmp_path, facts, shards)
    before = {name: files_in(tmp_path / name.removeprefix("dir:")) for name in ledgers}
    ran = show_all(tmp_path, ledgers)
    assert ran.code == alone.code == 0
    assert shown(tmp_path / "all") == shown(tmp_path / "one")
    assert {**ran.outputs, "page-path": ""} == {**alone.outputs, "page-path": ""}
    assert {name: files_in(tmp_path / name.removeprefix("dir:")) for name in ledgers} == before


def test_the_run_keeps_no_fact_of_a_shard(tmp_path: Path, facts: list[Fact]) -> None:
    show_all(tmp_path, write_shards(tmp_path, facts, 3))
    assert not (tmp_path / "all" / "facts").exists()
    assert not (tmp_path / "all" / "checkpoint.json").exists()
    ran = run_in(tmp_path, "deployment_status", deployment_status(), ledger="dir:all")
    assert {scope["repository"] for scope in json.loads(ran.outputs["metrics"])["scopes"]} == {"acme/shop"}


def test_the_own_ledger_counts_too(tmp_path: Path, facts: list[Fact]) -> None:
    own = [fact for fact in facts if shard_of(fact, 3) == 0]
    ledgers = write_shards(tmp_path, facts, 3)
    write_ledger(tmp_path / "all", own)
    show_one(tmp_path, facts)
    show_all(tmp_path, ledgers[1:])
    assert shown(tmp_path / "all") == shown(tmp_path / "one")


@pytest.mark.parametrize("shards", [3, 10])
def test_a_report_over_shards_is_that_of_one_ledger(tmp_path: Path, facts: list[Fact], shards: int) -> None:
    alone = issue_of(lambda **access: show_one(tmp_path, facts, **access))
    ledgers = write_shards(tmp_path, facts, shards)
    over_all = issue_of(lambda **access: show_all(tmp_path, ledgers, **access))
    assert over_all.title == alone.title
    marker, text = over_all.body.split("\n", 1)
    marker_of_one, text_of_one = alone.body.split("\n", 1)
    assert text == text_of_one
    assert marker != marker_of_one, "two ledgers have two reports"
    assert over_all.title.startswith("Delivery report · acme · ")
    claims = [(tmp_path / folder / REPORTS_FILE).exists() for folder in ("all", "one", f"shard-1of{shards}")]
    assert claims == [True, True, False]


def issue_of(show: Callable[..., ActionRun]) -> Issue:
    """The issue that a run in acme/metrics files."""
    with FakeGitHub(now=lambda: NOW) as github:
        repository = github.repository("acme/metrics", empty=True)
        repository.commit({"README.md": "Metrics"}, message="Begin")
        environment = {"GITHUB_API_URL": github.api_url, "GITHUB_REPOSITORY": "acme/metrics"}
        show(environment=environment, mode="report", report="weekly", github_token=github.token)
        (issue,) = repository.records_of(Issue)
        return issue


def test_thresholds_and_summary_are_about_all_shards(tmp_path: Path, facts: list[Fact]) -> None:
    inputs = {"fail-on": "deployment_frequency < 1000/d"}
    alone = show_one(tmp_path, facts, **inputs)
    ran = show_all(tmp_path, write_shards(tmp_path, facts, 3), **inputs)
    assert ran.code == alone.code == 1
    assert ran.outputs["violations"] == alone.outputs["violations"]
    assert "shard ledgers: 3 read" in ran.log


# What is missing


def test_a_shard_without_a_ledger_is_named_and_the_others_count(tmp_path: Path, facts: list[Fact]) -> None:
    ledgers = write_shards(tmp_path, facts, 3)
    ran = show_all(tmp_path, [ledgers[0], "dir:shard-2", ledgers[2]])
    assert ran.code == 0
    assert notes_in(tmp_path / "all")[0] == "1 " + MISSING.format("dir:shard-2")
    assert repositories_in(tmp_path / "all") == repositories_of(facts, 3, 1, 3)
    assert f'<p class="notice">1 {MISSING.format("dir:shard-2")}</p>' in (tmp_path / "all" / "index.html").read_text(
        "utf-8"
    )
    assert MISSING.format("dir:shard-2") in ran.summary
    assert "::warning title=dora-metrics%3A shard ledger::" in ran.log
    assert "there is no ledger. Its name may be wrong, or the shard's first sync has not ended yet" in ran.summary


def test_with_strict_a_shard_that_cannot_be_read_fails_the_job(tmp_path: Path) -> None:
    assert show_all(tmp_path, ["dir:shard-1"], strict="true").code == 1


def test_a_folder_with_other_files_is_no_shard(tmp_path: Path, facts: list[Fact]) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("Hello", "utf-8")
    ran = show_all(tmp_path, [*write_shards(tmp_path, facts, 1), "dir:docs"])
    assert "holds other files than a ledger. Write the name of the shard's ledger in `shard-ledgers`" in ran.summary
    assert files_in(tmp_path / "docs") == {"index.md": b"Hello"}


def test_facts_of_a_newer_version_are_counted_in_a_warning(tmp_path: Path, facts: list[Fact]) -> None:
    ledgers = write_shards(tmp_path, facts, 3)
    path = tmp_path / "shard-2of3" / "facts" / "2026" / "11.jsonl"
    newer = b'{"kind":"rollout","id":"x:1","v":2}\n{"kind":"deployment","id":"x:2","v":2,"finished_at":{}}\n'
    path.write_bytes(path.read_bytes() + newer + b"not a fact\n")
    show_one(tmp_path, facts)
    ran = show_all(tmp_path, ledgers)
    assert "2 facts are of a newer version of dora-metrics, so the numbers lack them. Use the same" in ran.summary
    assert "1 line is not valid, so the numbers lack them. The shard's next sync sets them aside" in ran.summary
    assert shown(tmp_path / "all") == shown(tmp_path / "one")


def test_what_a_shard_could_not_read_is_unread_here_too(tmp_path: Path, facts: list[Fact]) -> None:
    ledgers = write_shards(tmp_path, facts, 3)
    cursors = {"acme/service-1": {"dependabot": Cursor(refused="403 Forbidden", refused_at=at("2026-11-20"))}}
    (tmp_path / "shard-3of3" / CURSORS_FILE).write_bytes(encode_cursors(cursors))
    show_all(tmp_path, ledgers)
    (note,) = (each for each in notes_in(tmp_path / "all") if "which does not mean zero" in each)
    assert "acme/service-1" in note


def test_an_unread_shard_makes_no_counter_fall(tmp_path: Path, facts: list[Fact]) -> None:
    ledgers = write_shards(tmp_path, facts, 3)
    show_all(tmp_path, ledgers)
    before = counters(tmp_path / "all")
    show_all(tmp_path, [*ledgers[:2], "dir:gone"])
    after = counters(tmp_path / "all")
    assert after.keys() == before.keys()
    assert [series for series, value in before.items() if after[series] < value] == []


def repository(number: int, name: str, days_ago: float) -> Repository:
    time = RUN_TIME - days_ago * DAY
    return Repository(
        id=f"github:repository:{number}", repository=name, observed_at=time, names=(name,), seen_at=(time,)
    )


def deployments_of(name: str, numbers: range) -> Iterator[Deployment]:
    """Deployments, the later the higher their number; the last one of 99 was today."""
    return (deployment(each, 99 - each, repository=name, service=name.removeprefix("acme/")) for each in numbers)


def write_shards_of_renamed_repository(folder: Path) -> list[str]:
    """Write three shards: what acme/api was, its present one as acme/core, and one with a new acme/api."""
    write_ledger(folder / "former", [repository(7, "acme/api", 60), *deployments_of("acme/api", range(50, 70))])
    write_ledger(folder / "present", [repository(7, "acme/core", 20), *deployments_of("acme/core", range(60, 70))])
    write_ledger(folder / "new", [repository(8, "acme/api", 5), *deployments_of("acme/api", range(95, 98))])
    return ["dir:former", "dir:present", "dir:new"]


def deployment_counts(root: Path) -> dict[str, float]:
    """The counter of the deployments, by repository."""
    counts = ((re.search('repository="(.*?)"', series), value) for series, value in counters(root).items()
              if series.startswith("dora_deployments_total") and 'source="deployments"' in series)  # fmt: skip
    return {match[1]: value for match, value in counts if match}


def test_of_a_renamed_repository_an_unread_shard_resets_no_counter(tmp_path: Path) -> None:
    """Only the former shard knows that acme/core was acme/api: the run's own ledger keeps that."""
    ledgers = write_shards_of_renamed_repository(tmp_path)
    expected = {"acme/api": 3, "acme/core": 20}
    show_all(tmp_path, ledgers)
    assert deployment_counts(tmp_path / "all") == expected
    (tmp_path / "former").rename(tmp_path / "away")
    show_all(tmp_path, ledgers)
    assert deployment_counts(tmp_path / "all") == expected
    show_all(tmp_path, ["dir:present", "dir:new"])
    assert deployment_counts(tmp_path / "all") == expected
    (tmp_path / "away").rename(tmp_path / "former")
    show_all(tmp_path, ledgers)
    assert deployment_counts(tmp_path / "all") == expected


def test_names_of_repositories_are_kept_once(tmp_path: Path) -> None:
    ledgers = write_shards_of_renamed_repository(tmp_path)
    show_all(tmp_path, ledgers)
    kept = files_in(tmp_path / "all" / "facts")
    assert sum(content.count(b'"kind":"repository"') for content in kept.values()) == 2
    show_all(tmp_path, ledgers)
    assert files_in(tmp_path / "all" / "facts") == kept


def counters(root: Path) -> dict[str, float]:
    lines = (root / "metrics.prom").read_text("utf-8").splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if "_total{" in line)
    return {series: float(value) for series, value in pairs}


def test_what_a_shard_has_counted_before_does_not_fall(tmp_path: Path, facts: list[Fact]) -> None:
    """The high-water marks of a shard, as those of the ledger itself would."""
    (ledger,) = write_shards(tmp_path, facts, 1)
    run_in(tmp_path, "workflow_dispatch", {"inputs": {}}, mode="rebuild", ledger=ledger)
    before = counters(tmp_path / "shard-1of1")
    write_ledger(tmp_path / "shard-1of1", [replace(fact, retracted=True) for fact in facts])
    show_all(tmp_path, [ledger])
    assert counters(tmp_path / "all") == before
    assert max(before.values()) > 0


# Which ledgers


def test_the_same_ledger_twice_and_the_own_one_are_read_once(tmp_path: Path, facts: list[Fact]) -> None:
    ledgers = write_shards(tmp_path, facts, 3)
    show_one(tmp_path, facts)
    ran = show_all(tmp_path, [*ledgers, "dir:./shard-1of3", f"dir:{tmp_path}/shard-2of3"], ledger=ledgers[2])
    assert ran.code == 0
    assert "dir:shard-3of3 is read once: it is this run's own ledger" in ran.log
    assert "dir:./shard-1of3 is read once: it is listed twice" in ran.log
    assert shown(tmp_path / "shard-3of3") == shown(tmp_path / "one")


@pytest.mark.parametrize("value", ["none", "dir:shard-1, none", "shard-1", "branch:x@acme", ["dir:a", "branch:"]])
def test_what_is_no_ledger_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(ValueError, match="write branch:NAME, branch:NAME@owner/repo"):
        Settings.model_validate({"shard-ledgers": value})
    assert show_all(tmp_path, [value] if isinstance(value, str) else [str(each) for each in value]).code == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("mode", ["auto", "sync"])
def test_a_run_that_records_ignores_other_ledgers_and_says_so(tmp_path: Path, facts: list[Fact], mode: str) -> None:
    ledgers = ", ".join(write_shards(tmp_path, facts, 1))
    inputs = {"ledger": "dir:own", "mode": mode, "environment": "production", "shard-ledgers": ledgers}
    ran = run_action(tmp_path, "push", {}, inputs)
    assert "shard-ledgers: not read: only `mode: report` and `mode: rebuild` show other ledgers" in ran.log
    assert "acme/service" not in ran.summary


def test_a_person_can_show_shards_in_a_new_folder(tmp_path: Path, facts: list[Fact]) -> None:
    ledgers = write_shards(tmp_path, facts, 3)
    printed = StringIO()
    runtime = Runtime({"GITHUB_WORKSPACE": str(tmp_path)}, BytesIO(), printed, StringIO(), NOW, lambda _: None)
    arguments = ["rebuild", "--ledger", "dir:all", "--shard-ledgers", ", ".join(ledgers)]
    assert cli.run(arguments, runtime) == 0
    assert "acme/service-1" in printed.getvalue()
    show_one(tmp_path, facts)
    assert shown(tmp_path / "all") == shown(tmp_path / "one")


# Sinks


def test_only_the_shards_push_their_series(tmp_path: Path, facts: list[Fact]) -> None:
    ledgers = write_shards(tmp_path, facts, 3)
    with listen() as gateway:
        ran = show_all(tmp_path, ledgers, **{"pushgateway-url": gateway.url, "remote-write-url": gateway.url})
    assert gateway.requests == []
    assert f"Pushgateway: {PUSHED_BY_SHARDS}" in ran.log
    assert f"remote write: {PUSHED_BY_SHARDS}" in ran.log


# On GitHub


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[BranchShop]:
    with FakeGitHub(now=lambda: NOW) as github:
        yield BranchShop(github, tmp_path)


def put_on_branch(shop: BranchShop, branch: str, facts: list[Fact]) -> None:
    shop.repository.commit(ledger_files(facts), message="A shard", branch=branch, parents=[])


def heads_of_shards(shop: BranchShop) -> list[str | None]:
    return [shop.repository.head(f"dora-metrics-{number}of3") for number in (1, 2, 3)]


def test_shards_on_branches(metrics: BranchShop, facts: list[Fact]) -> None:
    """Each is read and left as it is; the run writes its own branch."""
    own = [[fact for fact in facts if shard_of(fact, 3) == number] for number in range(3)]
    for number, shard in enumerate(own, 1):
        put_on_branch(metrics, f"dora-metrics-{number}of3", shard)
    heads = heads_of_shards(metrics)
    names = (
        "dora-metrics-1of3",
        "dora-metrics-2of3@acme/shop",
        "dora-metrics-3of3@Acme/Shop",
        "dora-metrics-1of3@acme/shop",
    )
    inputs = {"mode": "rebuild", "shard-ledgers": ", ".join(f"branch:{name}" for name in names)}
    ran = metrics.run_event("workflow_dispatch", {"inputs": {}}, inputs)
    assert ran.code == 0
    assert "branch:dora-metrics-1of3@acme/shop is read once: it is listed twice" in ran.log
    assert heads_of_shards(metrics) == heads
    show_one(metrics.folder, facts)
    page = metrics.read("index.html") or b""
    assert shown_on(page) == shown_on((metrics.folder / "one" / "index.html").read_bytes())
    assert b"The facts are in the ledgers of the shards." in page


def test_a_repository_that_the_token_cannot_read_is_unread(metrics: BranchShop, facts: list[Fact]) -> None:
    put_on_branch(metrics, "dora-metrics-1of1", facts)
    shards = "branch:dora-metrics-1of1, branch:dora-metrics@other/secret"
    ran = metrics.run_event("workflow_dispatch", {"inputs": {}}, {"mode": "rebuild", "shard-ledgers": shards})
    assert ran.code == 0
    (note,) = (each for each in json.loads(ran.outputs["metrics"])["notes"] if "shard ledger" in each)
    assert note == "1 " + MISSING.format("branch:dora-metrics@other/secret")
    assert "check the name, and that the token can read that repository" in ran.log
    assert "acme/service-1" in ran.summary


# Who may name them

UNCONFIRMED = (
    ".github/dora.yml: shard-ledgers: ledgers outside the workspace, in another repository or on another branch are "
    "not read: `shard-ledgers` is in the checkout's .github/dora.yml, but not with this value on the default branch."
)


def test_a_checkouts_file_names_no_ledger_elsewhere(metrics: BranchShop, facts: list[Fact]) -> None:
    put_on_branch(metrics, "secret", facts)
    workspace = {".github/dora.yml": "shard-ledgers: branch:secret"}
    ran = metrics.run_event("workflow_dispatch", {"inputs": {}}, {"mode": "rebuild"}, workspace=workspace)
    assert ran.code == 2
    assert UNCONFIRMED in ran.log
    metrics.repository.commit(workspace, message="Configure")
    ran = metrics.run_event("workflow_dispatch", {"inputs": {}}, {"mode": "rebuild"}, workspace=workspace)
    assert ran.code == 0
    assert "acme/service-1" in ran.summary


def test_a_checkouts_file_names_no_folder_outside_the_workspace(tmp_path: Path, facts: list[Fact]) -> None:
    workspace = tmp_path / "workspace"
    write_ledger(tmp_path / "outside", facts)
    write_ledger(workspace / "inside", facts)
    check_out(workspace, {".github/dora.yml": f"shard-ledgers: [dir:{tmp_path}/outside]"})
    ran = run_action(workspace, "workflow_dispatch", {"inputs": {}}, {"mode": "rebuild"})
    assert ran.code == 2
    assert "there is no `github-token` to compare it with" in ran.log
    check_out(workspace, {".github/dora.yml": "shard-ledgers: [dir:inside]"})
    ran = run_action(workspace, "workflow_dispatch", {"inputs": {}}, {"mode": "rebuild"})
    assert ran.code == 0
    assert "acme/service-1" in ran.summary
