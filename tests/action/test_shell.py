"""ShellCheck finds nothing in the project's scripts and in the commands of its action and workflows."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from support.paths import ROOT
from support.tools import require_tool

SCRIPTS = [
    *(ROOT / name for name in (".ci/run", "action/run.sh", "tests/container/run.sh", "tests/container/docker")),
    *sorted((ROOT / "monitoring").glob("*.sh")),
]
STEP_FILES = sorted(
    [ROOT / "action.yml", *(ROOT / ".github/workflows").glob("*.yml"), *(ROOT / "examples").glob("*.yml")]
)
_EXPRESSION = re.compile(r"\$\{\{.*?\}\}")


def commands(document: object) -> list[str]:
    """Every `run` of a step in the document, without GitHub's expressions."""
    match document:
        case {"run": str(command)}:
            return [_EXPRESSION.sub("expression", command)]
        case dict():
            return [command for value in document.values() for command in commands(value)]
        case list():
            return [command for value in document for command in commands(value)]
    return []


def shellcheck(*arguments: str, script: str | None = None) -> str:
    """What ShellCheck says about the files or the script."""
    program = str(require_tool("shellcheck"))
    result = subprocess.run([program, *arguments], input=script, capture_output=True, text=True, check=False)
    return result.stdout + result.stderr


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing_in_a_script(path: Path) -> None:
    assert shellcheck("--external-sources", f"--source-path={ROOT}", str(path)) == ""


@pytest.mark.parametrize("path", STEP_FILES, ids=lambda path: path.name)
def test_shellcheck_finds_nothing_in_the_commands_of_steps(path: Path) -> None:
    for command in commands(yaml.safe_load(path.read_text("utf-8"))):
        assert shellcheck("--shell=bash", "-", script=command) == "", command


def test_shellcheck_would_find_something() -> None:
    assert "SC2086" in shellcheck("--shell=bash", "-", script="rm $1")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_an_exception_has_a_reason(path: Path) -> None:
    exceptions = re.findall(r"shellcheck disable=\S+(.*)", path.read_text("utf-8"))
    assert [reason for reason in exceptions if not re.match(r" # \S+ \S+", reason)] == []
