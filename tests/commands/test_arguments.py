"""Arguments of the command line: what each command's help lists, and errors of two lines."""

import json
import re
import subprocess
import sys
from functools import cache
from importlib.resources import files
from io import BytesIO, StringIO
from pathlib import Path

import pytest

from dora_metrics import cli
from dora_metrics.runtime import Runtime
from dora_metrics.settings.flags import HEADINGS, OWN_OPTIONS, flags_of, flags_without_effect
from dora_metrics.settings.model import FLAGS
from support.facts import at
from support.git_repository import CLEAN_ENVIRONMENT
from support.paths import ROOT

SAMPLE = ("compute", "--facts", str(files("dora_metrics") / "sample"), "--now", "2026-11-21T09:05:00Z")


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    out, err = StringIO(), StringIO()
    code = cli.run(arguments, Runtime({}, BytesIO(), out, err, at("04-01"), lambda _: None))
    return code, out.getvalue(), err.getvalue()


@cache
def help_of(command: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "dora_metrics", command, "--help"],
        env={"PYTHONPATH": str(ROOT / "src"), "COLUMNS": "100", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout


# Help


def test_every_flag_has_one_heading() -> None:
    names = [name for heading in HEADINGS.values() for name in heading]
    assert sorted(names) == sorted(FLAGS)


@pytest.mark.parametrize("command", ["compute", "report", "rows", "send", "sync", "rebuild"])
def test_help_lists_the_flags_that_do_something_under_headings(command: str) -> None:
    text = help_of(command)
    listed = set(re.findall(r"^ {2}--([a-z-]+)", text, flags=re.MULTILINE))
    settings = set(FLAGS) - set(OWN_OPTIONS.get(command, ()))  # type: ignore[call-overload]
    assert listed & settings == {name for names in flags_of(command).values() for name in names}  # type: ignore[arg-type]
    headings = re.findall(r"^(\S.*):$", text, flags=re.MULTILINE)
    assert headings == ["options", *flags_of(command)]  # type: ignore[arg-type]


def test_help_begins_with_what_is_needed() -> None:
    assert help_of("report").startswith("usage: dora-metrics report --git DIR [OPTIONS]\n")
    assert help_of("compute").startswith("usage: dora-metrics compute --facts FILE|DIR|- [OPTIONS]\n")


def test_help_names_the_default_that_the_command_has() -> None:
    assert re.search(r"--strict VALUE .*?default:\s+true", help_of("sync"), flags=re.DOTALL)
    assert re.search(r"--incident-window VALUE .*?default:\s+24h", help_of("compute"), flags=re.DOTALL)


VALUES = {
    "health-check-status": "204",
    "health-check-timeout": "5m",
    "health-check-retries": "1",
    "health-check-url": "https://shop.example/health",
    "repositories": "acme/*",
    "shard": "3/10",
    "security": "none",
    "deployment-source": "releases",
    "service": "other",
    "incident-labels": "outage",
    "prometheus-url": "https://prometheus.example",
    "incident-alerts": 'team="shop"',
    "incident-hosts": "acme.atlassian.net",
    "kubernetes": "cluster.json",
    "ledger": "none",
    "max-rate-limit-wait": "5m",
    "pushgateway-url": "https://push.example",
    "pushgateway-username": "ada",
    "remote-write-url": "https://tsdb.example/api/v1/write",
    "remote-write-username": "ada",
    "bigquery-dataset": "acme.dora",
    "bigquery-location": "EU",
    "warehouse": "facts",
    "endpoint-url": "https://endpoint.example",
    "endpoint-template": ".github/endpoint.json.j2",
    "shard-ledgers": "dir:shard-1",
    "summary": "false",
    "page": "false",
    "report": "off",
    "report-labels": "other",
    "strict": "true",
}
"""A value other than the default for each flag that does nothing for `compute`."""


def test_the_flags_without_effect_on_compute_are_these() -> None:
    assert sorted(flags_without_effect("compute")) == sorted(VALUES)


NOT_ALONE = {"pushgateway-username", "remote-write-username", "bigquery-dataset", "prometheus-url"}
"""Flags that need another setting: a password or token, which is no flag, and `incident-alerts`."""


@pytest.mark.parametrize("name", sorted(VALUES.keys() - NOT_ALONE))
def test_a_flag_without_effect_changes_nothing_and_is_named(name: str) -> None:
    code, out, err = run(*SAMPLE, f"--{name}", VALUES[name])
    assert code == 0
    assert out == run(*SAMPLE)[1]
    assert f"dora-metrics: --{name} has no effect on compute\n" in err


@pytest.mark.parametrize("command", ["compute", "sync"])
def test_a_line_of_help_ends_only_between_words_so_that_values_can_be_copied(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    narrow_words = help_of(command).split()
    monkeypatch.setenv("COLUMNS", "1000")
    assert narrow_words == help_of(command).split()


def test_help_names_the_settings_of_the_file_that_do_not_count() -> None:
    text = " ".join(help_of("sync").split())
    assert text.endswith("and override it. This command ignores 'strict' and 'report' in the config file.")
    assert " ".join(help_of("compute").split()).endswith("and override it.")


# Errors

ALL_COMMANDS = (
    "'report', 'compute', 'rows', 'send', 'init', 'sync', 'rebuild', 'incidents', 'kubernetes', 'demo', 'action'"
)
NO_WINDW = "unknown option --windw; did you mean --window?"


@pytest.mark.parametrize(
    ("arguments", "problem", "command"),
    [
        ((), "no command given", ""),
        (("--foo",), "unknown option --foo", ""),
        (("--verison",), "unknown option --verison; did you mean --version?", ""),
        (("compute",), "compute: --facts is missing", " compute"),
        (("report",), "report: --git is missing", " report"),
        (("report", "--git"), "report: --git needs a value; if it begins with '-', write --git=VALUE", " report"),
        (("compute", "--facts", "x", "--windw", "7d"), f"compute: {NO_WINDW}", " compute"),
        (("compute", "--facts", "x", "--windw=7d"), f"compute: {NO_WINDW}", " compute"),
        (("compute", "--facts", "x", "--qqqqq"), "compute: unknown option --qqqqq", " compute"),
        (("report", "--git", "x", "--goals", "y"), "report: unknown option --goals", " report"),
        (("report", "--git", "x", "--comand"), "report: unknown option --comand", " report"),
        (("compute", "--facts", "x", "a b"), "compute: unexpected argument 'a b'", " compute"),
        (("compute", "--fact", "x"), "compute: unknown option --fact; did you mean --facts?", " compute"),
        (("compute", "ledger"), "compute: unexpected argument 'ledger'; did you mean --facts ledger?", " compute"),
        (("report", "a b"), "report: unexpected argument 'a b'; did you mean --git 'a b'?", " report"),
        (("sync", "--mod", "x"), "sync: unknown option --mod", " sync"),
        (("sync", "--format", "html"), "sync: --format 'html' is not one of ", " sync"),
        (("publish",), "COMMAND 'publish' is not one of ", ""),
        (("repot",), f"COMMAND 'repot' is not one of {ALL_COMMANDS}; did you mean report?", ""),
    ],
)  # fmt: skip
def test_wrong_arguments_are_two_lines_with_what_to_do(arguments: tuple[str, ...], problem: str, command: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    first, second = err.splitlines()
    assert first.startswith(f"dora-metrics: {problem}")
    assert "did you mean" not in first.removeprefix(f"dora-metrics: {problem}")
    assert second == f"dora-metrics: run 'dora-metrics{command} --help' for usage"


@pytest.mark.parametrize("text", ["\x1b[31m", "::error::x", "a\nb"])
def test_an_argument_of_a_stranger_stays_text(text: str) -> None:
    for arguments in ((text,), ("compute", "--facts", "x", text), ("compute", "--facts", "x", f"--{text}")):
        _, _, err = run(*arguments)
        assert len(err.splitlines()) == 2
        assert "\x1b" not in err
        assert "::" not in err


def test_json_is_what_it_was() -> None:
    assert json.loads(run(*SAMPLE)[1])["scopes"][0]["repository"] == "acme/shop"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a folder that a process is in")
@pytest.mark.parametrize("command", ["init", "demo", "sync --ledger dir:ledger --repository acme/shop", "action"])
def test_a_current_folder_that_was_deleted_is_said_in_two_lines(tmp_path: Path, command: str) -> None:
    script = f"import os, sys, dora_metrics.__main__ as main; os.rmdir(os.getcwd()); sys.argv[1:] = {command.split()}; "
    variables = {"GITHUB_TOKEN": "t", "GITHUB_EVENT_NAME": "release", "GITHUB_REPOSITORY": "acme/shop"}
    folder = tmp_path / "folder"
    folder.mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", f"{script} sys.exit(main.main())"],
        cwd=folder,
        env={**CLEAN_ENVIRONMENT, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.splitlines() == [
        "dora-metrics: the current folder does not exist any more",
        "dora-metrics: change to another one, such as with 'cd ~', and run the command again",
    ]
