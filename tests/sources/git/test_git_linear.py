"""Each commit is visited once, and belongs to the tag that `git rev-list TAG --not EARLIER…` says."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dora_metrics.sources.git.commits import GitCommit, read_log
from dora_metrics.sources.git.landed import new_history
from dora_metrics.sources.git.reached import Reached
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
        met = Reached(read.commits)
        walked = {name: new_history(found[name], met) for name in names}
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
        reached = Reached(log.commits)
        for tip in tips:
            new_history(tip, reached)
        for main in tips:
            behind = set(repository.git("rev-list", main).split())
            for tip in tips:
                listed = set(repository.git("rev-list", tip, "--not", main).split())
                assert {each.sha for each in reached.only_behind([tip], main)} == listed
            assert {sha for sha in reached.shas if reached.is_surely_behind(sha, main)} <= behind
            assert {sha for sha in reached.shas if reached.is_behind(sha, main)} == behind


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


class CountedCommits(dict[str, GitCommit]):
    """The commits of a history, and how often one was looked at."""

    looks = 0

    def __getitem__(self, sha: str) -> GitCommit:
        self.looks += 1
        return super().__getitem__(sha)

    def get(self, sha: str, default: Any = None) -> Any:  # noqa: ANN401 - as of any dictionary
        self.looks += 1
        return super().get(sha, default)


def commit_of(sha: str, *parents: str, at: int, subject: str = "Work") -> GitCommit:
    seconds = START + at
    return GitCommit(sha, parents, seconds, seconds, is_by_bot=False, is_by_github=False, subject=subject)


def deployed_branches(count: int, branch_at: Callable[[int], int]) -> tuple[CountedCommits, list[str]]:
    """Branches that were each deployed, and then merged one by one as pull requests; the tips in order."""
    commits, main = CountedCommits(), [commit_of("begin", at=-1)]
    branches = [commit_of(f"branch{number}", at=branch_at(number)) for number in range(count)]
    for number, branch in enumerate(branches):
        subject = f"Merge pull request #{number} from a/b"
        main += [commit_of(f"merge{number}", main[-1].sha, branch.sha, at=count + number, subject=subject)]
    commits |= {each.sha: each for each in (*branches, *main)}
    return commits, [*(branch.sha for branch in branches), main[-1].sha]


def deployed_line(count: int) -> tuple[CountedCommits, list[str]]:
    """One old branch that was deployed as a whole, and whose commits were then merged one by one."""
    commits, tips = deployed_branches(count, lambda number: number)
    for number in range(1, count):
        commits[f"branch{number}"] = msgspec.structs.replace(
            commits[f"branch{number}"], parents=(f"branch{number - 1}",)
        )
    return commits, tips


@pytest.mark.parametrize(
    "history",
    [
        lambda count: deployed_branches(count, lambda number: number),
        lambda count: deployed_branches(count, lambda number: -number),
        lambda count: deployed_branches(count, lambda _number: 10 * count),
        deployed_line,
    ],
    ids=["older than the main line", "in reverse", "newer than the main line", "one line"],
)
def test_branches_that_were_deployed_before_their_merges_are_looked_at_once_each(
    history: Callable[[int], tuple[CountedCommits, list[str]]],
) -> None:
    """A stranger's clone has what a stranger likes, at the times that a stranger likes."""
    commits, tips = history(400)
    reached = Reached(commits)
    changes = [change for tip in tips for change in new_history(tip, reached).changes]
    assert sorted(len(change.commits) for change in changes if change.pull_number is not None) == [1] * 400
    assert commits.looks <= 12 * len(commits)


def test_the_commits_of_a_branch_that_was_deployed_before_its_merge_are_in_order_of_time() -> None:
    commits = {
        each.sha: each
        for each in (
            commit_of("begin", at=0),
            commit_of("a1", "begin", at=1),
            commit_of("a2", "a1", at=2),
            commit_of("b1", "begin", at=3),
            commit_of("b2", "b1", at=4),
            commit_of("both", "a2", "b2", at=5),
            commit_of("main", "begin", at=6),
            commit_of("merge", "main", "both", at=7, subject="Merge pull request #7 from a/b"),
        )
    }
    reached = Reached(commits)
    deployed = [change.commit.sha for tip in ("a2", "b2") for change in new_history(tip, reached).changes]
    assert deployed == ["begin", "a1", "a2", "b1", "b2"]
    (pull,) = (change for change in new_history("merge", reached).changes if change.pull_number)
    assert [commit.sha for commit in pull.commits] == ["a2", "b2", "b1", "a1"]


@st.composite
def histories_with_cycles(draw: st.DrawFn) -> dict[str, GitCommit]:
    """Commits of which any may be a parent of any, as replaced objects and broken files of git can say."""
    names = [f"c{number}" for number in range(draw(st.integers(2, 8)))]
    parents = st.lists(st.sampled_from(names), max_size=3, unique=True)
    subject = st.sampled_from(["Plain", "Squashed (#1)", "Merge branch 'topic'"])
    drawn = {name: (draw(parents), draw(st.integers(0, 9)), draw(subject)) for name in names}
    return {name: commit_of(name, *above, at=at, subject=text) for name, (above, at, text) in drawn.items()}


@settings(max_examples=cases(200))
@given(histories_with_cycles())
def test_a_history_without_an_end_is_walked_to_its_end(commits: dict[str, GitCommit]) -> None:
    reached = Reached(commits)
    landed = [change.commit.sha for tip in commits for change in new_history(tip, reached).changes]
    assert len(landed) == len(set(landed)), "no change is new twice"
