"""A repository is data: reading it executes nothing of it, requests nothing, and changes nothing."""

import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from support.git_repository import CLEAN_ENVIRONMENT, EMPTY_TREE, GitRepository, ReportCommand, unix_seconds


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A program that, when executed, leaves the file `trap.sprung` next to it."""
    program = tmp_path / "trap"
    program.write_text(f"#!/bin/sh\necho sprung >> {program}.sprung\nexit 1\n", "utf-8")
    program.chmod(0o755)
    return program


def was_executed(trap: Path) -> bool:
    return trap.with_name("trap.sprung").exists()


def signed_commit(repository: GitRepository, *parents: str) -> str:
    """A commit with a fake signature, which `log.showSignature` would check."""
    who = f"A <a@b> {unix_seconds('03-02')} +0000"
    lines = [f"tree {EMPTY_TREE}", *(f"parent {parent}" for parent in parents), f"author {who}", f"committer {who}"]
    lines += ["gpgsig -----BEGIN PGP SIGNATURE-----", " ", " x", " -----END PGP SIGNATURE-----", "", "Signed", ""]
    return repository.write_commit("\n".join(lines).encode())


def test_no_program_is_run_that_the_repositorys_settings_name(
    repository: GitRepository, report: ReportCommand, trap: Path
) -> None:
    repository.tag("v1", signed_commit(repository, repository.commit("Start", at="03-01")))
    for name in (
        "core.fsmonitor", "core.pager", "pager.rev-list", "pager.for-each-ref", "core.editor", "core.askPass",
        "core.sshCommand", "gpg.program", "diff.external", "credential.helper", "alias.rev-list", "alias.remote",
    ):  # fmt: skip
        repository.git("config", name, str(trap))
    repository.git("config", "log.showSignature", "true")
    for hook in ("post-checkout", "pre-auto-gc", "reference-transaction", "post-index-change", "fsmonitor-watchman"):
        (repository.folder / ".git" / "hooks").mkdir(exist_ok=True)
        (repository.folder / ".git" / "hooks" / hook).symlink_to(trap)
    assert report(repository.folder).deployments["v1"]["commit_count"] == 2
    assert not was_executed(trap)
    repository.git("log", "-1")
    assert was_executed(trap), "the trap works: git's own log springs it"


@pytest.mark.parametrize("url", ["ext::{trap} %S", "ssh://example.invalid/acme/shop", "file://{folder}"])
def test_what_a_partial_clone_lacks_is_not_fetched_however_it_would_be(
    repository: GitRepository, report: ReportCommand, trap: Path, url: str
) -> None:
    first = repository.commit("Start", at="03-01")
    repository.release("v1", "More", first, at="03-02")
    settings = {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": url.format(trap=trap, folder=repository.folder),
        "remote.origin.uploadpack": str(trap),
        "core.sshCommand": str(trap),
        "protocol.ext.allow": "always",
        "protocol.file.allow": "always",
    }
    for name, value in settings.items():
        repository.git("config", name, value)
    (repository.folder / ".git" / "objects" / first[:2] / first[2:]).unlink()
    assert "git cannot read it" in report(repository.folder).problem
    assert not was_executed(trap)
    command = ["git", "-C", str(repository.folder), "rev-list", "v1"]
    subprocess.run(command, capture_output=True, check=False, env=CLEAN_ENVIRONMENT, timeout=60)
    assert was_executed(trap), "the trap works: git of itself springs it"


def test_nothing_in_the_repository_changes(repository: GitRepository, report: ReportCommand) -> None:
    repository.release("v1", "Start", at="03-01")

    def state() -> dict[str, tuple[str, int]]:
        files = (path for path in repository.folder.rglob("*") if path.is_file())
        return {str(p): (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns) for p in files}

    before = state()
    assert report(repository.folder).code == 0
    assert state() == before


def test_parents_that_somebody_put_in_place_of_others_are_not_believed(
    repository: GitRepository, report: ReportCommand
) -> None:
    """Whoever may push can push `refs/replace`, and a mirror has them. They can make a history without an end."""
    first = repository.release("v1", "Start", at="03-01")
    change = repository.commit("Faster", first, at="03-02")
    last = repository.release("v2", "Faster still", change, at="03-03")
    before = report(repository.folder).changes
    repository.git("replace", "--graft", last, first)
    assert repository.git("rev-list", "--count", "v2").strip() == "2", "git of itself believes it"
    assert report(repository.folder).changes == before


def test_variables_about_another_repository_do_not_lead_there(
    repository: GitRepository, report: ReportCommand, tmp_path: Path
) -> None:
    """As inside a hook, or a command that `git rebase --exec` runs."""
    repository.release("v1", "Start", at="03-01")
    other = GitRepository.create(tmp_path / "other")
    other.release("other", "Other", at="03-01")
    inside = {
        "GIT_DIR": str(other.folder / ".git"),
        "GIT_WORK_TREE": str(other.folder),
        "GIT_INDEX_FILE": "nowhere",
        "GIT_OBJECT_DIRECTORY": "nowhere",
        "GIT_TRACE": "1",
        "GIT_PAGER": "false",
        "LC_ALL": "de_DE.UTF-8",
        "LANGUAGE": "de",
    }
    assert list(replace(report, variables=inside)(repository.folder).deployments) == ["v1"]


def test_a_folder_whose_name_looks_like_an_option_is_a_folder(
    report: ReportCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    GitRepository.create(tmp_path / "--version").release("v1", "Start", at="03-01")
    found = replace(report, folder=tmp_path)("./--version")
    assert list(found.deployments) == ["v1"]


@pytest.mark.parametrize("message", ["::error::x", "##[error]x", "| <b> @ada #1 |", "`x` [y](javascript:z)"])
def test_what_a_commit_says_stays_text(repository: GitRepository, report: ReportCommand, message: str) -> None:
    first = repository.release("v1.0.0", message, at="03-01")
    second = repository.release("v1.1.0", message, first, at="03-02")
    repository.release("v1.2.0", f'Revert "{message}"\n\nThis reverts commit {second}.', second, at="03-04")
    out = report(repository.folder, "--format", "markdown").out
    assert "<b>" not in out
    assert "@ada" not in out
    assert "](javascript:" not in out
