"""`dora-metrics rebuild`: derive everything again from all facts of a ledger."""

import json
from io import BytesIO, StringIO
from pathlib import Path

import pytest

from dora_metrics import cli
from dora_metrics.runtime import Runtime
from fakes.github import FakeGitHub
from support.runs import NOW, check_out, deployment_status, run_action


def rebuild(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Exit code and output of the command."""
    out = StringIO()
    world = Runtime(environment, BytesIO(), out, out, NOW, lambda _: None)
    return cli.run(["rebuild", *arguments], world), out.getvalue()


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    for number in (1, 2):
        run_action(tmp_path, "deployment_status", deployment_status(number))
    return tmp_path / "ledger"


def scopes_shown(ledger: Path) -> object:
    return json.loads((ledger / "metrics.json").read_text("utf-8"))["scopes"]


def test_lost_derived_files_come_back_as_they_were(ledger: Path) -> None:
    before = scopes_shown(ledger)
    for name in ("metrics.json", "metrics.prom"):
        (ledger / name).unlink()
    code, said = rebuild({}, "--ledger", f"dir:{ledger}")
    assert code == 0
    assert "acme/shop" in said
    assert scopes_shown(ledger) == before
    assert (ledger / "metrics.prom").exists()


def test_no_fact_changes(ledger: Path) -> None:
    facts = {path: path.read_bytes() for path in ledger.rglob("*.jsonl")}
    rebuild({}, "--ledger", f"dir:{ledger}")
    assert {path: path.read_bytes() for path in ledger.rglob("*.jsonl")} == facts


def test_the_teams_of_the_file_reach_the_summary_and_every_file_with_numbers(ledger: Path) -> None:
    facts = {path: path.read_bytes() for path in ledger.rglob("facts/**/*.jsonl")}
    for team in ("pay", "payments"):
        check_out(ledger.parent, {".github/dora.yml": f"teams: {{{team}: ACME/sh*}}"})
        ran = run_action(ledger.parent, "workflow_dispatch", {"inputs": {}}, {"mode": "rebuild"})
        assert f"| {team} | 1 | 2 in 30 days |" in ran.summary
        files = {name: (ledger / name).read_text("utf-8") for name in ("metrics.json", "metrics.prom", "index.html")}
        assert f'"team":"{team}"' in files["metrics.json"]
        assert f'"team":"{team}"' in files["index.html"]
        assert (
            f'dora_rework_ratio{{environment="production",repository="acme/shop",service="shop",team="{team}"'
            in (files["metrics.prom"])
        )
        assert team == "pay" or 'team="pay"' not in files["metrics.prom"]
    assert {path: path.read_bytes() for path in ledger.rglob("facts/**/*.jsonl")} == facts


def test_a_team_for_every_series_and_one_for_each_scope_contradict_each_other(ledger: Path) -> None:
    check_out(ledger.parent, {".github/dora.yml": "teams: {pay: acme/*}"})
    ran = run_action(ledger.parent, "workflow_dispatch", {"inputs": {}}, {"mode": "rebuild", "labels": "team: web"})
    assert ran.code == 2
    assert "input labels: team is the label that `teams` sets, from the scope of each series" in ran.log


def test_a_flag_wins_even_where_it_says_the_default(ledger: Path) -> None:
    config = ledger.parent / "dora.yml"
    config.write_text("window: 7d", "utf-8")
    for arguments, days in (([], 7), (["--window", "30d"], 30)):
        rebuild({}, "--ledger", f"dir:{ledger}", "--config", str(config), *arguments)
        assert json.loads((ledger / "metrics.json").read_text("utf-8"))["window"]["days"] == days


def test_the_heading_says_that_numbers_were_computed_again_only_if_facts_were_read(ledger: Path) -> None:
    rebuilt = "Rebuilt: all numbers were computed again from the ledger"
    assert rebuilt in rebuild({}, "--ledger", f"dir:{ledger}")[1]
    empty = ledger.parent / "empty"
    empty.mkdir()
    said = rebuild({}, "--ledger", f"dir:{empty}")[1]
    assert "The ledger has no facts" in said
    assert rebuilt not in said


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    code, said = rebuild({}, "--ledger", f"dir:{tmp_path}/nope")
    assert code == 2
    problem = f"dir:{tmp_path}/nope: there is no ledger. 'dora-metrics sync --ledger dir:{tmp_path}/nope' creates"
    assert problem in said
    assert not (tmp_path / "nope").exists()


def test_a_branch_needs_a_token_and_its_repository(tmp_path: Path) -> None:
    workspace = {"GITHUB_WORKSPACE": str(tmp_path)}
    code, said = rebuild(workspace)
    assert (code, "GITHUB_TOKEN is not set, so the ledger's branch cannot be read." in said) == (2, True)
    assert "--repository OWNER/NAME" in said
    code, said = rebuild({**workspace, "GITHUB_TOKEN": "ghs_x"})
    assert (code, "--repository OWNER/NAME" in said) == (2, True)


def test_a_branch_is_rebuilt(tmp_path: Path) -> None:
    with FakeGitHub() as github:
        repository = github.repository("acme/shop")
        repository.commit({"a": "1"}, message="Begin")
        given = {"ledger": "branch:dora-metrics", "github-token": github.token}
        url = {"GITHUB_API_URL": github.api_url}
        run_action(tmp_path, "deployment_status", deployment_status(1), given, environment=url)
        repository.commit({"metrics.json": "{}"}, message="By hand", branch="dora-metrics")
        environment = {**url, "GITHUB_TOKEN": github.token, "GITHUB_WORKSPACE": str(tmp_path)}
        code, _ = rebuild(environment, "--repository", "acme/shop")
        document = json.loads(repository.read("metrics.json", "dora-metrics") or b"")
    assert code == 0
    assert document["scopes"][0]["repository"] == "acme/shop"


def test_wrong_flags_are_all_told(tmp_path: Path) -> None:
    code, said = rebuild({"GITHUB_WORKSPACE": str(tmp_path)}, "--window", "soon", "--benchmark", "2020")
    assert code == 2
    assert "--window: 'soon' is not a valid window" in said
    assert "--benchmark: '2020'" in said
