"""Tags: which are deployments, prereleases, their order, and several of them on one commit."""

import shlex

import pytest

from dora_metrics.core.facts import ids
from dora_metrics.sources.git.repository import Git
from dora_metrics.sources.git.tags import read_tags
from support.git_repository import ADA, CLEAN_ENVIRONMENT, GitRepository, ReportCommand


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
    assert found.document["notes"][0] == (
        "The repository has 3 tags, all of them versions. Each of these is a deployment."
    )
    assert "1 deployment outside production (prerelease) is not counted." in found.notes


def test_prereleases_count_where_the_settings_say_so(repository: GitRepository, report: ReportCommand) -> None:
    first = repository.release("v1.0.0-rc.1", "Start", at="03-01")
    repository.tag("v1.0.0", repository.commit("More", first, at="03-02"))
    found = report(repository.folder, "--production-environments", "production, prerelease").document["scopes"]
    assert {scope["environment"]: scope["metrics"]["deployment_frequency"]["deployments"] for scope in found} == {
        "prerelease": 1,
        "production": 1,
    }


def test_tags_on_one_commit_are_one_deployment_named_by_the_most_specific(
    repository: GitRepository, report: ReportCommand
) -> None:
    first = repository.release("v1.0.0", "Start", at="03-01")
    second = repository.commit("More", first, at="03-02")
    repository.tag("v1.1.0", second, "03-04")
    repository.tag("v1.1", second, "03-05")
    repository.tag("v0.101.0", second, "03-03")
    found = report(repository.folder)
    assert found.changes == {"v1.0.0": [first], "v1.1.0": [second]}
    assert found.deployments["v1.1.0"]["finished_at"] == "2024-03-03T00:00:00Z"  # the oldest of the tags
    assert found.document["notes"][0] == (
        "The repository has 4 tags, 3 of them versions. These make 2 deployments, because tags on the same commit are "
        "one deployment. 1 tag is not counted, because it is not a version or moves with each release: v1.1."
    )


def test_a_commit_that_is_tagged_again_after_another_release_was_not_rolled_back_to(
    repository: GitRepository, report: ReportCommand
) -> None:
    first = repository.release("v3.0.0", "Start", at="03-01", tagged="03-01")
    second = repository.release("v3.1.0", "More", first, at="03-02", tagged="03-02")
    repository.tag("v0.300.0", first, "03-03")
    repository.tag("v0.301.0", second, "03-03")
    found = report(repository.folder, "--tags", "v*")
    assert list(found.deployments) == ["v3.0.0", "v3.1.0"]
    assert found.failure_rules == {}
    assert (
        found.document["notes"][0]
        == "The repository has 4 tags, all of which match `v*`. These make 2 deployments, because tags on the same "
        "commit are one deployment."
    )


@pytest.mark.parametrize(
    ("names", "flags", "note"),
    [
        (["v1"], [], "The repository has 1 tag, which is a version. It is a deployment."),
        (["v1"], ["--tags", "v*"], "The repository has 1 tag, which matches `v*`. It is a deployment."),
        (["v1", "v2"], [], "The repository has 2 tags, both of them versions. Each of these is a deployment."),
        (
            ["v1", "x"],
            ["--tags", "v*"],
            "The repository has 2 tags, 1 of which matches `v*`. It is a deployment. 1 tag is not counted: x.",
        ),
    ],
)
def test_the_note_on_tags_says_how_many_there_are_and_how_many_are_deployments(
    repository: GitRepository, report: ReportCommand, names: list[str], flags: list[str], note: str
) -> None:
    for day, name in enumerate(names, 1):
        repository.release(name, name, at=f"03-0{day}")
    assert report(repository.folder, *flags).document["notes"][0] == note


def test_packages_of_one_commit_are_one_deployment_and_a_pattern_selects_one_of_them(
    repository: GitRepository, report: ReportCommand
) -> None:
    first = repository.release("shop@1.0.0", "Start", at="03-01")
    repository.tag("@acme/till@1.0.0", first)
    second = repository.release("@acme/till@1.0.1", "Till", first, at="03-02")
    third = repository.release("@acme/till@1.1.0", "Both", second, at="03-03")
    repository.tag("shop@1.0.1", third)
    found = report(repository.folder)
    assert list(found.deployments) == ["shop@1.0.0", "@acme/till@1.0.1", "shop@1.0.1"]
    assert (
        found.document["notes"][0]
        == "The repository has 5 tags, all of them versions. These make 3 deployments, because tags on the same "
        "commit are one deployment. To count one package only, use `--tags 'shop@*'`."
    )
    assert "`--tags 'shop@*'`" in report(repository.folder, "--format", "markdown").out
    one_package = report(repository.folder, "--tags", "shop@*")
    assert one_package.changes == {"shop@1.0.0": [first], "shop@1.0.1": [second, third]}
    assert one_package.document["notes"][0] == (
        "The repository has 5 tags, 2 of which match `shop@*`. Each of these is a deployment. 3 tags are "
        "not counted: @acme/till@1.1.0, @acme/till@1.0.1, @acme/till@1.0.0."
    )


@pytest.mark.parametrize("name", ["sh`op", "sh`op`s", "shop"])
def test_the_pattern_of_a_package_is_shown_as_it_is(
    repository: GitRepository, report: ReportCommand, name: str
) -> None:
    sha = repository.commit("Start", at="03-01")
    for day, tag in enumerate(("till@1.0.0", "till@1.0.1", *(f"{name}@1.0.{patch}" for patch in range(3))), 2):
        sha = repository.release(tag, "More", sha, at=f"03-0{day}")
    out = " ".join(report(repository.folder, "--format", "text").out.split())
    assert f"To count one package only, use --tags {shlex.quote(f'{name}@*')}." in out


def test_an_odd_tag_and_names_of_prereleases_are_no_second_package(
    repository: GitRepository, report: ReportCommand
) -> None:
    first = repository.release("v1.0.0", "Start", at="03-01")
    second = repository.release("v1.1.0", "More", first, at="03-02")
    for name in ("example-v1.1.0", "pre-release-1.1", "pre-release-1.1-2"):
        repository.tag(name, second)
    assert "To count one package only" not in report(repository.folder).notes


def test_names_that_move_and_names_of_lines_are_no_deployments(
    repository: GitRepository, report: ReportCommand
) -> None:
    first = repository.release("v1.0.0", "Start", at="03-01")
    second = repository.release("v1.0.1", "More", first, at="03-02")
    third = repository.commit("Not released", second, at="03-03")
    for name in ("v1", "v1.0", "latest", "stable", "nightly", "1.0.x", "checkout", "test-1"):
        repository.tag(name, third, "03-03")
    found = report(repository.folder)
    assert list(found.deployments) == ["v1.0.0", "v1.0.1"]
    assert "8 tags are not counted, because they are not versions or move with each release: " in found.notes


def test_the_first_of_a_line_does_not_move_though_its_patches_have_one_number_more(
    repository: GitRepository, report: ReportCommand
) -> None:
    first = repository.release("26.0", "Start", at="03-01")
    second = repository.release("26.1", "More", first, at="03-02")
    repository.release("26.1.1", "Mend", second, at="03-03")
    assert list(report(repository.folder).deployments) == ["26.0", "26.1", "26.1.1"]


def test_a_pattern_selects_tags_of_any_form(repository: GitRepository, report: ReportCommand) -> None:
    first = repository.release("deploy-monday", "Start", at="03-01")
    repository.release("deploy-tuesday", "More", first, at="03-02")
    found = report(repository.folder)
    assert found.document["scopes"] == []
    assert found.document["notes"][0] == (
        "None of 2 tags looks like a version (deploy-tuesday, deploy-monday), so there are no deployments. "
        "Select tags of another form with `--tags PATTERN`."
    )
    assert list(report(repository.folder, "--tags", "deploy-*").deployments) == ["deploy-monday", "deploy-tuesday"]


def test_a_patch_number_says_nothing_of_a_hotfix(repository: GitRepository, report: ReportCommand) -> None:
    first = repository.release("v1.0.0", "Start", at="03-01")
    second = repository.release("v1.0.1", "More", first, at="03-01T02:00")
    repository.release("v1.0.2", "hotfix: mend the till", second, at="03-01T03:00")
    found = report(repository.folder)
    assert found.failure_rules == {"v1.0.1": "hotfix"}
    assert found.metrics["rework_rate"]["rework"] == 1


def test_a_tag_of_a_tag_is_a_tag_of_its_commit(repository: GitRepository, report: ReportCommand) -> None:
    first = repository.commit("Start", at="03-01")
    repository.tag("inner", first, "03-02")
    repository.tag("middle", repository.git("rev-parse", "refs/tags/inner"), "03-03")
    repository.tag("outer", repository.git("rev-parse", "refs/tags/middle"), "03-04")
    for name, day in (("inner", "02"), ("middle", "03"), ("outer", "04")):
        found = report(repository.folder, "--tags", name)
        assert found.deployments[name]["sha"] == first
        assert found.deployments[name]["finished_at"] == f"2024-03-{day}T00:00:00Z"


def test_tags_of_tags_by_the_thousand_are_read(repository: GitRepository) -> None:
    first, count = repository.commit("Start"), 5_000
    tagger = f"tagger {ADA} 1700000000 +0000\ndata 0\n"
    inner = (f"tag inner{number}\nmark :{number}\nfrom {first}\n{tagger}" for number in range(1, count + 1))
    outer = (f"tag outer{number}\nfrom :{number}\n{tagger}" for number in range(1, count + 1))
    repository.git("fast-import", "--quiet", stdin="".join((*inner, *outer)))
    tag_list = read_tags(Git(str(repository.folder), CLEAN_ENVIRONMENT, max_silence_seconds=10))
    assert len(tag_list.tags) == 2 * count
    assert {tag.commit for tag in tag_list.tags} == {first}


def test_tags_on_trees_and_files_are_left_out_and_counted(repository: GitRepository, report: ReportCommand) -> None:
    repository.release("v1", "Start", at="03-01")
    repository.tag("tree", repository.git("rev-parse", "HEAD^{tree}"))
    blob = repository.git("hash-object", "-w", "--stdin", stdin="key")
    repository.tag("key", blob, "03-02")
    repository.tag("outer-key", repository.git("rev-parse", "refs/tags/key"), "03-03")
    found = report(repository.folder)
    assert list(found.deployments) == ["v1"]
    assert (
        "3 tags are not counted, because they are on a tree or file instead of a commit: tree, outer-key, key."
        in found.notes
    )


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
    assert list(report(repository.folder, "--tags", "*").deployments) == [ids.git_tag(name).removeprefix("git:tag:")]
    out = report(repository.folder, "--tags", "*", "--format", "markdown").out
    assert "<b>" not in out


def test_names_that_are_no_utf_8_are_told_apart(repository: GitRepository, report: ReportCommand) -> None:
    first = repository.commit("Start", at="03-01")
    second = repository.commit("More", first, at="03-02")
    (repository.folder / ".git" / "packed-refs").write_bytes(
        b"# pack-refs with: peeled fully-peeled sorted \n"
        + f"{first} refs/tags/v1-".encode() + b"\xfe\n"
        + f"{second} refs/tags/v1-".encode() + b"\xff\n"
    )  # fmt: skip
    assert list(report(repository.folder, "--tags", "v1*").deployments) == ["v1-\\xfe", "v1-\\xff"]
