"""Branches that are deployed before they are merged, and merges that only carry the changes of others."""

from support.git_repository import GitRepository, ReportCommand, merge_message

GITHUB = "GitHub <noreply@github.com>"


def test_a_branch_that_is_tagged_before_its_merge_counts_once_as_its_pull_request(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    first = repository.commit("First", start, at="03-02")
    second = repository.release("v1.0.1", "Second", first, at="03-03")
    main = repository.commit("Other (#8)", start, at="03-03")
    repository.release("v1.1.0", merge_message(7), main, second, at="03-05")
    found = report(repository.folder)
    assert found.lead_time_hours == {"#7": 24, "#8": 48}
    assert found.changes["v1.0.1"] == ["#7"]
    assert found.metrics["lead_time"]["excluded"]["no_start"] == 0


def test_a_branch_that_grows_after_its_tag_counts_with_the_tag_that_has_all_of_it(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    early = repository.release("v1.0.1", "Early", start, at="03-02")
    main = repository.commit("Other (#8)", start, at="03-03")
    late = repository.commit("Late", early, at="03-03")
    repository.release("v1.1.0", merge_message(7), main, late, at="03-05")
    found = report(repository.folder)
    assert found.changes["v1.0.1"] == []
    assert found.lead_time_hours == {"#7": 72, "#8": 48}
    assert report(repository.folder, "--lead-time-start", "commit").metrics["lead_time"]["changes"] == 3


def test_a_tagged_branch_that_followed_main_counts_once_too(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    """What main had already, and what another branch on it had, is not the branch's own."""
    topic = repository.commit("Topic", start, at="03-02")
    other = repository.commit("Other", start, at="03-02")
    main = repository.commit("Merge branch 'other'", start, other, at="03-02T06:00")
    tagged = repository.release("v1.0.1", "Merge branch 'main'", topic, main, at="03-03")
    repository.release("v1.1.0", merge_message(7), main, tagged, at="03-05")
    found = report(repository.folder)
    assert found.changes["v1.0.1"] == ["#7", other]
    assert found.lead_time_hours == {other: 24, "#7": 24}


def test_a_merge_of_a_release_branch_back_into_main_is_no_change(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    fix = repository.commit("Fix (#7)", start, at="03-02", committer=GITHUB)
    cut = repository.release("v1.0.1", "Cut 1.0.1", fix, at="03-03")
    main = repository.commit("Other (#8)", start, at="03-03")
    repository.release("v1.1.0", merge_message(9, "acme/release-1.0"), main, cut, at="03-05")
    found = report(repository.folder)
    assert found.changes == {"v1.0.0": [start], "v1.0.1": ["#7", cut], "v1.1.0": ["#8"]}
    assert found.lead_time_hours == {"#7": 24, cut: 0, "#8": 48}
    assert found.metrics["lead_time"]["excluded"]["no_start"] == 0


def test_a_merge_of_develop_into_main_is_no_change_beside_what_it_carries(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    squashed = repository.commit("Basket (#7)", start, at="03-02", committer=GITHUB)
    topic = repository.commit("Topic", squashed, at="03-03")
    merged = repository.commit(merge_message(8), squashed, topic, at="03-04")
    repository.release("v1.1.0", merge_message(9, "acme/develop"), start, merged, at="03-05")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == ["#7", "#8"]
    assert found.lead_time_hours == {"#7": 72, "#8": 48}


def test_a_merge_of_main_into_a_line_of_its_own_leaves_mains_changes_as_they_were(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    following = repository.commit("Next (#6)", start, at="03-01T12:00", committer=GITHUB)
    squashed = repository.commit("Basket (#7)", start, at="03-02", committer=GITHUB)
    direct = repository.release("v1.0.1", "Tidy", squashed, at="03-03")
    repository.release("v2.0.0", "Merge main into next (#9)", following, direct, at="03-05")
    found = report(repository.folder)
    assert found.changes["v1.0.1"] == ["#7", direct]
    assert found.changes["v2.0.0"] == ["#6"]


def test_a_hotfix_branch_that_is_tagged_before_its_merge_is_a_hotfix(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    fix = repository.release("v1.0.1", "Mend", start, at="03-01T03:00")
    main = repository.commit("Other (#8)", start, at="03-01T04:00")
    repository.release("v1.1.0", merge_message(7, "acme/hotfix/till"), main, fix, at="03-05")
    assert report(repository.folder).failure_rules == {"v1.0.0": "hotfix"}


def test_a_branch_that_is_tagged_after_its_merge_counts_once_at_its_tag(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    """Who tags once everything is merged tags the same commits."""
    bump = repository.commit("Bump", start, at="03-02")
    merged = repository.commit(merge_message(7, "acme/release/1.1"), start, bump, at="03-03")
    repository.tag("v1.1.0", bump, "03-04")
    repository.release("v1.2.0", "Other (#8)", merged, at="03-05")
    found = report(repository.folder)
    assert found.changes["v1.1.0"] == ["#7"]
    assert found.lead_time_hours == {"#7": 48, "#8": 0}


def test_a_hotfix_branch_that_is_tagged_after_its_merge_is_a_hotfix(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    fix = repository.commit("Mend", start, at="03-01T03:00")
    main = repository.commit(merge_message(7, "acme/hotfix/till"), start, fix, at="03-01T04:00")
    repository.tag("v1.0.1", fix, "03-01T05:00")
    repository.release("v1.1.0", "Other (#8)", main, at="03-05")
    assert report(repository.folder).failure_rules == {"v1.0.0": "hotfix"}


def test_a_hotfix_branch_that_is_merged_into_two_lines_counts_once(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    develop = repository.commit("Feature (#6)", start, at="03-02", committer=GITHUB)
    fix = repository.commit("Mend", start, at="03-03")
    main = repository.commit(merge_message(7, "acme/hotfix/till"), start, fix, at="03-03T01:00")
    back = repository.commit(merge_message(8, "acme/hotfix/till"), develop, fix, at="03-03T02:00")
    repository.tag("v1.0.1", fix, "03-03T03:00")
    repository.release("v1.1.0", merge_message(9, "acme/develop"), main, back, at="03-05")
    found = report(repository.folder)
    assert found.changes["v1.0.1"] == ["#7"]
    assert found.lead_time_hours == {"#7": 3, "#6": 72}


def test_a_release_does_not_start_with_what_a_merge_into_it_had_delivered_before(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    """Main's own commit came to users with v1.1.0, and then to develop by a pull request."""
    bump = repository.release("v1.1.0", "Bump", start, at="03-02")
    develop = repository.commit("Feature (#6)", start, at="03-03", committer=GITHUB)
    back = repository.commit(merge_message(7, "acme/main"), develop, bump, at="03-03")
    cut = repository.commit("Bump again", back, at="03-04")
    repository.release("v1.2.0", merge_message(8, "acme/release/1.2"), bump, cut, at="03-05")
    found = report(repository.folder)
    assert found.lead_time_hours == {"#7": 0, "#6": 48, "#8": 48}
