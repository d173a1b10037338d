"""`--format text`: what a person at a terminal sees by default, and what programs get instead."""

import json
import os
import re
import subprocess
import sys
from io import BytesIO, StringIO
from pathlib import Path

import pytest

from dora_metrics import cli
from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.runtime import Runtime
from support.facts import at, deployment, incident
from support.git_repository import CLEAN_ENVIRONMENT, GitRepository, two_releases
from support.hostile_text import HOSTILE, assert_logs_nothing
from support.paths import ROOT
from support.runs import NOW, deployment_status, run_action

COMPUTE = ("compute", "--now", "2024-04-01T00:00:00Z")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def run(*arguments: str, stdout: StringIO | None = None, **environment: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    out, err = stdout or StringIO(), StringIO()
    runtime = Runtime({**CLEAN_ENVIRONMENT, **environment}, BytesIO(), out, err, at("04-01"), lambda _: None)
    code = cli.run(arguments, runtime)
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def facts(tmp_path: Path) -> str:
    path = tmp_path / "facts.jsonl"
    records = (deployment(1, version="v1"), deployment(2, "03-06", version="v2"), incident(9))
    path.write_bytes(b"".join(encode_fact(record) + b"\n" for record in records))
    return str(path)


def test_a_terminal_gets_text_and_a_file_gets_json(facts: str) -> None:
    _, out, _ = run(*COMPUTE, "--facts", facts)
    assert json.loads(out)["schema"] == "dora-metrics/1"
    _, out, _ = run(*COMPUTE, "--facts", facts, stdout=Terminal())
    assert out.startswith("\x1b[1macme/shop\x1b[0m · production · last 30 days")


def test_a_named_format_counts_everywhere(facts: str) -> None:
    _, out, _ = run(*COMPUTE, "--facts", facts, "--format", "text")
    assert out.startswith("acme/shop · production · last 30 days (2024-03-02 to 2024-03-31)\n")
    _, out, _ = run(*COMPUTE, "--facts", facts, "--format", "json", stdout=Terminal())
    assert json.loads(out)["schema"] == "dora-metrics/1"


def test_the_text_ends_with_how_to_go_on_and_where_the_page_is(facts: str, tmp_path: Path) -> None:
    page = tmp_path / "new" / "folder" / "index.html"
    code, out, err = run(*COMPUTE, "--facts", facts, "--format", "text", "--page-file", str(page), COLUMNS="200")
    assert (code, err) == (0, "")
    assert out.splitlines()[-2:] == ["  Explain  --explain v1 shows why it counts as failed", f"  Page     {page}"]
    html = page.read_text("utf-8")
    assert "<title>" in html
    assert '"in_ledger":false' in html


def test_with_json_the_place_of_the_page_goes_to_standard_error(facts: str, tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    _, out, err = run(*COMPUTE, "--facts", facts, "--page-file", str(page))
    assert json.loads(out)["scopes"]
    assert err == f"dora-metrics: page: {page}\n"


def test_a_page_that_cannot_be_written_is_an_error(facts: str, tmp_path: Path) -> None:
    code, out, err = run(*COMPUTE, "--facts", facts, "--page-file", str(tmp_path))
    assert (code, out) == (2, "")
    assert err == (
        f"dora-metrics: --page-file {tmp_path} cannot be written (Is a directory); choose a folder you can write to\n"
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_what_strangers_write_stays_text(text: str, tmp_path: Path) -> None:
    """Neither the service, a version nor a title moves the cursor or becomes a command."""
    path = tmp_path / "facts.jsonl"
    records = (deployment(1, version=text, service=text), incident(9, title=text, service=text))
    path.write_bytes(b"".join(encode_fact(record) + b"\n" for record in records))
    _, out, err = run(*COMPUTE, "--facts", str(path), stdout=Terminal(), COLUMNS="60")
    assert_logs_nothing(re.sub(r"\x1b\[\d+m", "", out) + err)


# Nothing to show


def test_an_empty_folder_has_no_scopes_and_says_so(tmp_path: Path) -> None:
    code, out, err = run(*COMPUTE, "--facts", str(tmp_path))
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["scopes"] == []
    (note,) = document["notes"]
    assert note.startswith(f"{tmp_path} has no *.jsonl file, so there are no facts. Pass the folder of a ledger; ")
    code, out, _ = run(*COMPUTE, "--facts", str(tmp_path), "--format", "text", COLUMNS="300")
    assert code == 0
    assert "No production deployment or incident is recorded." in out
    assert "has no *.jsonl file, so there are no facts" in out


def test_a_format_without_notes_says_it_on_standard_error(tmp_path: Path) -> None:
    code, out, err = run(*COMPUTE, "--facts", str(tmp_path), "--format", "prometheus")
    assert code == 0
    assert "dora_build_info" in out
    assert "has no *.jsonl file, so there are no facts" in err


# A git clone


@pytest.mark.parametrize("kind", ["weekly", "monthly", "quarterly"])
def test_a_period_without_an_active_scope_has_no_report_and_a_line_that_says_so(facts: str, kind: str) -> None:
    code, out, err = run("compute", "--facts", facts, "--now", "2026-04-01T00:00:00Z", "--format", kind)
    assert (code, out) == (0, "")
    (line,) = err.splitlines()
    assert line.startswith(
        f"dora-metrics: there is no {kind} report: no production deployment and no incident was recorded from "
    )
    assert line.endswith(" The last deployment before that was on 2024-03-06. Set --now to an earlier time")


def test_a_period_before_all_deployments_asks_for_a_later_time(facts: str) -> None:
    code, out, err = run("compute", "--facts", facts, "--now", "2020-04-01T00:00:00Z", "--format", "weekly")
    assert (code, out) == (0, "")
    assert err.splitlines()[0].endswith(" Set --now to a later time")


def test_a_clone_is_summarised_with_what_its_tags_were_read_as(tmp_path: Path) -> None:
    two_releases(repository := GitRepository.create(tmp_path / "shop"))
    repository.tag("latest", "main")
    arguments = ("report", "--git", str(repository.folder), "--now", "2024-04-01T00:00:00Z", "--window", "all")
    code, out, err = run(*arguments, "--format", "text")
    assert (code, err) == (0, "")
    heading, selection = "acme/shop · production · since 2024-03-01", "The repository has 3 tags, 2 of them versions."
    assert out.startswith(f"{heading}\n\n  {selection} Each of these is a deployment.")
    assert out.count(selection) == 1
    assert "0 of 2; a git history has no incidents\n" in out


# `sync` and `rebuild`


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    run_action(tmp_path, "deployment_status", deployment_status(1))
    return f"dir:{tmp_path / 'ledger'}"


def rebuild(ledger: str, *arguments: str, stdout: StringIO | None = None) -> tuple[int, str, str]:
    return run("rebuild", "--ledger", ledger, "--now", f"{NOW:%Y-%m-%dT%H:%M:%SZ}", *arguments, stdout=stdout)


def test_a_rebuild_shows_text_on_a_terminal_and_markdown_elsewhere(ledger: str) -> None:
    assert "| Deployment frequency |" in rebuild(ledger)[1]
    code, out, _ = rebuild(ledger, stdout=Terminal())
    assert code == 0
    assert "\n\x1b[1macme/shop\x1b[0m · production" in out
    assert "| Deployment frequency |" not in out


def test_a_rebuild_prints_json_alone_and_its_log_on_standard_error(ledger: str) -> None:
    code, out, err = rebuild(ledger, "--format", "json")
    assert code == 0
    assert json.loads(out)["scopes"][0]["repository"] == "acme/shop"
    assert "ledger" in err


def test_outside_of_a_workflow_a_warning_is_a_plain_line(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("no folder", "utf-8")
    code, out, err = rebuild(f"dir:{tmp_path / 'ledger'}")
    assert code != 0
    assert "dora-metrics: warning: ledger: " in out + err
    assert "::" not in out + err


def test_a_sync_without_a_token_says_what_to_set() -> None:
    code, out, err = run("sync", "--repository", "acme/shop", "--ledger", "dir:ledger")
    assert code == 2
    assert (out + err).splitlines() == [
        (
            "dora-metrics: sync: GITHUB_TOKEN is not set. Set it to a token that can read the "
            "repository and, for a ledger on a branch, write to it. For example: GITHUB_TOKEN=$(gh auth token)."
        )
    ]


def test_a_sync_without_token_and_repository_names_both() -> None:
    code, out, err = run("sync", "--ledger", "dir:ledger")
    assert code == 2
    assert [line[:51] for line in (out + err).splitlines()] == [
        "dora-metrics: sync: GITHUB_TOKEN is not set. Set it",
        "dora-metrics: sync: the repository is not set. Pass",
    ]
    assert "the repository is not set" not in run("sync", "--repositories", "acme/*")[2]
    code, out, err = run("sync", GITHUB_TOKEN="ghs_x")
    problem = "sync: the repository is not set. Pass --repository OWNER/NAME, or --repositories for several."
    assert (code, out + err) == (2, f"dora-metrics: {problem}\n")


def test_a_sync_with_a_token_and_a_wrong_setting_names_the_setting() -> None:
    code, out, err = run("sync", "--repository", "acme/shop", "--ledger", "ftp:x", GITHUB_TOKEN="ghs_x")
    assert code == 2
    assert "'ftp:x'" in out + err
    assert "GITHUB_TOKEN" not in out + err


@pytest.mark.parametrize("command", ["sync", "rebuild"])
@pytest.mark.parametrize("name", ["foo", "", "../x", "acme/shop/web"])
def test_a_repository_that_is_not_owner_and_name_is_an_error(command: str, name: str) -> None:
    assert run(command, "--repository", name, GITHUB_TOKEN="ghs_x") == (
        2,
        "",
        f"dora-metrics: --repository {name!r} is not OWNER/NAME\n",
    )


def test_the_demo_shows_text_on_a_terminal_and_the_job_summary_elsewhere(tmp_path: Path) -> None:
    _, out, _ = run("demo", "--output", str(tmp_path / "demo"), stdout=Terminal(), NO_COLOR="1")
    assert out.startswith("acme/shop · production · last 30 days (2026-10-22 to 2026-11-21)\n")
    assert f"{tmp_path / 'demo'}/summary.md  the job summary (Markdown, which GitHub renders)\n" in out
    _, out, _ = run("demo", "--output", str(tmp_path / "demo"))
    assert "| Deployment frequency |" in out


def test_a_demo_that_cannot_write_says_so_in_two_lines(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    output = tmp_path / "file" / "demo"
    code, out, err = run("demo", "--output", str(output))
    assert (code, out) == (2, "")
    first, second = err.splitlines()
    assert first.startswith(f"dora-metrics: demo: {output} cannot be written (")
    assert second == "dora-metrics: pass another folder with --output"


# A real terminal


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_a_real_terminal_gets_colours_in_its_width(facts: str, tmp_path: Path) -> None:
    import pty  # noqa: PLC0415 - not everywhere

    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "dora_metrics", *COMPUTE, "--facts", facts]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "TERM": "xterm", "COLUMNS": "60"}
    subprocess.run(command, stdout=follower, check=True, cwd=tmp_path, env=environment)
    os.close(follower)
    output = os.read(leader, 100_000).decode()
    os.close(leader)
    assert "\x1b[1macme/shop\x1b[0m" in output
    plain = re.sub(r"\x1b\[\d+m", "", output).replace("\r", "")
    assert max(map(len, plain.splitlines())) <= 60
    assert "Recovery time" in plain
