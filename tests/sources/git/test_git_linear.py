"""Each commit is visited once, and belongs to the tag that `git rev-list TAG --not EARLIER…` says."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dora_metrics.sources.git.commits import read_log
from dora_metrics.sources.git.landed import new_history
from dora_metrics.sources.git.reached import Reached, commits_only_behind
from dora_metrics.sources.git.repository import Git
from dora_metrics.sources.git.tags import read_tags
from support.git_repository import CLEAN_ENVIRONMENT, GitRepository, ReportCommand, unix_seconds
from support.property_cases import cases
from support.tools import require_tool

START = unix_seconds("03-01")


@st.composite
def commit_graphs(draw: st.DrawFn) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """Commits as lists of their parents' numbers, with several roots and octopus merges; tags as (commit, minute)."""
    commits: list[list[int]] = []
    for number in range(1, draw(st.integers(1, 14)) + 1):
        earlier = st.lists(st.integers(1, number - 1), max_size=3, unique=True) if number > 1 else st.just([])
        commits.append(draw(earlier))
    tagged = st.tuples(st.integers(1, len(commits)), st.integers(0, 5))
    return commits, draw(st.lists(tagged, min_size=1, max_size=6))


def build_repository(folder: Path, commits: list[list[int]], tags: list[tuple[int, int]]) -> GitRepository:
    repository = GitRepository.create(folder)
    stream = ["feature done\n"]
    for number, parents in enumerate(commits, 1):
        who = f"A <a@b> {START - 86400 + number} +0000"
        links = "".join(f"{'merge' if place else 'from'} :{parent}\n" for place, parent in enumerate(parents))
        reset = "" if parents else "reset refs/heads/work\n"
        stream += [
            f"{reset}commit refs/heads/work\nmark :{number}\nauthor {who}\ncommitter {who}\ndata 1\nx\n{links}\n"
        ]
    for number, (commit, minute) in enumerate(tags):
        stream += [f"tag v{number}\nfrom :{commit}\ntagger A <a@b> {START + minute * 60} +0000\ndata 0\n\n"]
    repository.git("fast-import", "--quiet", stdin="".join([*stream, "done\n"]))
    return repository


@settings(max_examples=cases(10), suppress_health_check=[HealthCheck.too_slow])
@given(commit_graphs())
def test_what_a_tag_brought_is_what_git_lists_behind_it_and_behind_none_before(
    history: tuple[list[list[int]], list[tuple[int, int]]],
) -> None:
    require_tool("git")
    commits, tagged = history
    with tempfile.TemporaryDirectory() as folder:
        repository = build_repository(Path(folder) / "shop", commits, tagged)
        order = sorted(range(len(tagged)), key=lambda number: (tagged[number][1], number))
        names = [f"v{number}" for number in order]
        expected = {
            name: set(repository.git("rev-list", name, "--not", *names[:place]).split())
            for place, name in enumerate(names)
        }
        git = Git(str(repository.folder), CLEAN_ENVIRONMENT)
        found = {tag.name: tag.commit for tag in read_tags(git).tags}
        read = read_log(git, found.values())
        met = Reached()
        walked = {name: new_history(read.commits, found[name], met) for name in names}
        assert {name: {one.sha for one in new.commits} for name, new in walked.items()} == expected
        assert all(len(new.commits) == len(expected[name]) for name, new in walked.items())

        counts = [
            (name, deployment["commit_count"])
            for name, deployment in ReportCommand(Path(folder))(repository.folder).deployments.items()
        ]
        assert counts == expected_deployments(tagged, {name: len(shas) for name, shas in expected.items()})


@settings(max_examples=cases(10), suppress_health_check=[HealthCheck.too_slow])
@given(commit_graphs())
def test_what_is_only_behind_a_branch_is_what_git_lists_there(
    history: tuple[list[list[int]], list[tuple[int, int]]],
) -> None:
    """And what is said to be surely behind a commit is so."""
    require_tool("git")
    commits, tagged = history
    with tempfile.TemporaryDirectory() as folder:
        repository = build_repository(Path(folder) / "shop", commits, tagged)
        tips = {tag.commit for tag in read_tags(Git(str(repository.folder), CLEAN_ENVIRONMENT)).tags}
        log = read_log(Git(str(repository.folder), CLEAN_ENVIRONMENT), tips)
        reached = Reached()
        for tip in tips:
            new_history(log.commits, tip, reached)
        for main in tips:
            behind = set(repository.git("rev-list", main).split())
            for tip in tips:
                listed = set(repository.git("rev-list", tip, "--not", main).split())
                assert {each.sha for each in commits_only_behind(log.commits, [tip], main)} == listed
            assert {sha for sha in reached.shas if reached.is_surely_behind(sha, main)} <= behind


def expected_deployments(tagged: list[tuple[int, int]], counts: dict[str, int]) -> list[tuple[str, int]]:
    """Return name and count of the deployment of each commit: the highest of its tags, at the time of the oldest."""
    numbers_by_commit: dict[int, list[int]] = {}
    for number, (commit, _) in enumerate(tagged):
        numbers_by_commit.setdefault(commit, []).append(number)
    by_first_tag = sorted(
        numbers_by_commit.values(), key=lambda numbers: min((tagged[number][1], number) for number in numbers)
    )
    return [(f"v{max(numbers)}", sum(counts[f"v{number}"] for number in numbers)) for numbers in by_first_tag]


def test_a_history_as_deep_as_it_is_long_is_walked(tmp_path: Path) -> None:
    """Each commit is the second parent of the next, which recursion would not survive."""
    require_tool("git")
    depth = 5_000
    repository = build_repository(
        tmp_path / "shop", [[], [1], *([1, number] for number in range(2, depth))], [(1, 0), (depth, 1)]
    )
    found = ReportCommand(tmp_path)(repository.folder)
    assert found.deployments["v1"]["commit_count"] == depth - 1
