"""Commits become changes: merged and squashed pull requests, direct commits, bots, reverts."""

import pytest

from support.histories import Report, Repository, seconds

BOT = "dependabot[bot] <49699333+dependabot[bot]@users.noreply.github.com>"
GITHUB = "GitHub <noreply@github.com>"


def merge(number: int, branch: str = "acme/topic", title: str = "A title") -> str:
    return f"Merge pull request #{number} from {branch}\n\n{title}"


@pytest.fixture
def start(repository: Repository) -> str:
    return repository.release("v1.0.0", "Start", at="03-01")


def test_a_merge_without_a_pull_request_is_no_change_but_its_commits_are(
    repository: Repository, report: Report, start: str
) -> None:
    one = repository.commit("One", start, at="03-02")
    two = repository.commit("Two", start, at="03-03")
    repository.release("v1.1.0", "Merge branch 'topic'", one, two, at="03-04")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == [one, two]
    assert found.deployments["v1.1.0"]["commit_count"] == 3


def test_a_merge_with_a_number_in_its_title_is_a_pull_request(
    repository: Repository, report: Report, start: str
) -> None:
    """As repositories have it that take the pull request's title for the merge."""
    topic = repository.commit("One", start, at="03-02")
    repository.release("v1.1.0", "Add the basket (#7)", start, topic, at="03-04")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == ["#7"]
    assert found.hours == {"#7": 48}
    assert "squashed" not in found.notes


@pytest.mark.parametrize(
    "title", ["Fix #7", "(#7) first", "Fix (#7).", "Fix (#)", "Fix (acme/shop#7)", "Merge pull request #7"]
)
def test_other_numbers_in_a_title_are_no_pull_request(
    repository: Repository, report: Report, start: str, title: str
) -> None:
    sha = repository.release("v1.1.0", title, start, at="03-04")
    assert report(repository.folder).changes["v1.1.0"] == [sha]


def test_of_several_numbers_the_last_is_the_pull_requests(repository: Repository, report: Report, start: str) -> None:
    repository.release("v1.1.0", "Take over (#7) for 1.1 (#9)", start, at="03-04")
    assert report(repository.folder).changes["v1.1.0"] == ["#9"]


def test_a_number_behind_a_merged_pull_request_is_one_only_where_github_made_the_commit(
    repository: Repository, report: Report, start: str
) -> None:
    issue = repository.commit("Fix what #12 says (#12)", start, at="03-02")
    squashed = repository.commit("Add the basket (#13)", issue, at="03-03", committer=GITHUB)
    own = repository.commit("As #20 wants it (#20)", squashed, at="03-03", committer=GITHUB)
    repository.release("v1.1.0", merge(20), start, own, at="03-04")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == ["#13", "#20"]
    assert found.hours == {"#13": 24, "#20": 48}


def test_a_pull_request_merged_into_another_ones_branch_has_its_own_commits(
    repository: Repository, report: Report, start: str
) -> None:
    outer = repository.commit("Outer", start, at="03-03")
    inner = repository.commit("Inner", outer, at="03-02")
    merged = repository.commit(merge(7), outer, inner, at="03-04")
    repository.release("v1.1.0", merge(8), start, merged, at="03-05")
    found = report(repository.folder, "--lead-time-start", "commit")
    assert found.changes["v1.1.0"] == ["#7", "#8"]
    assert found.hours == {"#7": 72, "#8": 48}
    assert report(repository.folder).hours == {"#7": 72, "#8": 72}  # 8's branch began with what 7 brought


def test_what_the_main_branch_already_had_is_not_the_pull_requests(
    repository: Repository, report: Report, start: str
) -> None:
    main = repository.commit("On main", start, at="03-01T12:00")
    topic = repository.commit("Topic", start, at="03-02")
    updated = repository.commit("Merge branch 'main' into topic", topic, main, at="03-02T12:00")
    repository.release("v1.1.0", merge(7), main, updated, at="03-03")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == [main, "#7"]
    assert found.hours == {main: 36, "#7": 24}


def test_an_octopus_merge_brings_what_all_its_branches_had(repository: Repository, report: Report, start: str) -> None:
    topics = [repository.commit(f"Topic {day}", start, at=f"03-0{day}") for day in (2, 3, 4)]
    repository.release("v1.1.0", "Merge branches 'a', 'b' and 'c'", start, *topics, at="03-05")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == topics
    assert found.deployments["v1.1.0"]["commit_count"] == 4
    topic = repository.commit("Topic 5", topics[0], at="03-05")
    repository.release("v1.2.0", merge(9), repository.git("rev-parse", "v1.1.0"), topic, topics[1], at="03-06")
    assert report(repository.folder).changes["v1.2.0"] == ["#9"]


def test_a_history_of_its_own_is_merged_like_a_branch(repository: Repository, report: Report, start: str) -> None:
    root = repository.commit("Another root", at="03-02")
    repository.release("v1.1.0", "Merge branch 'docs'", start, root, at="03-03")
    repository.release("v1.2.0", "A third root", at="03-04")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == [root]
    assert found.deployments["v1.2.0"]["commit_count"] == 1


def test_a_cherry_picked_change_stays_with_the_tag_that_had_it_first(
    repository: Repository, report: Report, start: str
) -> None:
    main = repository.commit("Mend the basket (#7)", start, at="03-02")
    repository.release("v1.0.1", "Mend the basket (#7)", start, at="03-03")
    repository.tag("v1.1.0", repository.commit("More (#8)", main, at="03-04"), "03-04")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == ["#7", "#8"]
    assert [one["deployment"] for one in found.scope["evidence"]["lead_times"]] == ["git:tag:v1.0.1", "git:tag:v1.1.0"]


def test_several_commits_with_one_number_are_one_change(repository: Repository, report: Report, start: str) -> None:
    one = repository.commit("Step one (#7)", start, at="03-02")
    repository.release("v1.1.0", "Step two (#7)", one, at="03-03")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == ["#7"]
    assert found.hours == {"#7": 24}
    assert found.deployments["v1.1.0"]["commit_count"] == 2


def test_a_merge_of_more_commits_than_an_api_shows_is_whole(repository: Repository, report: Report, start: str) -> None:
    stream = [f"feature done\nreset refs/heads/topic\nfrom {start}\n"]
    for at in range(seconds("03-02"), seconds("03-02") + 300):
        who = f"A <a@b> {at} +0000"
        stream += [f"commit refs/heads/topic\nauthor {who}\ncommitter {who}\ndata 4\nStep\n\n"]
    repository.git("fast-import", "--quiet", given="".join([*stream, "done\n"]))
    tip = repository.git("rev-parse", "refs/heads/topic")
    repository.release("v1.1.0", merge(7), start, tip, at="03-03")
    found = report(repository.folder, "--lead-time-start", "commit")
    assert found.changes["v1.1.0"] == ["#7"]
    assert found.deployments["v1.1.0"]["commit_count"] == 301
    assert found.metrics["lead_time"]["changes"] == 300


def test_changes_of_bots_are_left_out_by_name_or_address(repository: Repository, report: Report, start: str) -> None:
    named = repository.commit("Bump a (#4)", start, at="03-02", author="renovate[bot] <r@example.org>")
    direct = repository.commit("Bump b", named, at="03-02", author=BOT.replace("dependabot[bot]", "Dependabot", 1))
    topic = repository.commit("Bump c", direct, at="03-02", author=BOT)
    merged = repository.commit(merge(5, "acme/dependabot/pip/c"), direct, topic, at="03-02")
    helped = repository.commit("Bump d", merged, at="03-02", author=BOT)
    mended = repository.commit("Make it work", helped, at="03-02")
    repository.release("v1.1.0", merge(6), merged, mended, at="03-03")
    found = report(repository.folder)
    assert list(found.hours) == ["#6"]  # a person took part
    assert found.metrics["lead_time"]["excluded"]["bots"] == 3
    assert report(repository.folder, "--exclude-bots", "false").metrics["lead_time"]["changes"] == 4


@pytest.mark.parametrize("branch", ["acme/hotfix/till", "acme/hotfix-till"])
def test_a_hotfix_branch_is_known_by_the_merges_own_words(
    repository: Repository, report: Report, start: str, branch: str
) -> None:
    topic = repository.commit("Mend", start, at="03-01T02:00")
    repository.release("v1.1.0", merge(7, branch), start, topic, at="03-01T03:00")
    assert report(repository.folder).failures == {"v1.0.0": "hotfix"}
    assert report(repository.folder, "--hotfix-branches", "urgent/").failures == {}


def test_a_hotfix_branch_without_a_pull_request_is_known_too(
    repository: Repository, report: Report, start: str
) -> None:
    topic = repository.commit("Mend", start, at="03-01T02:00")
    repository.release("v1.1.0", "Merge branch 'hotfix/till'", start, topic, at="03-01T03:00")
    assert report(repository.folder).failures == {"v1.0.0": "hotfix"}


# Reverts. Each is of what v1.1.0 brought, and comes days later, so that no quick patch has a part in it.


class Reverting:
    """v1.1.0 brings #7, merged; #8, squashed; and a direct commit."""

    def __init__(self, repository: Repository, start: str) -> None:
        self._repository = repository
        self.topic = repository.commit("Topic", start, at="03-02")
        self.merged = repository.commit(merge(7, title="Add the basket"), start, self.topic, at="03-02")
        self.squashed = repository.commit("Add the till (#8)", self.merged, at="03-03")
        self.direct = repository.release("v1.1.0", "Tidy up", self.squashed, at="03-03")

    def by(self, message: str, *behind: str) -> None:
        """Something that lands with v1.2.0; `behind`: with these commits behind a merge."""
        tip = self.direct
        for text in behind:
            tip = self._repository.commit(text, tip, at="03-08")
        parents = (self.direct, tip) if behind else (self.direct,)
        self._repository.release("v1.2.0", message, *parents, at="03-08")


@pytest.fixture
def reverting(repository: Repository, start: str) -> Reverting:
    return Reverting(repository, start)


def test_a_revert_is_known_by_the_commit_that_it_names(
    repository: Repository, report: Report, reverting: Reverting
) -> None:
    for target in (reverting.topic, reverting.squashed, reverting.direct):
        reverting.by(f"Take it back\n\nThis reverts commit {target}.")
        assert report(repository.folder).failures == {"v1.1.0": "revert"}


def test_a_revert_of_a_merge_is_known_by_the_merge(
    repository: Repository, report: Report, reverting: Reverting
) -> None:
    reverting.by(f"Take it back\n\nThis reverts commit {reverting.merged}, reversing\nchanges made to {'0' * 40}.")
    assert report(repository.folder).failures == {"v1.1.0": "revert"}


def test_a_revert_by_reference_names_a_short_sha(repository: Repository, report: Report, reverting: Reverting) -> None:
    reverting.by(f"Take it back\n\nThis reverts commit {reverting.squashed[:8]} (Add the till (#8), 2024-03-03).")
    assert report(repository.folder).failures == {"v1.1.0": "revert"}


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
    repository: Repository, report: Report, reverting: Reverting, message: str
) -> None:
    reverting.by(message)
    assert report(repository.folder).failures == {"v1.1.0": "revert"}


def test_a_merged_pull_request_that_only_reverts_is_a_revert(
    repository: Repository, report: Report, reverting: Reverting
) -> None:
    back = f"Back\n\nThis reverts commit {reverting.squashed}."
    reverting.by(merge(9), back)
    assert report(repository.folder).failures == {"v1.1.0": "revert"}
    reverting.by(merge(9, "acme/revert-8-till"), "Prepare", back)
    assert report(repository.folder).failures == {"v1.1.0": "revert"}
    reverting.by(merge(9), back, "And a new thing")
    assert report(repository.folder).failures == {}


def test_a_revert_within_a_pull_request_or_a_release_marks_nothing(
    repository: Repository, report: Report, start: str
) -> None:
    topic = repository.commit("Try it", start, at="03-02")
    back = repository.commit(f"Back\n\nThis reverts commit {topic}.", topic, at="03-02")
    merged = repository.commit(merge(7), start, back, at="03-03")
    again = repository.commit("Try more (#8)", merged, at="03-03")
    repository.release("v1.1.0", f"Back\n\nThis reverts commit {again}.", again, at="03-04")
    assert report(repository.folder).failures == {}


def test_a_revert_of_a_revert_marks_nothing(repository: Repository, report: Report, reverting: Reverting) -> None:
    reverting.by(f"Back\n\nThis reverts commit {reverting.direct}.")
    back = repository.git("rev-parse", "v1.2.0")
    repository.release("v1.3.0", f"Anew\n\nThis reverts commit {back}.", back, at="03-12")
    assert report(repository.folder).failures == {"v1.1.0": "revert"}


def test_a_revert_of_what_is_not_there_marks_nothing(
    repository: Repository, report: Report, reverting: Reverting
) -> None:
    for text in (
        f"This reverts commit {'1' * 40}.",
        "This reverts commit 1111111.",
        "Reverts #77",
        "It reverts nothing",
    ):
        reverting.by(f"Back\n\n{text}")
        assert report(repository.folder).failures == {}


def test_prefixes_and_fixtures_are_no_hotfixes(repository: Repository, report: Report, start: str) -> None:
    repository.release("v1.1.0", "fix: prefix, suffix and fixture; hotfixes later (#7)", start, at="03-01T02:00")
    assert report(repository.folder).failures == {}
