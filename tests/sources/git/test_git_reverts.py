"""Reverts are recognised by their text, their title, or their commits."""

import pytest

from support.git_repository import GitRepository, ReportCommand, merge_message, unix_seconds


class RevertCase:
    """v1.1.0 delivers #7, merged; #8, squashed; and a direct commit. A revert follows days later."""

    def __init__(self, repository: GitRepository, start: str) -> None:
        self._repository = repository
        self.topic = repository.commit("Topic", start, at="03-02")
        self.merged = repository.commit(merge_message(7, title="Add the basket"), start, self.topic, at="03-02")
        self.squashed = repository.commit("Add the till (#8)", self.merged, at="03-03")
        self.direct = repository.release("v1.1.0", "Tidy up", self.squashed, at="03-03")

    def land_revert(self, message: str, *merged_commits: str) -> None:
        """Add a commit that lands with v1.2.0; `merged_commits` are the commits that it merges."""
        tip = self.direct
        for text in merged_commits:
            tip = self._repository.commit(text, tip, at="03-08")
        parents = (self.direct, tip) if merged_commits else (self.direct,)
        self._repository.release("v1.2.0", message, *parents, at="03-08")


@pytest.fixture
def reverting(repository: GitRepository, start: str) -> RevertCase:
    return RevertCase(repository, start)


def test_a_revert_is_known_by_the_commit_that_it_names(
    repository: GitRepository, report: ReportCommand, reverting: RevertCase
) -> None:
    for target in (reverting.topic, reverting.squashed, reverting.direct):
        reverting.land_revert(f"Take it back\n\nThis reverts commit {target}.")
        assert report(repository.folder).failure_rules == {"v1.1.0": "revert"}


def test_a_revert_of_a_merge_is_known_by_the_merge(
    repository: GitRepository, report: ReportCommand, reverting: RevertCase
) -> None:
    reverting.land_revert(
        f"Take it back\n\nThis reverts commit {reverting.merged}, reversing\nchanges made to {'0' * 40}."
    )
    assert report(repository.folder).failure_rules == {"v1.1.0": "revert"}


def test_a_revert_by_reference_names_a_short_sha(
    repository: GitRepository, report: ReportCommand, reverting: RevertCase
) -> None:
    reverting.land_revert(
        f"Take it back\n\nThis reverts commit {reverting.squashed[:8]} (Add the till (#8), 2024-03-03)."
    )
    assert report(repository.folder).failure_rules == {"v1.1.0": "revert"}


@pytest.mark.parametrize(
    "message",
    [
        'Revert "Add the till (#8)"',
        'Revert "Add the till" (#9)',
        'Revert "Add the till (#8)" (#9)',
        'Revert "Tidy up"',
        'Revert "Merge pull request #7 from acme/topic"',
        "Take it back (#9)\n\nReverts #8",
        "Take it back (#9)\n\nReverts acme/shop#8",
        "Take it back (#9)\n\nReverts upstream/shop#8",
    ],
)
def test_a_revert_is_known_by_its_title_and_by_what_githubs_button_writes(
    repository: GitRepository, report: ReportCommand, reverting: RevertCase, message: str
) -> None:
    reverting.land_revert(message)
    assert report(repository.folder).failure_rules == {"v1.1.0": "revert"}


def test_one_commit_may_revert_several(repository: GitRepository, report: ReportCommand, reverting: RevertCase) -> None:
    second = repository.release("v1.1.1", "Sort", reverting.direct, at="03-05")
    text = f"Take both back\n\nThis reverts commit {second[:10]}.\nThis reverts commit {reverting.topic}."
    repository.release("v1.2.0", text, second, at="03-08")
    assert report(repository.folder).failure_rules == {"v1.1.0": "revert", "v1.1.1": "revert"}


def test_a_mention_of_a_revert_is_no_revert(
    repository: GitRepository, report: ReportCommand, reverting: RevertCase
) -> None:
    for text in ("> This reverts commit {}.", "    This reverts commit {}.", "Say `This reverts commit {}`."):
        reverting.land_revert(f"Bring it again\n\n{text.format(reverting.squashed)}")
        assert report(repository.folder).failure_rules == {}


def test_a_merged_pull_request_that_only_reverts_is_a_revert(
    repository: GitRepository, report: ReportCommand, reverting: RevertCase
) -> None:
    back = f"Back\n\nThis reverts commit {reverting.squashed}."
    reverting.land_revert(merge_message(9), back)
    assert report(repository.folder).failure_rules == {"v1.1.0": "revert"}
    reverting.land_revert(merge_message(9, "acme/revert-8-till"), "Prepare", back)
    assert report(repository.folder).failure_rules == {"v1.1.0": "revert"}
    reverting.land_revert(merge_message(9), back, "And a new thing")
    assert report(repository.folder).failure_rules == {}


def test_a_revert_within_a_pull_request_or_a_release_marks_nothing(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    topic = repository.commit("Try it", start, at="03-02")
    back = repository.commit(f"Back\n\nThis reverts commit {topic}.", topic, at="03-02")
    merged = repository.commit(merge_message(7), start, back, at="03-03")
    again = repository.commit("Try more (#8)", merged, at="03-03")
    repository.release("v1.1.0", f"Back\n\nThis reverts commit {again}.", again, at="03-04")
    assert report(repository.folder).failure_rules == {}


def test_a_revert_of_a_revert_marks_nothing(
    repository: GitRepository, report: ReportCommand, reverting: RevertCase
) -> None:
    reverting.land_revert(f"Back\n\nThis reverts commit {reverting.direct}.")
    back = repository.git("rev-parse", "v1.2.0")
    repository.release("v1.3.0", f"Anew\n\nThis reverts commit {back}.", back, at="03-12")
    assert report(repository.folder).failure_rules == {"v1.1.0": "revert"}


def test_a_revert_of_what_is_not_there_marks_nothing(
    repository: GitRepository, report: ReportCommand, reverting: RevertCase
) -> None:
    for text in (
        f"This reverts commit {'1' * 40}.",
        "This reverts commit 1111111.",
        "Reverts #77",
        "It reverts nothing",
    ):
        reverting.land_revert(f"Back\n\n{text}")
        assert report(repository.folder).failure_rules == {}


def test_what_git_itself_writes_is_understood(repository: GitRepository, report: ReportCommand) -> None:
    """With git's own commands and with files: merges, a revert of a merge, one by reference."""

    def git(*arguments: str, at: str) -> None:
        when = f"{unix_seconds(at)} +0000"
        repository.git(*arguments, GIT_AUTHOR_DATE=when, GIT_COMMITTER_DATE=when)

    def work(name: str, at: str) -> None:
        (repository.folder / name).write_text(name, "utf-8")
        repository.git("add", name)
        git("commit", "--quiet", "-m", f"Add {name}", at=at)

    def release(name: str, at: str) -> None:
        git("tag", "-a", name, "-m", name, at=at)

    work("start", "03-01")
    release("v1.0.0", "03-01")
    for number, name in enumerate(("basket", "till"), 1):
        repository.git("checkout", "--quiet", "-b", name, "main")
        work(name, f"03-0{number + 1}")
        repository.git("checkout", "--quiet", "main")
        git("merge", "--quiet", "--no-ff", name, "-m", merge_message(number, f"acme/{name}", f"The {name}"), at="03-04")
    release("v1.1.0", "03-05")
    git("revert", "--no-edit", "-m", "1", "HEAD", at="03-06")
    release("v1.2.0", "03-08")
    work("more", "03-09")
    release("v1.3.0", "03-10")
    git("revert", "--no-edit", "--reference", "HEAD", at="03-11")
    release("v1.4.0", "03-13")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == ["#1", "#2"]
    assert (found.lead_time_hours["#1"], found.lead_time_hours["#2"]) == (72, 48)
    assert found.failure_rules == {"v1.1.0": "revert", "v1.3.0": "revert"}


def test_a_squash_whose_branch_took_a_commit_of_its_own_back_is_no_revert(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    text = f'Feature (#7)\n\n* Try\n\n* Revert "Try"\n\nThis reverts commit {"1" * 40}.'
    feature = repository.release("v1.1.0", text, start, at="03-02")
    repository.release("v1.2.0", f"Back (#8)\n\nThis reverts commit {feature}.", feature, at="03-08")
    assert report(repository.folder).failure_rules == {"v1.1.0": "revert"}


def test_a_copy_on_another_line_that_was_taken_back_before_its_release_marks_nothing(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    repository.release("v1.0.1", "Mend the basket (#7)", start, at="03-03")
    main = repository.commit("Mend the basket (#7)", start, at="03-02")
    repository.release("v1.1.0", f"Back\n\nThis reverts commit {main}.", main, at="03-08")
    found = report(repository.folder)
    assert found.failure_rules == {}
    assert list(found.lead_time_hours) == ["#7", found.deployments["v1.1.0"]["sha"]]


def test_a_revert_marks_the_deployment_that_had_the_very_commit_that_it_names(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    """The pull request came first with v1.0.1, and with a copy to v1.1.0; only that copy was taken back."""
    repository.release("v1.0.1", "Mend the basket (#7)", start, at="03-02")
    main = repository.release("v1.1.0", "Mend the basket (#7)", start, at="03-03")
    repository.release("v1.1.1", f"Back\n\nThis reverts commit {main}.", main, at="03-08")
    found = report(repository.folder)
    assert found.failure_rules == {"v1.1.0": "revert"}
    assert found.metrics["lead_time"]["changes"] == 2
    assert found.changes["v1.1.0"] == ["#7"]


def test_a_commit_of_a_branch_that_was_deployed_before_its_merge_is_reverted_where_it_came_first(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    early = repository.release("v1.0.1", "Early", start, at="03-02")
    back = repository.release("v1.0.2", f"Back\n\nThis reverts commit {early}.", early, at="03-04")
    main = repository.commit("Other (#8)", start, at="03-04")
    late = repository.commit("Late", early, at="03-05")
    merged = repository.commit(merge_message(7), main, late, at="03-06")
    repository.release("v1.1.0", "Merge branch '1.0'", merged, back, at="03-07")
    assert report(repository.folder).failure_rules == {"v1.0.1": "revert"}


def test_to_revert_a_revert_within_a_larger_pull_request_marks_nothing(
    repository: GitRepository, report: ReportCommand, reverting: RevertCase
) -> None:
    back = f"Back\n\nThis reverts commit {reverting.squashed}."
    reverting.land_revert(merge_message(9), back, "Release 1.2")
    merged = repository.git("rev-parse", "v1.2.0")
    named = repository.git("rev-parse", "v1.2.0^2^")
    repository.release("v1.3.0", f"Anew\n\nThis reverts commit {named}.", merged, at="03-12")
    assert report(repository.folder).failure_rules == {}


@pytest.mark.parametrize("count", [1, 2])
def test_a_merge_without_a_pull_request_is_reverted_where_it_came(
    repository: GitRepository, report: ReportCommand, start: str, count: int
) -> None:
    head = start
    for number in range(count):
        head = repository.commit(f"Work {number}", head, at="03-02")
    merged = repository.commit("Merge branch 'work'", start, head, at="03-03")
    later = repository.release("v1.1.0", "Other work", merged, at="03-04")
    text = f"Back\n\nThis reverts commit {merged}, reversing\nchanges made to {start}."
    repository.release("v1.1.1", text, later, at="03-08")
    assert report(repository.folder).failure_rules == {"v1.1.0": "revert"}


@pytest.mark.parametrize("statement", ["Reverts acme/shop#3", "This reverts commit {sha}."])
def test_a_pull_request_that_only_carried_others_is_reverted_where_it_came(
    repository: GitRepository, report: ReportCommand, start: str, statement: str
) -> None:
    feature = repository.commit("Feature", start, at="03-02")
    develop = repository.commit(merge_message(1), start, feature, at="03-03")
    merged = repository.release("v1.1.0", merge_message(3, title="Release"), start, develop, at="03-04")
    repository.release("v1.1.1", f"Back (#4)\n\n{statement.format(sha=merged)}", merged, at="03-08")
    found = report(repository.folder)
    assert found.failure_rules == {"v1.1.0": "revert"}
    assert list(found.lead_time_hours) == ["#1", "#4"]
    assert found.changes["v1.1.0"] == ["#1"]


def test_a_hotfix_branch_that_got_its_fix_by_a_pull_request_is_a_hotfix(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    before = repository.release("v1.1.0", "Work", start, at="03-04")
    mended = repository.commit("Mend", before, at="03-04T02:00")
    fix = repository.commit(merge_message(10), before, mended, at="03-04T03:00")
    message = merge_message(12, title="Mend").replace("acme/topic", "acme/hotfix/1.1.1")
    repository.release("v1.1.1", message, before, fix, at="03-04T06:00")
    found = report(repository.folder)
    assert found.failure_rules == {"v1.1.0": "hotfix"}
    assert "#12" not in found.lead_time_hours
