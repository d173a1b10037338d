"""Problems of a repository: an error with the next step if it cannot be read, otherwise a note."""

from dataclasses import replace
from pathlib import Path

import pytest

from support.git_repository import EMPTY_TREE, GitRepository, ReportCommand, two_releases, unix_seconds

# Unreadable repositories: exit code 2 and the next step


def test_a_folder_that_is_no_repository_is_named(report: ReportCommand, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    found = replace(report, variables={"GIT_CEILING_DIRECTORIES": str(tmp_path)})(tmp_path / "plain")
    assert found.problem == (
        f"{tmp_path}/plain: not a git repository; --git takes a checkout, a bare repository or a mirror"
    )


@pytest.mark.parametrize("name", ["nowhere", "a\0b", "file", "x" * 5000])
def test_a_folder_that_is_not_there_is_named(report: ReportCommand, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    assert "no such folder" in report(tmp_path / name).problem


def test_without_the_program_git_it_is_said_what_to_install(
    repository: GitRepository, report: ReportCommand, tmp_path: Path
) -> None:
    found = replace(report, variables={"PATH": str(tmp_path)})(repository.folder)
    assert found.problem.startswith("git: cannot be started (No such file or directory)")
    assert "install git" in found.problem


def test_a_repository_of_another_user_is_explained_and_not_read(
    repository: GitRepository, report: ReportCommand
) -> None:
    """With the switch of git's own tests, since only root can change the owner of a folder."""
    two_releases(repository)
    found = replace(report, variables={"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"})(repository.folder)
    assert found.problem == (
        f"{repository.folder}: the repository belongs to another user, so git does not read it. If you trust "
        f"it, run: git config --global --add safe.directory {repository.folder}"
    )


def test_a_repository_of_another_user_is_read_where_the_user_trusts_it(
    repository: GitRepository, report: ReportCommand
) -> None:
    two_releases(repository)
    trusting = {
        "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": str(repository.folder),
    }
    assert len(replace(report, variables=trusting)(repository.folder).deployments) == 2


def test_a_repository_that_lacks_commits_is_not_half_read(repository: GitRepository, report: ReportCommand) -> None:
    first, _ = two_releases(repository)
    (repository.folder / ".git" / "objects" / first[:2] / first[2:]).unlink()
    assert f"{repository.folder}: git cannot read it: " in report(repository.folder).problem


def test_a_tag_on_a_commit_that_is_not_there_is_named(repository: GitRepository, report: ReportCommand) -> None:
    two_releases(repository)
    (repository.folder / ".git" / "refs" / "tags" / "broken").write_text("1" * 40 + "\n", "ascii")
    assert "git cannot read it: missing object" in report(repository.folder).problem


# No deployments: a document without scopes, and why


def test_an_empty_repository_has_no_deployments(repository: GitRepository, report: ReportCommand) -> None:
    found = report(repository.folder).document
    assert found["scopes"] == []
    assert found["notes"] == ["The repository has no commits, so there are no tags and no deployments."]


def test_without_tags_there_are_no_deployments(repository: GitRepository, report: ReportCommand) -> None:
    repository.commit("Start")
    found = report(repository.folder)
    assert found.document["scopes"] == []
    assert found.notes.startswith("The repository has no tags, so there are no deployments")
    out = report(repository.folder, "--format", "markdown").out
    assert out.startswith(
        "### 📊 Delivery\n\n**No production deployment is known**, so there are no numbers.\n\n- The repository"
    )
    page = report(repository.folder, "--format", "html").out
    assert "The repository has no tags, so there are no deployments" in page
    assert "Run workflow" not in page, "there is no workflow that would record more"
    assert report(repository.folder, "--format", "prometheus").code == 0


def test_a_pattern_that_fits_no_tag_is_answered_with_some_that_there_are(
    repository: GitRepository, report: ReportCommand
) -> None:
    sha = repository.release("v1.9.0", "Start", at="03-01")
    for minor in range(10, 16):
        repository.tag(f"v1.{minor}.0", sha)
    ran = report(repository.folder, "--tags", "release-*")
    assert (ran.code, ran.out) == (2, "")
    problem, advice = ran.err.splitlines()
    assert problem == (
        "dora-metrics: --tags: no tag matches 'release-*'; the repository has 7 tags: "
        "v1.15.0, v1.14.0, v1.13.0, v1.12.0, v1.11.0 and 2 more"
    )
    assert advice == "dora-metrics: use a pattern such as 'v*', or omit --tags to select version tags"


def test_of_a_monorepo_tags_of_each_package_are_named(repository: GitRepository, report: ReportCommand) -> None:
    sha = repository.commit("Start")
    for name in ("web@1.0.0", "web@1.10.0", "web@1.9.0", "api@2.0.0", "docs/v3.0.0", "nightly", "web@0.1.0"):
        repository.tag(name, sha)
    assert (
        "the repository has 7 tags: web@1.10.0, nightly, docs/v3.0.0, api@2.0.0, web@1.9.0 and 2 more"
        in report(repository.folder, "--tags", "ios@*").err
    )


def test_a_pattern_for_a_repository_without_tags_says_how_to_fetch_some(
    repository: GitRepository, report: ReportCommand
) -> None:
    repository.commit("Start")
    ran = report(repository.folder, "--tags", "v*")
    assert (ran.code, ran.out) == (2, "")
    assert "the repository has no tags" in ran.err
    assert "run 'git fetch --tags' in it" in ran.err


def test_a_pattern_is_data(repository: GitRepository, report: ReportCommand) -> None:
    two_releases(repository)
    for pattern in ("--upload-pack=touch x", "-v", "[", "$(id)", "<b>", "\x1b[31m", "::error::x"):
        ran = report(repository.folder, f"--tags={pattern}")
        assert (ran.code, ran.out) == (2, "")
        assert "the repository has 2 tags: v1.1.0, v1.0.0" in ran.err
        assert "\x1b" not in ran.err
        assert "::" not in ran.err


def test_an_empty_pattern_is_none(repository: GitRepository, report: ReportCommand) -> None:
    two_releases(repository)
    assert len(report(repository.folder, "--tags=").deployments) == 2


# Times of wrong clocks


@pytest.mark.parametrize("authored", ["0", "600000000", "99999999999", "9999999999999999"])
def test_a_commit_with_an_absurd_time_has_no_lead_time(
    repository: GitRepository, report: ReportCommand, authored: str
) -> None:
    first = repository.release("v1.0.0", "Start", at="03-01")
    repository.tag("v1.1.0", repository.commit("More", first, at="03-02", authored=authored))
    found = report(repository.folder)
    assert found.lead_time_hours == {}
    assert found.metrics["lead_time"]["excluded"]["no_start"] == 1
    assert "1 commit dated before 1990 or after 2199 has no lead time." in found.notes


def test_a_commit_authored_after_its_release_is_dropped_as_negative(
    repository: GitRepository, report: ReportCommand
) -> None:
    first = repository.release("v1.0.0", "Start", at="03-01")
    repository.tag("v1.1.0", repository.commit("More", first, at="03-02", authored="2030-01-01T00:00:00"))
    found = report(repository.folder).metrics["lead_time"]
    assert (found["changes"], found["excluded"]["negative"]) == (0, 1)


@pytest.mark.parametrize("at", ["0", "600000000", "99999999999"])
def test_a_tag_with_an_absurd_time_is_left_out_and_named(
    repository: GitRepository, report: ReportCommand, at: str
) -> None:
    first = repository.release("v1.0.0", "Start", at=at)
    second = repository.release("v1.1.0", "More", first, at="03-02")
    repository.tag("v1.1.0-again", second, at)
    repository.release("v1.2.0", "Even more", second, at="03-03")
    found = report(repository.folder)
    assert list(found.deployments) == ["v1.1.0", "v1.2.0"]
    assert (
        "2 tags are not counted, because they are dated before 1990 or after 2199: v1.1.0-again, v1.0.0." in found.notes
    )
    assert found.document["window"]["from"] == "2024-03-02T00:00:00Z"


def test_a_tag_from_the_future_is_in_no_number_yet(repository: GitRepository, report: ReportCommand) -> None:
    _, second = two_releases(repository)
    repository.tag("v2.0.0", repository.commit("Later", second, at="03-04"), "2031-01-01T00:00:00")
    found = report(repository.folder)
    assert found.metrics["deployment_frequency"]["deployments"] == 2
    assert "1 deployment is not counted yet, because it is later than 2024-04-01T00:00:00Z: v2.0.0." in found.notes
    assert "Last deployment  v1.1.0 on 2024-03-" in report(repository.folder, "--format", "text").out


TIMES = ["", "nonsense", "1709251200", "-5 +0000", "1709251200 +99999999", "9" * 5_000 + " +0000"]


@pytest.mark.parametrize("time", TIMES)
def test_a_commit_whose_lines_are_broken_is_borne(repository: GitRepository, report: ReportCommand, time: str) -> None:
    first = repository.release("v1.0.0", "Start", at="03-01")
    raw = f"tree {EMPTY_TREE}\nparent {first}\nauthor A <a@b> {time}\ncommitter A <a@b> {time}\n\nBroken\n"
    broken = repository.write_commit(raw.encode())
    repository.tag("v1.1.0", broken, "03-05")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == [broken]
    assert all(hours > 0 for hours in found.lead_time_hours.values())


# Texts


@pytest.mark.parametrize(
    "message", [b"\xff\xfe caf\xe9 (#7)\n", b"", b"\n\n\n", b"a\0b\0c\0", b"x" * 1_000_000, b"\r\n"]
)
def test_messages_of_any_bytes_are_borne(repository: GitRepository, report: ReportCommand, message: bytes) -> None:
    first = repository.release("v1.0.0", "Start", at="03-01")
    who = f"A <a@b> {unix_seconds('03-02')} +0000"
    head = f"tree {EMPTY_TREE}\nparent {first}\nauthor {who}\ncommitter {who}\n\n"
    sha = repository.write_commit(head.encode() + message)
    repository.tag("v1.1.0", sha, "03-03")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == ["#7" if b"(#7)" in message else sha]
    assert list(found.lead_time_hours.values()) == [24]


def test_a_message_in_another_encoding_is_read(repository: GitRepository, report: ReportCommand) -> None:
    first = repository.release("v1.0.0", "Start", at="03-01")
    who = f"J\xfcrgen[bot] <a@b> {unix_seconds('03-02')} +0000"
    head = f"tree {EMPTY_TREE}\nparent {first}\nauthor {who}\ncommitter {who}\nencoding ISO-8859-1\n\n"
    repository.tag("v1.1.0", repository.write_commit(head.encode("latin-1") + b"Gr\xf6\xdfer (#7)\n"), "03-03")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == ["#7"]
    assert found.metrics["lead_time"]["excluded"]["bots"] == 1
