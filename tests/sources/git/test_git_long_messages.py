"""Of a message only what is used is kept, so a small clone with huge messages needs little memory."""

import tracemalloc

import pytest

from dora_metrics.sources.git.commits import GitCommit, read_log
from dora_metrics.sources.git.repository import Git
from support.git_repository import CLEAN_ENVIRONMENT, GitRepository, ReportCommand, merge_message

LONGEST_DESCRIPTION = 65_536
"""Of a pull request on GitHub, which may become the message of a squash."""


def read_commit(repository: GitRepository, sha: str) -> GitCommit:
    return read_log(Git(str(repository.folder), CLEAN_ENVIRONMENT), [sha]).commits[sha]


@pytest.mark.parametrize(
    "message",
    [
        "x" * 3_000_000,
        "Merge pull request #7 from a/b\n\n" + "x" * 3_000_000,
        "Merge pull request #7 from a/b" + "/b" * 1_000_000,
        "Take it back\n\n" + "Reverts #7\n" * 300_000,
        "Take it back\n\n" + f"Reverts {'#7 ' * 300}\n" * 3_000,
        "Take it back\n\neverts" + "\n" * 3_000_000,
    ],
    ids=["subject", "title of a merge", "branch", "many reverts", "long reverts", "no reverts"],
)
def test_little_of_a_huge_message_is_kept(repository: GitRepository, message: str) -> None:
    commit = read_commit(repository, repository.commit(message))
    assert sum(map(len, (commit.subject, commit.title_in_body, *commit.revert_lines))) <= 12_000


def test_a_huge_message_is_not_read_whole(repository: GitRepository) -> None:
    sha = repository.commit("x" * 30_000_000)
    tracemalloc.start()
    try:
        read_commit(repository, sha)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 8_000_000


def test_what_follows_a_huge_message_is_read(repository: GitRepository, report: ReportCommand, start: str) -> None:
    huge = repository.commit("x" * 3_000_000, start, at="03-02")
    repository.release("v1.1.0", "Add the till (#8)", huge, at="03-03")
    assert report(repository.folder).changes["v1.1.0"] == [huge, "#8"]


def test_the_number_at_the_end_of_a_long_subject_counts(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    sha = repository.release("v1.1.0", f"{'A long title ' * 1_000}(#8)", start, at="03-02")
    assert report(repository.folder).changes["v1.1.0"] == ["#8"]
    assert read_commit(repository, sha).subject.startswith("A long title " * 50)


def test_a_revert_at_the_end_of_the_longest_description_counts(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    delivered = repository.release("v1.1.0", "Add the till (#8)", start, at="03-02")
    statement = "\n\nReverts #8"
    description = "é" * 500 + "\n" + "All about it.\n" * 4_600
    message = description[: LONGEST_DESCRIPTION - len(statement)] + statement
    repository.release("v1.2.0", f"Take it back (#9)\n\n{message}", delivered, at="03-03")
    assert report(repository.folder).failure_rules == {"v1.1.0": "revert"}


def test_a_hundred_reverts_in_one_message_count(repository: GitRepository) -> None:
    names = [f"{number:040x}" for number in range(100)]
    lines = [f"This reverts commit {name}." for name in names]
    commit = read_commit(repository, repository.commit("Take it back\n\n" + "\n\n".join(lines)))
    assert list(commit.revert_lines) == lines


def test_the_title_of_a_merge_is_the_first_line_with_text(repository: GitRepository) -> None:
    commit = read_commit(repository, repository.commit(merge_message(7, title=" \n\n```sh \n\nReverts #6")))
    assert (commit.title_in_body, commit.revert_lines) == ("```sh", ())
