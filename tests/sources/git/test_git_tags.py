"""Tags: prereleases, patch releases, their order, and tags that are not releases."""

import pytest

from dora_metrics.sources.git.tags import is_patch_of, is_prerelease, version_key
from support.git_repository import GitRepository, ReportCommand


@pytest.mark.parametrize(
    "name",
    [
        "v1.2.0-rc.1", "1.2.0-alpha", "v1.2.0-0.3.7", "1.2.0-0.3.7", "v1.2.0-x.7.z.92+build.5", "api/v1.2.0-beta.2",
        "app@1.2.0-rc1", "v6.1-rc3", "5.0a1", "3.12.0b4", "v3.12.0rc1", "1.2.0.beta1", "2.0.0.M1", "v2.0-SNAPSHOT",
        "2026.11.21-rc1",
    ],
)  # fmt: skip
def test_these_are_prereleases(name: str) -> None:
    assert is_prerelease(name)


@pytest.mark.parametrize(
    "name",
    [
        "v1.2.0", "1.2", "v1", "latest", "v1.2.0+build.5", "2026.11.21-2", "2026.11.21-1530", "1.0.2a", "release-7",
        "5.0.0.Final", "v1.2.0.1", "build-77-b3", "deploy/2026-11-21", "v1.2-prefix", "rc", "v\u0661.2.0-rc.1",
    ],
)  # fmt: skip
def test_these_are_releases(name: str) -> None:
    assert not is_prerelease(name)


@pytest.mark.parametrize(
    ("name", "before"),
    [("v1.2.4", "v1.2.3"), ("1.2.10", "1.2.9"), ("v1.2.5", "1.2.3"), ("api/v1.0.1", "api/v1.0.0")],
)
def test_these_only_raise_the_patch_number(name: str, before: str) -> None:
    assert is_patch_of(name, before)
    assert not is_patch_of(before, name)


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("v1.3.0", "v1.2.9"), ("v2.2.4", "v1.2.3"), ("v1.2.3", "v1.2.3"), ("web/v1.0.1", "api/v1.0.0"),
        ("v1.2.4-rc.1", "v1.2.3"), ("v1.2.4", "v1.2.3-rc.1"), ("v1.3", "v1.2"), ("2026.11.22", "2026.11.21"),
        ("v1.2.3.5", "v1.2.3.4"), ("latest", "v1.2.3"),
    ],
)  # fmt: skip
def test_these_raise_more_or_something_else(name: str, before: str) -> None:
    assert not is_patch_of(name, before)


def test_names_are_in_order_as_people_count() -> None:
    assert sorted(["v1.10.0", "v1.9.0", "v1.9", "a", "1.0", "v2" + "0" * 5000], key=version_key) == [
        "1.0", "a", "v1.9", "v1.9.0", "v1.10.0", "v2" + "0" * 5000,
    ]  # fmt: skip


def test_tags_of_the_same_second_are_in_order_of_version(repository: GitRepository, report: ReportCommand) -> None:
    first = repository.release("v1.9.0", "Start", at="03-01", tagged="03-05")
    second = repository.release("v1.10.0", "More", first, at="03-02", tagged="03-05")
    third = repository.release("v1.11.0", "Even more", second, at="03-03", tagged="03-05")
    found = report(repository.folder)
    assert found.changes == {"v1.9.0": [first], "v1.10.0": [second], "v1.11.0": [third]}
    assert list(found.deployments) == ["v1.9.0", "v1.10.0", "v1.11.0"]
    assert found.lead_time_hours == {second: 72, third: 48}
    assert {one["finished_at"] for one in found.deployments.values()} == {"2024-03-05T00:00:00Z"}


def test_prereleases_are_in_no_number_and_take_nothing_away_from_the_release(
    repository: GitRepository, report: ReportCommand
) -> None:
    first = repository.release("v1.0.0", "Start", at="03-01")
    second = repository.release("v1.1.0-rc.1", "More", first, at="03-02")
    repository.tag("v1.1.0", second, "03-04")
    found = report(repository.folder)
    assert found.changes == {"v1.0.0": [first], "v1.1.0": [second]}
    assert found.lead_time_hours == {second: 48}
    assert (
        "3 tags as deployments (2 releases, 1 prerelease); prereleases have the environment prerelease." in found.notes
    )
    assert "Deployments that are not production, and in no number: prerelease (1)." in found.notes


def test_prereleases_count_where_the_settings_say_so(repository: GitRepository, report: ReportCommand) -> None:
    first = repository.release("v1.0.0-rc.1", "Start", at="03-01")
    repository.tag("v1.0.0", repository.commit("More", first, at="03-02"))
    found = report(repository.folder, "--production-environments", "production, prerelease").document["scopes"]
    assert {scope["environment"]: scope["metrics"]["deployment_frequency"]["deployments"] for scope in found} == {
        "prerelease": 1,
        "production": 1,
    }


def test_a_prerelease_between_two_releases_is_no_step_of_a_patch(
    repository: GitRepository, report: ReportCommand
) -> None:
    first = repository.release("v1.0.0", "Start", at="03-01")
    second = repository.release("v1.0.1-rc.1", "Mend", first, at="03-01T02:00")
    repository.tag("v1.0.1", second, "03-01T04:00")
    assert report(repository.folder).failure_rules == {"v1.0.0": "hotfix"}


def test_of_two_tags_on_one_commit_the_second_delivers_nothing_and_is_no_patch(
    repository: GitRepository, report: ReportCommand
) -> None:
    first = repository.release("v1.0.0", "Start", at="03-01")
    second = repository.release("v1.1.0", "More", first, at="03-02")
    repository.tag("v1.1.1", second, "03-02T01:00")
    found = report(repository.folder)
    assert found.changes == {"v1.0.0": [first], "v1.1.0": [second], "v1.1.1": []}
    assert found.deployments["v1.1.1"]["commit_count"] == 0
    assert found.failure_rules == {}
    assert "they count, and deliver nothing new: 1 (v1.1.1)." in found.notes


def test_a_slow_patch_and_a_patch_of_another_line_mark_nothing(
    repository: GitRepository, report: ReportCommand
) -> None:
    old = repository.release("v1.0.0", "Start", at="03-01")
    new = repository.release("v2.0.0", "Anew", old, at="03-05")
    repository.tag("v1.0.1", repository.commit("Mend the old", old, at="03-05T02:00"))
    repository.tag("v2.0.1", repository.commit("Mend the new", new, at="03-06T04:00"))
    found = report(repository.folder)
    assert found.failure_rules == {}
    assert found.metrics["rework_rate"]["rework"] == 0


def test_a_tag_of_a_tag_is_a_tag_of_its_commit(repository: GitRepository, report: ReportCommand) -> None:
    first = repository.commit("Start", at="03-01")
    repository.tag("inner", first, "03-02")
    repository.tag("middle", repository.git("rev-parse", "refs/tags/inner"), "03-03")
    repository.tag("outer", repository.git("rev-parse", "refs/tags/middle"), "03-04")
    found = report(repository.folder)
    assert [(tag, one["sha"]) for tag, one in found.deployments.items()] == [
        ("inner", first), ("middle", first), ("outer", first),
    ]  # fmt: skip
    assert found.deployments["outer"]["finished_at"] == "2024-03-04T00:00:00Z"


def test_tags_on_trees_and_files_are_left_out_and_counted(repository: GitRepository, report: ReportCommand) -> None:
    repository.release("v1", "Start", at="03-01")
    repository.tag("tree", repository.git("rev-parse", "HEAD^{tree}"))
    blob = repository.git("hash-object", "-w", "--stdin", stdin="key")
    repository.tag("key", blob, "03-02")
    repository.tag("outer-key", repository.git("rev-parse", "refs/tags/key"), "03-03")
    found = report(repository.folder)
    assert list(found.deployments) == ["v1"]
    assert "no commit but a tree or a file, and left out: 3 (tree, outer-key, key)." in found.notes


def test_a_tag_without_a_tagger_has_its_commits_time(repository: GitRepository, report: ReportCommand) -> None:
    sha = repository.commit("Start", at="03-01T05:00")
    raw = f"object {sha}\ntype commit\ntag v1\n\nAs git wrote them in 2005\n"
    repository.git("update-ref", "refs/tags/v1", repository.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=raw))
    assert report(repository.folder).deployments["v1"]["finished_at"] == "2024-03-01T05:00:00Z"


@pytest.mark.parametrize(
    "name",
    ["version/1.0,(β)|`<b>`", "v1;rm -rf", "v$(id)", '"quoted"', "@me", "#1", "v1\u2028x", "x" * 200, "-v1", "v%00"],
)
def test_tags_of_any_name_are_read(repository: GitRepository, report: ReportCommand, name: str) -> None:
    if " " in name:
        name = name.replace(" ", "\u00a0")  # git accepts no plain space
    repository.release(name, "Start", at="03-01")
    assert list(report(repository.folder).deployments) == [name]
    out = report(repository.folder, "--format", "markdown").out
    assert "<b>" not in out


def test_names_that_are_no_utf_8_are_told_apart(repository: GitRepository, report: ReportCommand) -> None:
    sha = repository.commit("Start", at="03-01")
    packed = f"{sha} refs/tags/v1-".encode()
    (repository.folder / ".git" / "packed-refs").write_bytes(
        b"# pack-refs with: peeled fully-peeled sorted \n" + packed + b"\xfe\n" + packed + b"\xff\n"
    )
    assert list(report(repository.folder).deployments) == ["v1-\\xfe", "v1-\\xff"]
