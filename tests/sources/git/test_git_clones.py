"""Every kind of repository and clone: bare, mirror, worktree, partial, shallow."""

import re
import shutil
from pathlib import Path

import pytest

from support.git_repository import EMPTY_TREE, GitRepository, ReportCommand, two_releases, unix_seconds

UNSHALLOW_HINT = "`fetch-depth: 0` in actions/checkout, or with `git fetch --unshallow --tags`"


def test_a_bare_one_a_mirror_and_its_git_folder_are_read_alike(
    repository: GitRepository, report: ReportCommand, tmp_path: Path
) -> None:
    two_releases(repository)
    repository.git("clone", "--quiet", "--bare", str(repository.folder), str(tmp_path / "bare" / "shop.git"))
    repository.git("clone", "--quiet", "--mirror", str(repository.folder), str(tmp_path / "mirror" / "shop.git"))
    expected = report(repository.folder).lead_time_hours
    assert expected
    for place in (tmp_path / "bare" / "shop.git", tmp_path / "mirror" / "shop.git", repository.folder / ".git"):
        found = report(place)
        assert found.lead_time_hours == expected
        assert found.scope["service"] == "shop"


def test_a_worktree_a_folder_in_it_and_a_detached_head_are_read_alike(
    repository: GitRepository, report: ReportCommand, tmp_path: Path
) -> None:
    first, _ = two_releases(repository)
    repository.git("remote", "remove", "origin")
    repository.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "elsewhere"), first)
    (tmp_path / "elsewhere" / "sub").mkdir()
    repository.git("checkout", "--quiet", "--detach", first)
    expected = report(repository.folder).lead_time_hours
    assert expected
    for place in (tmp_path / "elsewhere", tmp_path / "elsewhere" / "sub"):
        assert report(place).lead_time_hours == expected
        assert report(place).scope["repository"] == "local/shop"


@pytest.mark.parametrize("name", ["a b", "a\nb", "caf\udce9", "--git-dir", "$(id)"])
def test_a_folder_of_any_name_is_read(tmp_path: Path, report: ReportCommand, name: str) -> None:
    repository = GitRepository.create(tmp_path / name / "shop", origin=None)
    two_releases(repository)
    assert report(repository.folder).scope["repository"] == "local/shop"
    odd = GitRepository.create(tmp_path / "odd" / name, origin=None)
    two_releases(odd)
    assert re.fullmatch(r"local/[\w.-]+", report(odd.folder).scope["repository"])


def test_tags_on_no_branch_count(repository: GitRepository, report: ReportCommand) -> None:
    first = repository.release("v1.0.0", "Start", at="03-01")
    repository.release("v1.0.1", "Mend", first, at="03-03")
    repository.git("update-ref", "refs/heads/main", first)
    assert list(report(repository.folder).deployments) == ["v1.0.0", "v1.0.1"]


@pytest.mark.parametrize("wanted", ["blob:none", "tree:0"])
def test_a_partial_clone_is_read_and_nothing_is_fetched(
    repository: GitRepository, report: ReportCommand, tmp_path: Path, wanted: str
) -> None:
    two_releases(repository)
    blob = repository.git("hash-object", "-w", "--stdin", stdin="key")
    repository.tag("key", blob, "03-02")
    repository.tag("outer-key", repository.git("rev-parse", "refs/tags/key"), "03-03")
    repository.tag("tree", EMPTY_TREE)
    repository.git("config", "uploadpack.allowFilter", "true")
    repository.git("config", "uploadpack.allowAnySHA1InWant", "true")
    place = tmp_path / "partial"
    repository.git("clone", "--quiet", "--bare", f"--filter={wanted}", f"file://{repository.folder}", str(place))
    before = sorted(path.name for path in place.rglob("*"))
    found = report(place)
    assert list(found.lead_time_hours.values()) == [24]
    assert "instead of a commit: tree, outer-key, key." in found.notes
    assert sorted(path.name for path in place.rglob("*")) == before


def test_a_partial_clone_whose_tag_of_a_tag_lacks_its_file_is_read(
    repository: GitRepository, report: ReportCommand, tmp_path: Path
) -> None:
    """Objects that the filter left out are not fetched, even if git would do so to learn their type."""
    two_releases(repository)
    repository.git("config", "uploadpack.allowFilter", "true")
    place = tmp_path / "partial"
    repository.git("clone", "--quiet", "--bare", "--filter=blob:none", f"file://{repository.folder}", str(place))
    clone = GitRepository(place)
    raw = f"object {'2' * 40}\ntype blob\ntag key\ntagger A <a@b> 0 +0000\n\nkey\n"
    inner = clone.git("hash-object", "-t", "tag", "-w", "--stdin", "--literally", stdin=raw)
    clone.git("update-ref", "refs/tags/key", inner)
    outer = f"object {inner}\ntype tag\ntag outer\ntagger A <a@b> 0 +0000\n\nouter\n"
    clone.git("update-ref", "refs/tags/outer", clone.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=outer))
    shutil.rmtree(repository.folder)
    assert "instead of a commit: outer, key." in report(place).notes


def test_sha_256_is_read_too(tmp_path: Path, report: ReportCommand) -> None:
    repository = GitRepository.create(tmp_path / "shop", "--object-format=sha256")
    tree = repository.git("mktree")
    who = f"A <a@b> {unix_seconds('03-01')} +0000"
    sha = repository.write_commit(f"tree {tree}\nauthor {who}\ncommitter {who}\n\nStart\n".encode())
    repository.tag("v1", sha)
    assert report(repository.folder).changes == {"v1": [sha]}


# Shallow clones


def make_releases(repository: GitRepository, releases: int) -> list[str]:
    """Create `releases` releases, a day and a commit each."""
    shas: list[str] = []
    for number in range(1, releases + 1):
        shas.append(repository.release(f"v{number}.0.0", f"Step {number}", *shas[-1:], at=f"03-{number:02}"))
    return shas


def shallow_clone(repository: GitRepository, folder: Path, depth: int) -> GitRepository:
    repository.git("clone", "--quiet", "--depth", str(depth), f"file://{repository.folder}", str(folder))
    return GitRepository(folder)


def test_in_a_shallow_clone_only_what_is_surely_whole_counts(
    repository: GitRepository, report: ReportCommand, tmp_path: Path
) -> None:
    shas = make_releases(repository, 5)
    found = report(shallow_clone(repository, tmp_path / "clone", 3).folder)
    repository_name = found.scope["repository"]
    assert repository_name == "local/clone"
    assert found.changes == {"v3.0.0": None, "v4.0.0": [shas[3]], "v5.0.0": [shas[4]]}
    assert found.deployments["v3.0.0"]["commit_count"] is None
    assert (
        "The clone is shallow, so it lacks older history. It is not known what 1 deployment delivered, and "
        f"earlier tags and reverts may be missing. Fetch it with {UNSHALLOW_HINT}."
    ) in found.notes


def test_tags_fetched_one_by_one_count_as_deployments_that_brought_something_unknown(
    repository: GitRepository, report: ReportCommand, tmp_path: Path
) -> None:
    """As `fetch-depth: 1` with `fetch-tags: true` leaves them."""
    make_releases(repository, 3)
    clone = shallow_clone(repository, tmp_path / "clone", 1)
    clone.git("fetch", "--quiet", "--depth=1", "--tags")
    found = report(clone.folder)
    assert found.metrics["deployment_frequency"]["deployments"] == 3
    assert found.metrics["lead_time"]["changes"] == 0
    assert "The changes in 2 deployments are not known yet" in found.notes


def test_a_commit_that_the_cut_may_hide_from_an_earlier_tag_is_in_no_lead_time(
    repository: GitRepository, report: ReportCommand
) -> None:
    """v2 contains `old` by a path that the cut hides; v3 merges it again from a branch that is complete."""
    old = repository.commit("Old", at="02-01")
    hidden = repository.commit("Hidden", old, at="02-02")
    edge = repository.release("v1.0.0", "Edge", hidden, at="03-01")
    second = repository.release("v2.0.0", "Second", edge, at="03-02")
    merged = repository.release("v3.0.0", "Merge branch 'old'", second, old, at="03-03")
    repository.release("v4.0.0", "After", merged, at="03-04")
    (repository.folder / ".git" / "shallow").write_text(f"{edge}\n", "ascii")
    found = report(repository.folder)
    assert found.changes == {
        "v1.0.0": None,
        "v2.0.0": [second],
        "v3.0.0": None,
        "v4.0.0": [repository.git("rev-parse", "v4.0.0")],
    }


def test_a_shallow_clone_without_tags_says_why(
    repository: GitRepository, report: ReportCommand, tmp_path: Path
) -> None:
    make_releases(repository, 2)
    repository.commit("Unreleased", repository.git("rev-parse", "main"), at="03-05")
    notes = report(shallow_clone(repository, tmp_path / "clone", 1).folder).notes
    assert "The repository has no tags, so there are no deployments" in notes
    assert f"The clone is shallow, so it lacks older history. Fetch it with {UNSHALLOW_HINT}." in notes
