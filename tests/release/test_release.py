"""tools/release.py on a repository with a remote: what prevents a release, its notes, its commit and its tags."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import release
from dora_metrics import __version__
from support.git_repository import CLEAN_ENVIRONMENT
from support.paths import ROOT

WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8"))
IMAGE = f"ghcr.io/acme/dora-metrics@sha256:{'a' * 64}"
CHANGELOG = """# Changelog

## Unreleased

## 1.2.0 - 2026-12-01

### Added

- What is new.

## 1.1.0 - 2026-11-01

- What was new.
"""


@dataclass(frozen=True)
class ReleaseCheckout:
    """A checkout of a project with a remote."""

    folder: Path
    remote: Path

    def git(self, *arguments: str, at: Path | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=at or self.folder,
            env=CLEAN_ENVIRONMENT,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def write_release(self, version: str = "1.2.0", changelog: str = CHANGELOG) -> None:
        (self.folder / "src" / "dora_metrics").mkdir(parents=True, exist_ok=True)
        (self.folder / "action").mkdir(exist_ok=True)
        (self.folder / "src" / "dora_metrics" / "__init__.py").write_text(f'__version__ = "{version}"\n')
        (self.folder / "CHANGELOG.md").write_text(changelog)
        (self.folder / "action" / "run.sh").write_text("")

    def problems_found(self, version: str = "1.2.0") -> list[str]:
        return list(release.problems(version, self.folder))

    def remote_file(self, name: str) -> str:
        """Content of a file of the remote."""
        return self.git("show", name, at=self.remote)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReleaseCheckout:
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"):
        monkeypatch.setenv(name, CLEAN_ENVIRONMENT[name])
    made = ReleaseCheckout(tmp_path / "clone", tmp_path / "remote.git")
    made.folder.mkdir()
    made.git("init", "--quiet", "--bare", str(made.remote))
    made.git("init", "--quiet", "--initial-branch=main")
    made.git("remote", "add", "origin", str(made.remote))
    made.write_release()
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message=Begin")
    made.git("push", "--quiet", "origin", "main")
    return made


# --- Checks ---


def test_a_release_whose_version_changelog_and_tags_agree_may_be(clone: ReleaseCheckout) -> None:
    assert clone.problems_found() == []


@pytest.mark.parametrize("version", ["v1.2.0", "1.2", "01.2.0", "1.2.0-", "1.2.0 ", "1.2.0\n", "$(id)", ""])
def test_what_is_no_version_is_told(clone: ReleaseCheckout, version: str) -> None:
    (problem,) = clone.problems_found(version)
    assert "is not a valid version. Use one such as 1.2.0" in problem


@pytest.mark.parametrize(
    ("changelog", "told"),
    [
        (CHANGELOG.replace("1.2.0", "1.3.0"), "no section `## 1.2.0 - YYYY-MM-DD`"),
        (CHANGELOG.replace("### Added\n\n- What is new.\n", ""), "no section `## 1.2.0 - YYYY-MM-DD`"),
        (CHANGELOG.replace(" - 2026-12-01", ""), "has no date"),
        (
            CHANGELOG.replace("## Unreleased\n", "## Unreleased\n\n- Something.\n"),
            "Unreleased to 1.2.0",
        ),
        ("", "no section"),
    ],
)
def test_a_changelog_that_does_not_tell_of_it_is_told(clone: ReleaseCheckout, changelog: str, told: str) -> None:
    clone.write_release(changelog=changelog)
    (problem,) = clone.problems_found()
    assert told in problem


UNRELEASED = CHANGELOG.replace("## Unreleased\n", "## Unreleased\n\n- Something.\n")


def test_a_build_of_your_own_needs_no_change_of_the_changelog_and_the_program(
    clone: ReleaseCheckout, capsys: pytest.CaptureFixture[str]
) -> None:
    """The README's three commands release a clone as it is."""
    clone.write_release(version="1.3.0", changelog=UNRELEASED)
    release.main("check", "1.3.0-acme.1", "acme/x", root=clone.folder)
    assert capsys.readouterr().out == "image=ghcr.io/acme/x\nprerelease=true\nprogram-version=1.3.0\n"
    release.main("notes", "1.3.0-acme.1", root=clone.folder)
    assert capsys.readouterr().out == "- Something.\n"


def test_a_build_of_your_own_is_one_of_the_version_in_the_program(clone: ReleaseCheckout) -> None:
    clone.write_release(version="1.2.0", changelog=UNRELEASED)
    assert clone.problems_found("1.3.0-acme.1") == ["src/dora_metrics/__init__.py: its version is 1.2.0, not 1.3.0"]


def test_a_prerelease_without_anything_new_is_told(clone: ReleaseCheckout) -> None:
    clone.write_release(version="1.3.0")
    (problem,) = clone.problems_found("1.3.0-acme.1")
    assert "no section `## 1.3.0-acme.1 - YYYY-MM-DD`" in problem


def test_another_version_in_the_program_is_told(clone: ReleaseCheckout) -> None:
    clone.write_release(version="1.1.0")
    assert clone.problems_found() == ["src/dora_metrics/__init__.py: its version is 1.1.0, not 1.2.0"]


def test_a_tag_that_is_there_is_told(clone: ReleaseCheckout) -> None:
    clone.git("tag", "v1.2.0")
    assert clone.problems_found() == ["the tag v1.2.0 exists already"]


def test_all_problems_are_told_at_once(clone: ReleaseCheckout, capsys: pytest.CaptureFixture[str]) -> None:
    clone.write_release(version="1.1.0", changelog="")
    with pytest.raises(release.ReleaseError) as told:
        release.main("check", "1.2.0", "acme/x", root=clone.folder)
    assert len(told.value.problems) == 2
    assert capsys.readouterr().out == ""


def test_the_check_says_how_the_image_is_called_and_whether_it_is_a_prerelease(
    clone: ReleaseCheckout, capsys: pytest.CaptureFixture[str]
) -> None:
    release.main("check", "1.2.0", "Acme/DORA-metrics", root=clone.folder)
    assert capsys.readouterr().out == ("image=ghcr.io/acme/dora-metrics\nprerelease=false\nprogram-version=1.2.0\n")
    clone.write_release(version="1.2.0-rc.1", changelog=CHANGELOG.replace("1.2.0", "1.2.0-rc.1"))
    release.main("check", "1.2.0-rc.1", "acme/x", root=clone.folder)
    assert "prerelease=true" in capsys.readouterr().out


# --- Notes ---


def test_the_notes_are_the_section_of_the_version(clone: ReleaseCheckout, capsys: pytest.CaptureFixture[str]) -> None:
    release.main("notes", "1.2.0", root=clone.folder)
    assert capsys.readouterr().out == "### Added\n\n- What is new.\n"
    assert release.notes("1.1.0", CHANGELOG) == "- What was new."


def test_the_changelog_of_this_repository_is_one_that_can_be_read() -> None:
    found = release.sections((ROOT / "CHANGELOG.md").read_text("utf-8"))
    assert found
    assert all(name == "Unreleased" or release.VERSION.fullmatch(name) for name in found)
    assert not [problem for problem in release.problems(__version__, ROOT) if "its version" in problem]


# --- Commit and tags ---


def test_the_commit_of_a_release_names_the_image_and_lies_on_no_branch(clone: ReleaseCheckout) -> None:
    before = clone.git("rev-parse", "main")
    assert release.tag("1.2.0", IMAGE, clone.folder) == ["v1.2.0", "v1"]
    assert clone.remote_file("v1.2.0:action/image") == IMAGE
    assert clone.git("rev-parse", "v1.2.0^{commit}^", at=clone.remote) == before
    assert clone.git("diff", "--name-only", "main", "v1.2.0", at=clone.remote) == "action/image"
    assert clone.git("branch", "--contains", "v1.2.0", at=clone.remote) == ""
    assert clone.git("rev-parse", "main", at=clone.remote) == before


def test_the_major_tag_moves_to_the_newest_release(clone: ReleaseCheckout) -> None:
    release.tag("1.2.0", IMAGE, clone.folder)
    clone.git("switch", "--quiet", "main")
    assert release.tag("1.3.0", IMAGE.replace("a" * 64, "b" * 64), clone.folder) == ["v1.3.0", "v1"]
    assert clone.git("rev-parse", "v1", at=clone.remote) == clone.git("rev-parse", "v1.3.0^{}", at=clone.remote)
    assert clone.remote_file("v1.2.0:action/image") == IMAGE


@pytest.mark.parametrize(
    ("version", "known", "moved"),
    [
        ("1.0.0", [], "v1"),
        ("0.1.0", [], "v0"),
        ("1.2.1", ["v1.2.0", "v2.0.0"], "v1"),
        ("1.10.0", ["v1.9.0"], "v1"),
        ("1.2.1", ["v1.3.0"], None),
        ("2.0.0-rc.1", ["v1.3.0"], None),
        ("2.0.0", ["v2.0.0-rc.1", "v2", "vnext"], "v2"),
    ],
)
def test_a_repair_of_an_older_release_and_a_prerelease_move_no_major_tag(
    version: str, known: list[str], moved: str | None
) -> None:
    assert release.major_tag(version, known) == moved


def test_a_tag_that_somebody_else_has_pushed_meanwhile_stops_everything(clone: ReleaseCheckout) -> None:
    clone.git("tag", "v1.2.0", "main", at=clone.remote)
    with pytest.raises(subprocess.CalledProcessError):
        release.tag("1.2.0", IMAGE, clone.folder)
    assert clone.git("tag", "--list", at=clone.remote) == "v1.2.0"


@pytest.mark.parametrize("image", ["ghcr.io/acme/x:1.2.0", "x@sha256:a", f"{IMAGE} --help", "", f"{IMAGE}\n"])
def test_an_image_without_a_digest_is_refused(clone: ReleaseCheckout, image: str) -> None:
    with pytest.raises(release.ReleaseError):
        release.tag("1.2.0", image, clone.folder)
    assert clone.git("tag", "--list", at=clone.remote) == ""


# --- The workflow ---


def test_each_machines_image_is_built_handed_on_and_joined() -> None:
    jobs = WORKFLOW["jobs"]
    built = {one["arch"] for one in jobs["image"]["strategy"]["matrix"]["include"]}
    assert built == set(jobs["image"]["outputs"]) == {"amd64", "arm64"}
    (joining,) = (step for step in jobs["publish"]["steps"] if step.get("id") == "image")
    assert {f"${{{{ needs.image.outputs.{arch} }}}}" for arch in built} <= set(joining["env"].values())


def test_no_expression_reaches_a_shell_and_every_script_gets_a_command_that_it_has() -> None:
    runs = [step["run"] for job in WORKFLOW["jobs"].values() for step in job.get("steps", []) if "run" in step]
    assert [text for text in runs if "${{" in text] == []
    asked = re.findall(r"tools/release\.py (\w+)", "\n".join(runs))
    assert sorted(asked) == ["check", "notes", "tag"]


def test_only_a_public_repository_attests_because_others_may_not() -> None:
    (attesting,) = (step for step in WORKFLOW["jobs"]["publish"]["steps"] if step.get("id") == "attested")
    assert attesting["if"] == "${{ !github.event.repository.private }}"


def test_nothing_is_published_before_everything_was_checked() -> None:
    needed = {name: job.get("needs", []) for name, job in WORKFLOW["jobs"].items()}
    assert needed == {"check": [], "tested": "check", "image": ["check", "tested"], "publish": ["check", "image"]}
