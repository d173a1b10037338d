"""What is wrong with a repository is said: with what to do where it cannot be read, by a note where it is read."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from support.histories import EMPTY_TREE, Report, Repository, seconds

UNSHALLOW = "`fetch-depth: 0` in actions/checkout, or with `git fetch --unshallow --tags`"


def two(repository: Repository) -> tuple[str, str]:
    """Two releases; the second brings one commit that waited a day."""
    first = repository.release("v1.0.0", "Start", at="03-01")
    return first, repository.release("v1.1.0", "More", first, at="03-02", tagged="03-03")


# Not a repository that can be read: exit code 2, and what to do.


def test_a_folder_that_is_no_repository_is_named(report: Report, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    found = replace(report, variables={"GIT_CEILING_DIRECTORIES": str(tmp_path)})(tmp_path / "plain")
    assert found.problem == (
        f"{tmp_path}/plain: not a git repository; --git names a checkout, a bare repository or a mirror"
    )


@pytest.mark.parametrize("name", ["nowhere", "a\0b", "file"])
def test_a_folder_that_is_not_there_is_named(report: Report, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    assert "there is no such folder" in report(tmp_path / name).problem


def test_without_the_program_git_it_is_said_what_to_install(
    repository: Repository, report: Report, tmp_path: Path
) -> None:
    found = replace(report, variables={"PATH": str(tmp_path)})(repository.folder)
    assert found.problem.startswith("git: the program cannot be started (No such file or directory)")
    assert "install git" in found.problem


def test_a_repository_of_another_user_is_explained_and_not_read(repository: Repository, report: Report) -> None:
    """With the switch that git's own tests use, for only root can give a folder away."""
    two(repository)
    found = replace(report, variables={"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"})(repository.folder)
    assert found.problem == (
        f"{repository.folder}: the repository belongs to another user, and git reads such a one only where you say "
        f"that you trust it: git config --global --add safe.directory {repository.folder}"
    )


def test_a_repository_of_another_user_is_read_where_the_user_trusts_it(repository: Repository, report: Report) -> None:
    two(repository)
    trusting = {
        "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": str(repository.folder),
    }
    assert len(replace(report, variables=trusting)(repository.folder).deployments) == 2


def test_a_repository_that_lacks_commits_is_not_half_read(repository: Repository, report: Report) -> None:
    first, _ = two(repository)
    (repository.folder / ".git" / "objects" / first[:2] / first[2:]).unlink()
    assert f"{repository.folder}: git cannot read it: " in report(repository.folder).problem


def test_a_tag_on_a_commit_that_is_not_there_is_named(repository: Repository, report: Report) -> None:
    two(repository)
    (repository.folder / ".git" / "refs" / "tags" / "broken").write_text("1" * 40 + "\n", "ascii")
    assert "git cannot read it: missing object" in report(repository.folder).problem


# No deployments: an answer without scopes, and why.


def test_an_empty_repository_has_no_deployments(repository: Repository, report: Report) -> None:
    found = report(repository.folder).answer
    assert found["scopes"] == []
    assert found["notes"] == ["The repository is empty: no commits, so no tags and no deployments."]


def test_without_tags_there_are_no_deployments(repository: Repository, report: Report) -> None:
    repository.commit("Start")
    found = report(repository.folder)
    assert found.answer["scopes"] == []
    assert found.notes.startswith("No tags, so no deployments")
    assert "No tags, so no deployments" in report(repository.folder, "--format", "markdown").out
    assert report(repository.folder, "--format", "prometheus").code == 0


def test_a_pattern_that_fits_no_tag_is_answered_with_some_that_there_are(
    repository: Repository, report: Report
) -> None:
    sha = repository.release("v1.9.0", "Start", at="03-01")
    for minor in range(10, 16):
        repository.tag(f"v1.{minor}.0", sha)
    assert report(repository.folder, "--tags", "release-*").notes == (
        "No tag fits release-*, so there are no deployments. Of 7 tags there are "
        "v1.15.0, v1.14.0, v1.13.0, v1.12.0, v1.11.0 and 2 more."
    )


def test_a_pattern_is_data(repository: Repository, report: Report) -> None:
    two(repository)
    for pattern in ("--upload-pack=touch x", "-v", "[", "", "$(id)", "<b>"):
        assert "so there are no deployments" in report(repository.folder, f"--tags={pattern}").notes
        assert "<b>" not in report(repository.folder, f"--tags={pattern}", "--format", "markdown").out


# Every kind of repository.


def test_a_bare_one_a_mirror_and_its_git_folder_are_read_alike(
    repository: Repository, report: Report, tmp_path: Path
) -> None:
    two(repository)
    repository.git("clone", "--quiet", "--bare", str(repository.folder), str(tmp_path / "bare" / "shop.git"))
    repository.git("clone", "--quiet", "--mirror", str(repository.folder), str(tmp_path / "mirror" / "shop.git"))
    expected = report(repository.folder).hours
    assert expected
    for place in (tmp_path / "bare" / "shop.git", tmp_path / "mirror" / "shop.git", repository.folder / ".git"):
        found = report(place)
        assert found.hours == expected
        assert found.scope["service"] == "shop"


def test_a_worktree_a_folder_in_it_and_a_detached_head_are_read_alike(
    repository: Repository, report: Report, tmp_path: Path
) -> None:
    first, _ = two(repository)
    repository.git("remote", "remove", "origin")
    repository.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "elsewhere"), first)
    (tmp_path / "elsewhere" / "sub").mkdir()
    repository.git("checkout", "--quiet", "--detach", first)
    expected = report(repository.folder).hours
    assert expected
    for place in (tmp_path / "elsewhere", tmp_path / "elsewhere" / "sub"):
        assert report(place).hours == expected
        assert report(place).scope["repository"] == "local/shop"


def test_tags_on_no_branch_count(repository: Repository, report: Report) -> None:
    first = repository.release("v1.0.0", "Start", at="03-01")
    repository.release("v1.0.1", "Mend", first, at="03-03")
    repository.git("update-ref", "refs/heads/main", first)
    assert list(report(repository.folder).deployments) == ["v1.0.0", "v1.0.1"]


@pytest.mark.parametrize("wanted", ["blob:none", "tree:0"])
def test_a_partial_clone_is_read_and_nothing_is_fetched(
    repository: Repository, report: Report, tmp_path: Path, wanted: str
) -> None:
    two(repository)
    blob = repository.git("hash-object", "-w", "--stdin", given="key")
    repository.tag("key", blob, "03-02")
    repository.tag("outer-key", repository.git("rev-parse", "refs/tags/key"), "03-03")
    repository.tag("tree", EMPTY_TREE)
    repository.git("config", "uploadpack.allowFilter", "true")
    repository.git("config", "uploadpack.allowAnySHA1InWant", "true")
    place = tmp_path / "partial"
    repository.git("clone", "--quiet", "--bare", f"--filter={wanted}", f"file://{repository.folder}", str(place))
    before = sorted(path.name for path in place.rglob("*"))
    found = report(place)
    assert list(found.hours.values()) == [24]
    assert "left out: 3 (tree, outer-key, key)" in found.notes
    assert sorted(path.name for path in place.rglob("*")) == before


def test_a_partial_clone_whose_tag_of_a_tag_lacks_its_file_is_read(
    repository: Repository, report: Report, tmp_path: Path
) -> None:
    """What the filter left out stays out, whatever git would do to learn its kind."""
    two(repository)
    repository.git("config", "uploadpack.allowFilter", "true")
    place = tmp_path / "partial"
    repository.git("clone", "--quiet", "--bare", "--filter=blob:none", f"file://{repository.folder}", str(place))
    clone = Repository(place)
    raw = f"object {'2' * 40}\ntype blob\ntag key\ntagger A <a@b> 0 +0000\n\nkey\n"
    inner = clone.git("hash-object", "-t", "tag", "-w", "--stdin", "--literally", given=raw)
    clone.git("update-ref", "refs/tags/key", inner)
    outer = f"object {inner}\ntype tag\ntag outer\ntagger A <a@b> 0 +0000\n\nouter\n"
    clone.git("update-ref", "refs/tags/outer", clone.git("hash-object", "-t", "tag", "-w", "--stdin", given=outer))
    shutil.rmtree(repository.folder)
    assert "left out: 2 (outer, key)" in report(place).notes


def test_sha_256_is_read_too(tmp_path: Path, report: Report) -> None:
    repository = Repository.new(tmp_path / "shop", "--object-format=sha256")
    tree = repository.git("mktree")
    who = f"A <a@b> {seconds('03-01')} +0000"
    sha = repository.write(f"tree {tree}\nauthor {who}\ncommitter {who}\n\nStart\n".encode())
    repository.tag("v1", sha)
    assert report(repository.folder).changes == {"v1": [sha]}


# Shallow clones.


def line(repository: Repository, releases: int) -> list[str]:
    """So many releases, a day and a commit each."""
    shas: list[str] = []
    for number in range(1, releases + 1):
        shas.append(repository.release(f"v{number}.0.0", f"Step {number}", *shas[-1:], at=f"03-{number:02}"))
    return shas


def shallow(repository: Repository, place: Path, depth: int) -> Repository:
    repository.git("clone", "--quiet", "--depth", str(depth), f"file://{repository.folder}", str(place))
    return Repository(place)


def test_in_a_shallow_clone_only_what_is_surely_whole_counts(
    repository: Repository, report: Report, tmp_path: Path
) -> None:
    shas = line(repository, 5)
    found = report(shallow(repository, tmp_path / "clone", 3).folder)
    repository_name = found.scope["repository"]
    assert repository_name == "local/clone"
    assert found.changes == {"v3.0.0": None, "v4.0.0": [shas[3]], "v5.0.0": [shas[4]]}
    assert found.deployments["v3.0.0"]["commit_count"] is None
    assert (
        "The clone is shallow, so that older history is not there: what 1 deployment brought is not known, and "
        f"earlier tags, and what was reverted of them, may be missing; fetch it with {UNSHALLOW}."
    ) in found.notes


def test_tags_fetched_one_by_one_count_as_deployments_that_brought_something_unknown(
    repository: Repository, report: Report, tmp_path: Path
) -> None:
    """As `fetch-depth: 1` with `fetch-tags: true` leaves them."""
    line(repository, 3)
    clone = shallow(repository, tmp_path / "clone", 1)
    clone.git("fetch", "--quiet", "--depth=1", "--tags")
    found = report(clone.folder)
    assert found.metrics["deployment_frequency"]["deployments"] == 3
    assert found.metrics["lead_time"]["changes"] == 0
    assert "What 2 of the deployments delivered is not known yet" in found.notes


def test_a_commit_that_the_cut_may_hide_from_an_earlier_tag_is_in_no_lead_time(
    repository: Repository, report: Report
) -> None:
    """v2 had `old` by a way that the cut hides; v3 merges it anew from a branch that is there down to its root."""
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


def test_a_shallow_clone_without_tags_says_why(repository: Repository, report: Report, tmp_path: Path) -> None:
    line(repository, 2)
    repository.commit("Unreleased", repository.git("rev-parse", "main"), at="03-05")
    notes = report(shallow(repository, tmp_path / "clone", 1).folder).notes
    assert "No tags, so no deployments" in notes
    assert f"The clone is shallow, so that older history is not there; fetch it with {UNSHALLOW}." in notes


# Times of wrong clocks.


@pytest.mark.parametrize("authored", ["0", "600000000", "99999999999", "9999999999999999"])
def test_a_commit_with_an_absurd_time_has_no_lead_time(repository: Repository, report: Report, authored: str) -> None:
    first = repository.release("v1.0.0", "Start", at="03-01")
    repository.tag("v1.1.0", repository.commit("More", first, at="03-02", authored=authored))
    found = report(repository.folder)
    assert found.hours == {}
    assert found.metrics["lead_time"]["excluded"]["no_start"] == 1
    assert "Commits authored before 1990 or after 2199, which is no start of a lead time: 1." in found.notes


def test_a_commit_authored_after_its_release_is_dropped_as_negative(repository: Repository, report: Report) -> None:
    first = repository.release("v1.0.0", "Start", at="03-01")
    repository.tag("v1.1.0", repository.commit("More", first, at="03-02", authored="2030-01-01T00:00:00"))
    found = report(repository.folder).metrics["lead_time"]
    assert (found["changes"], found["excluded"]["negative"]) == (0, 1)


@pytest.mark.parametrize("at", ["0", "600000000", "99999999999"])
def test_a_tag_with_an_absurd_time_is_left_out_and_named(repository: Repository, report: Report, at: str) -> None:
    first = repository.release("v1.0.0", "Start", at=at)
    second = repository.release("v1.1.0", "More", first, at="03-02")
    repository.tag("v1.1.0-again", second, at)
    repository.release("v1.2.0", "Even more", second, at="03-03")
    found = report(repository.folder)
    assert list(found.deployments) == ["v1.1.0", "v1.2.0"]
    assert "Tags with a time before 1990 or after 2199, and left out: 2 (v1.1.0-again, v1.0.0)." in found.notes
    assert found.answer["window"]["from"] == "2024-03-02T00:00:00Z"


def test_a_tag_from_the_future_is_in_no_number_yet(repository: Repository, report: Report) -> None:
    _, second = two(repository)
    repository.tag("v2.0.0", repository.commit("Later", second, at="03-04"), "2031-01-01T00:00:00")
    found = report(repository.folder)
    assert found.metrics["deployment_frequency"]["deployments"] == 2
    assert "Tags later than 2024-04-01T00:00:00Z, and in no number yet: 1 (v2.0.0)." in found.notes


@pytest.mark.parametrize("time", ["", "nonsense", "1709251200", "-5 +0000", "1709251200 +99999999"])
def test_a_commit_whose_lines_are_broken_is_borne(repository: Repository, report: Report, time: str) -> None:
    first = repository.release("v1.0.0", "Start", at="03-01")
    raw = f"tree {EMPTY_TREE}\nparent {first}\nauthor A <a@b> {time}\ncommitter A <a@b> {time}\n\nBroken\n"
    broken = repository.write(raw.encode())
    repository.tag("v1.1.0", broken, "03-05")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == [broken]
    assert all(hours > 0 for hours in found.hours.values())


# Texts.


@pytest.mark.parametrize(
    "message", [b"\xff\xfe caf\xe9 (#7)\n", b"", b"\n\n\n", b"a\0b\0c\0", b"x" * 1_000_000, b"\r\n"]
)
def test_messages_of_any_bytes_are_borne(repository: Repository, report: Report, message: bytes) -> None:
    first = repository.release("v1.0.0", "Start", at="03-01")
    who = f"A <a@b> {seconds('03-02')} +0000"
    head = f"tree {EMPTY_TREE}\nparent {first}\nauthor {who}\ncommitter {who}\n\n"
    sha = repository.write(head.encode() + message)
    repository.tag("v1.1.0", sha, "03-03")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == ["#7" if b"(#7)" in message else sha]
    assert list(found.hours.values()) == [24]


def test_a_message_in_another_encoding_is_read(repository: Repository, report: Report) -> None:
    first = repository.release("v1.0.0", "Start", at="03-01")
    who = f"J\xfcrgen[bot] <a@b> {seconds('03-02')} +0000"
    head = f"tree {EMPTY_TREE}\nparent {first}\nauthor {who}\ncommitter {who}\nencoding ISO-8859-1\n\n"
    repository.tag("v1.1.0", repository.write(head.encode("latin-1") + b"Gr\xf6\xdfer (#7)\n"), "03-03")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == ["#7"]
    assert found.metrics["lead_time"]["excluded"]["bots"] == 1
