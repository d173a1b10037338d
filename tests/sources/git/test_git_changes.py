"""Commits become changes: merged and squashed pull requests, direct commits, bots, hotfixes."""

import pytest

from support.git_repository import GitRepository, ReportCommand, merge_message, unix_seconds

BOT = "dependabot[bot] <49699333+dependabot[bot]@users.noreply.github.com>"
GITHUB = "GitHub <noreply@github.com>"


def test_a_merge_without_a_pull_request_is_no_change_but_its_commits_are(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    one = repository.commit("One", start, at="03-02")
    two = repository.commit("Two", start, at="03-03")
    repository.release("v1.1.0", "Merge branch 'topic'", one, two, at="03-04")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == [one, two]
    assert found.deployments["v1.1.0"]["commit_count"] == 3


def test_a_merge_with_a_number_in_its_title_is_a_pull_request(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    """In repositories that use the pull request's title for the merge commit."""
    topic = repository.commit("One", start, at="03-02")
    repository.release("v1.1.0", "Add the basket (#7)", start, topic, at="03-04")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == ["#7"]
    assert found.lead_time_hours == {"#7": 48}
    assert "squashed" not in found.notes


@pytest.mark.parametrize(
    "title", ["Fix #7", "(#7) first", "Fix (#7).", "Fix (#)", "Fix (acme/shop#7)", "Merge pull request #7"]
)
def test_other_numbers_in_a_title_are_no_pull_request(
    repository: GitRepository, report: ReportCommand, start: str, title: str
) -> None:
    sha = repository.release("v1.1.0", title, start, at="03-04")
    assert report(repository.folder).changes["v1.1.0"] == [sha]


def test_of_several_numbers_the_last_is_the_pull_requests(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    repository.release("v1.1.0", "Take over (#7) for 1.1 (#9)", start, at="03-04")
    assert report(repository.folder).changes["v1.1.0"] == ["#9"]


def test_a_number_behind_a_merged_pull_request_is_one_only_where_github_made_the_commit(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    issue = repository.commit("Fix what #12 says (#12)", start, at="03-02")
    squashed = repository.commit("Add the basket (#13)", issue, at="03-03", committer=GITHUB)
    own = repository.commit("As #20 wants it (#20)", squashed, at="03-03", committer=GITHUB)
    repository.release("v1.1.0", merge_message(20), start, own, at="03-04")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == ["#13", "#20"]
    assert found.lead_time_hours == {"#13": 24, "#20": 48}


def test_a_pull_request_merged_into_another_ones_branch_has_its_own_commits(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    outer = repository.commit("Outer", start, at="03-03")
    inner = repository.commit("Inner", outer, at="03-02")
    merged = repository.commit(merge_message(7), outer, inner, at="03-04")
    repository.release("v1.1.0", merge_message(8), start, merged, at="03-05")
    found = report(repository.folder, "--lead-time-start", "commit")
    assert found.changes["v1.1.0"] == ["#7", "#8"]
    assert found.lead_time_hours == {"#7": 72, "#8": 48}
    assert report(repository.folder).lead_time_hours == {
        "#7": 72,
        "#8": 72,
    }  # the branch of #8 began with what #7 delivered


def test_what_the_main_branch_already_had_is_not_the_pull_requests(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    main = repository.commit("On main", start, at="03-01T12:00")
    topic = repository.commit("Topic", start, at="03-02")
    updated = repository.commit("Merge branch 'main' into topic", topic, main, at="03-02T12:00")
    repository.release("v1.1.0", merge_message(7), main, updated, at="03-03")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == [main, "#7"]
    assert found.lead_time_hours == {main: 36, "#7": 24}


def test_an_octopus_merge_brings_what_all_its_branches_had(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    topics = [repository.commit(f"Topic {day}", start, at=f"03-0{day}") for day in (2, 3, 4)]
    repository.release("v1.1.0", "Merge branches 'a', 'b' and 'c'", start, *topics, at="03-05")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == topics
    assert found.deployments["v1.1.0"]["commit_count"] == 4
    topic = repository.commit("Topic 5", topics[0], at="03-05")
    repository.release("v1.2.0", merge_message(9), repository.git("rev-parse", "v1.1.0"), topic, topics[1], at="03-06")
    assert report(repository.folder).changes["v1.2.0"] == ["#9"]


def test_a_history_of_its_own_is_merged_like_a_branch(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    root = repository.commit("Another root", at="03-02")
    repository.release("v1.1.0", "Merge branch 'docs'", start, root, at="03-03")
    repository.release("v1.2.0", "A third root", at="03-04")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == [root]
    assert found.deployments["v1.2.0"]["commit_count"] == 1


def test_a_cherry_picked_change_stays_with_the_tag_that_had_it_first(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    main = repository.commit("Mend the basket (#7)", start, at="03-02")
    repository.release("v1.0.1", "Mend the basket (#7)", start, at="03-03")
    repository.tag("v1.1.0", repository.commit("More (#8)", main, at="03-04"), "03-04")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == ["#7", "#8"]
    assert [one["deployment"] for one in found.scope["evidence"]["lead_times"]] == ["git:tag:v1.0.1", "git:tag:v1.1.0"]


def test_several_commits_with_one_number_are_one_change(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    one = repository.commit("Step one (#7)", start, at="03-02")
    repository.release("v1.1.0", "Step two (#7)", one, at="03-03")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == ["#7"]
    assert found.lead_time_hours == {"#7": 24}
    assert found.deployments["v1.1.0"]["commit_count"] == 2


def test_a_merge_of_more_commits_than_an_api_shows_is_whole(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    stream = [f"feature done\nreset refs/heads/topic\nfrom {start}\n"]
    for at in range(unix_seconds("03-02"), unix_seconds("03-02") + 300):
        who = f"A <a@b> {at} +0000"
        stream += [f"commit refs/heads/topic\nauthor {who}\ncommitter {who}\ndata 4\nStep\n\n"]
    repository.git("fast-import", "--quiet", stdin="".join([*stream, "done\n"]))
    tip = repository.git("rev-parse", "refs/heads/topic")
    repository.release("v1.1.0", merge_message(7), start, tip, at="03-03")
    found = report(repository.folder, "--lead-time-start", "commit")
    assert found.changes["v1.1.0"] == ["#7"]
    assert found.deployments["v1.1.0"]["commit_count"] == 301
    assert found.metrics["lead_time"]["changes"] == 300


def test_changes_of_bots_are_left_out_by_name_or_address(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    named = repository.commit("Bump a (#4)", start, at="03-02", author="renovate[bot] <r@example.org>")
    direct = repository.commit("Bump b", named, at="03-02", author=BOT.replace("dependabot[bot]", "Dependabot", 1))
    topic = repository.commit("Bump c", direct, at="03-02", author=BOT)
    merged = repository.commit(merge_message(5, "acme/dependabot/pip/c"), direct, topic, at="03-02")
    helped = repository.commit("Bump d", merged, at="03-02", author=BOT)
    mended = repository.commit("Make it work", helped, at="03-02")
    repository.release("v1.1.0", merge_message(6), merged, mended, at="03-03")
    found = report(repository.folder)
    assert list(found.lead_time_hours) == ["#6"]  # a person contributed
    assert found.metrics["lead_time"]["excluded"]["bots"] == 3
    assert report(repository.folder, "--exclude-bots", "false").metrics["lead_time"]["changes"] == 4


@pytest.mark.parametrize("branch", ["acme/hotfix/till", "acme/hotfix-till"])
def test_a_hotfix_branch_is_known_by_the_merges_own_words(
    repository: GitRepository, report: ReportCommand, start: str, branch: str
) -> None:
    topic = repository.commit("Mend", start, at="03-01T02:00")
    repository.release("v1.1.0", merge_message(7, branch), start, topic, at="03-01T03:00")
    assert report(repository.folder).failure_rules == {"v1.0.0": "hotfix"}
    assert report(repository.folder, "--hotfix-branches", "urgent/").failure_rules == {}


def test_a_hotfix_branch_without_a_pull_request_is_known_too(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    topic = repository.commit("Mend", start, at="03-01T02:00")
    repository.release("v1.1.0", "Merge branch 'hotfix/till'", start, topic, at="03-01T03:00")
    assert report(repository.folder).failure_rules == {"v1.0.0": "hotfix"}


def test_prefixes_and_fixtures_are_no_hotfixes(repository: GitRepository, report: ReportCommand, start: str) -> None:
    repository.release("v1.1.0", "fix: prefix, suffix and fixture; hotfixes later (#7)", start, at="03-01T02:00")
    assert report(repository.folder).failure_rules == {}


@pytest.mark.parametrize(
    "author",
    [
        "renovate[bot] <29139614+renovate[bot]@users.noreply.github.com>", "Renovate Bot <bot@renovateapp.com>",
        "Mend Renovate <renovate@example.org>", "dependabot-preview[bot] <support@dependabot.com>",
        "github-actions <actions@example.org>", "GitHub Actions <ci@example.org>",
        "Ada <1234+acme-bot@users.example.org>", "semantic-release-bot <a@example.org>",
        "Snyk bot <a@example.org>", "release-please <a@example.org>", "acme-deploy-bot <a@example.org>",
        "Acme (Bot) <a@example.org>",
    ],
)  # fmt: skip
def test_a_bot_is_known_by_its_name_or_address(repository: GitRepository, report: ReportCommand, author: str) -> None:
    start = repository.release("v1.0.0", "Start", at="03-01")
    repository.tag("v1.1.0", repository.commit("Bump a", start, at="03-02", author=author))
    assert report(repository.folder).metrics["lead_time"]["excluded"]["bots"] == 1


@pytest.mark.parametrize(
    "author", ["Ada Talbot <ada.talbot@example.org>", "Bot Ada <ada@snyk.io>", "Renovate Smith <ada@github.com>"]
)
def test_a_person_with_a_name_like_a_bots_is_a_person(
    repository: GitRepository, report: ReportCommand, author: str
) -> None:
    start = repository.release("v1.0.0", "Start", at="03-01")
    repository.tag("v1.1.0", repository.commit("More", start, at="03-02", author=author))
    assert report(repository.folder).metrics["lead_time"]["excluded"]["bots"] == 0
