"""The commands of the README and the recipes do what the text around them says, run as a reader would."""

import os
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from io import BytesIO, StringIO
from pathlib import Path

import pytest
import yaml

import release
from dora_metrics.cli import run
from dora_metrics.runtime import Runtime
from dora_metrics.settings.loading import Layer, load_settings
from support.git_repository import GitRepository, two_releases
from support.paths import ROOT
from support.tools import require_tool

README = (ROOT / "README.md").read_text("utf-8")
RECIPES = (ROOT / "docs" / "recipes.md").read_text("utf-8")
ADOPTING = (ROOT / "docs" / "adopting.md").read_text("utf-8")
PARTS = ("Makefile", "pyproject.toml", "requirements", "src", "templates")
NOW = datetime(2026, 11, 21, 9, 5, tzinfo=UTC)


def commands(text: str, program: str) -> list[str]:
    """Commands of the bash blocks that start with this program, without comments."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    lines = (line.partition(" #")[0].strip() for block in blocks for line in block.splitlines())
    return [line for line in lines if line.split(" ")[0] == program]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> GitRepository:
    """A clone that the reader has beside this repository: two releases."""
    made = GitRepository.create(tmp_path_factory.mktemp("clones") / "your-clone")
    two_releases(made)
    return made


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """This repository with a folder `build` of its own. Its packages are installed: `make` finds them up to date."""
    folder = tmp_path / "dora-metrics"
    venv = folder / ".venv"
    (venv / "bin").mkdir(parents=True)
    python = venv / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    for part in PARTS:
        (folder / part).symlink_to(ROOT / part)
    for stamp in ("runtime", "dev"):
        (venv / stamp).touch()
    return folder


def make(checkout: Path, command: str, **replaced: str) -> str:
    """Output of a `make` command from the text, with some variables replaced."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PYTHON"))}
    arguments = [*shlex.split(command)[1:], *(f"{name}={value}" for name, value in replaced.items())]
    done = subprocess.run(
        [str(require_tool("make")), *arguments],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_screen_has_three_commands() -> None:
    first_screen = "\n".join(README.splitlines()[:25])
    assert [command.split()[1] for command in commands(first_screen, "make")] == ["demo", "report", "test"]


def test_make_demo_prints_the_summary_of_the_picture(checkout: Path) -> None:
    demo, _, _ = commands(README, "make")
    printed = make(checkout, demo)
    assert "v2.21.0" in printed
    assert "2 of 10" in printed
    assert (checkout / "build" / "demo" / "summary.md").is_file()


def test_make_report_prints_a_summary_and_ends_with_the_path_of_the_page(checkout: Path, clone: GitRepository) -> None:
    _, report, _ = commands(README, "make")
    printed = make(checkout, report, REPO=str(clone.folder))
    assert "Deployment frequency" in printed
    page = printed.split()[-1]
    assert page.endswith(".html")
    assert "<html" in (checkout / page).read_text("utf-8")


def test_make_test_runs_what_the_readme_says(checkout: Path) -> None:
    """`--dry-run` prints the commands; running them here would run this test."""
    _, _, test = commands(README, "make")
    printed = make(checkout, f"{test} --dry-run --assume-old=web")
    assert all(part in printed for part in ("ruff check", "mypy", "pytest"))


def test_the_version_that_is_released_is_one_that_can_be_released() -> None:
    """From a clone as it is, so that the three commands need no commit in between."""
    assert commands(README, "gh") == commands(ADOPTING, "gh")[:3]
    (version,) = {match for text in (README, ADOPTING) for match in re.findall(r"-f version=(\S+)", text)}
    assert list(release.problems(version, ROOT)) == []
    assert set(re.findall(r"dora-metrics(?:/\.github/workflows/dora\.yml)?@(v\S+?)`", README)) == {f"v{version}"}


def test_the_workflow_that_is_run_takes_the_version_by_hand() -> None:
    (name,) = re.findall(r"gh workflow run (\S+)", README)
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text("utf-8"))
    assert list(workflow[True]["workflow_dispatch"]["inputs"]) == ["version"]  # YAML reads `on` as true


def printed_by(command: str) -> str:
    """Output of a `dora-metrics` command; it must end with exit code 0."""
    out, err = StringIO(), StringIO()
    assert run(shlex.split(command)[1:], Runtime({}, BytesIO(), out, err, NOW, lambda _: None)) == 0, err.getvalue()
    return out.getvalue()


def test_init_only_shows_what_it_would_write(clone: GitRepository) -> None:
    (init,) = commands(README, ".venv/bin/dora-metrics")
    printed = printed_by(init.removeprefix(".venv/bin/").replace("../your-clone", str(clone.folder)))
    assert ".github/workflows/dora.yml" in printed
    assert not (clone.folder / ".github").exists()


def test_the_recipe_for_a_git_history_prints_its_numbers(clone: GitRepository) -> None:
    (report,) = (command for command in commands(RECIPES, "dora-metrics") if " report " in command)
    assert "Deployment frequency" in printed_by(report.replace("--git .", f"--git {clone.folder}"))


def test_the_recipe_for_facts_explains_a_deployment_of_the_demo(tmp_path: Path) -> None:
    (explain,) = (command for command in commands(RECIPES, "dora-metrics") if "--explain" in command)
    printed_by(f"dora-metrics demo --output {tmp_path / 'demo'}")
    assert "rollback" in printed_by(explain.replace("build/demo", str(tmp_path / "demo")))


def test_the_settings_that_the_recipes_show_can_be_used() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", RECIPES, flags=re.DOTALL | re.MULTILINE)
    shown = load_settings([Layer("recipes.md", yaml.safe_load(block)) for block in blocks])
    assert set(shown.services) == {"checkout", "web"}
    assert [goal.metric for goal in shown.policy.goals] == ["lead_time"]
