"""The commits that a deployment brought, by as few of GitHub's comparisons as possible."""

from collections.abc import Iterator

import pytest

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.linking.earlier_successes import EarlierSuccesses
from dora_metrics.github.client import ForbiddenError, NotFoundError, UncertainOutcomeError, UnexpectedAnswerError
from dora_metrics.github.new_commits import NewCommits, TooManyCommitsError, read_new_commits
from fakes.faults import custom_answer
from fakes.github import FakeGitHub
from fakes.repository import Repository
from support.github_history import at, make_client

DAYS = 24


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub(now=lambda: at(0)) as github:
        yield github


@pytest.fixture
def shop(github: FakeGitHub) -> Repository:
    return github.repository("acme/shop", empty=True)


def commit_line(shop: Repository, name: str, parent: str | None, count: int, hours: float = 0) -> str:
    """Commit so often on a branch of this name; return the last commit."""
    for number in range(count):
        parents = [parent] if parent else []
        time = at(hours + number / 100)
        parent = shop.commit(
            {f"{name}.txt": str(number)},
            message=f"{name} {number}",
            branch=name,
            parents=parents,
            author_date=time,
            committer_date=time,
        )
    return str(parent)


def deployed(number: int, sha: str, hours: float = 0) -> Deployment:
    return Deployment(
        id=f"github:deployment:{number}",
        repository="acme/shop",
        observed_at=at(hours),
        finished_at=at(hours),
        status="success",
        sha=sha,
    )


def read(github: FakeGitHub, head: str, *tips: Deployment) -> NewCommits:
    earlier = EarlierSuccesses(tips[-1], tips)
    return read_new_commits(make_client(github), "acme/shop", deployed(99, head, 9 * DAYS), earlier)


def titles(new: NewCommits) -> list[str]:
    return [commit["commit"]["message"] for commit in new.commits]


def test_a_line_needs_one_comparison(github: FakeGitHub, shop: Repository) -> None:
    first = commit_line(shop, "main", None, 2)
    head = commit_line(shop, "main", first, 2, 1)
    new = read(github, head, deployed(1, first))
    assert titles(new) == ["main 0", "main 1"]
    assert new.descends_from == ("github:deployment:1",)
    assert len(github.requests) == 1


def test_the_same_commit_again_needs_none(github: FakeGitHub, shop: Repository) -> None:
    head = commit_line(shop, "main", None, 2)
    new = read(github, head, deployed(1, head))
    assert (new.commits, new.descends_from, len(github.requests)) == ((), (), 0)


def test_every_release_line_takes_away_what_it_has(github: FakeGitHub, shop: Repository) -> None:
    begin = commit_line(shop, "main", None, 1)
    one, two, three = (commit_line(shop, name, begin, 2, 1) for name in ("one", "two", "three"))
    merged = begin
    for side in (one, two, three):
        merged = shop.commit({}, message="Merge", parents=[merged, side], author_date=at(2))
    head = commit_line(shop, "main", merged, 1, 3)
    new = read(github, head, deployed(1, one), deployed(2, two), deployed(3, begin))
    assert sorted(titles(new)) == ["Merge", "Merge", "Merge", "main 0", "three 0", "three 1"]
    assert new.descends_from == ("github:deployment:1", "github:deployment:2", "github:deployment:3")
    assert len(github.requests) == 3


def test_a_distant_line_is_compared_from_the_side_with_fewer_commits(github: FakeGitHub, shop: Repository) -> None:
    begin = commit_line(shop, "main", None, 1)
    far = commit_line(shop, "main", begin, 120, 1)
    near = commit_line(shop, "old", begin, 2, 1)
    backport = commit_line(shop, "old", near, 1, 3)
    assert titles(read(github, backport, deployed(1, near), deployed(2, far))) == ["old 0"]
    assert len(github.requests) == 3
    github.requests.clear()
    new = read(github, commit_line(shop, "main", far, 1, 4), deployed(1, near), deployed(2, far))
    assert titles(new) == ["main 0"]
    assert new.descends_from == ("github:deployment:2",)
    assert len(github.requests) == 3


def test_lines_that_merged_each_other_are_exact(github: FakeGitHub, shop: Repository) -> None:
    begin = commit_line(shop, "main", None, 1)
    left, right = commit_line(shop, "left", begin, 1, 1), commit_line(shop, "right", begin, 1, 1)
    left_merged = shop.commit({}, message="Left", parents=[left, right], branch="left", author_date=at(2))
    right_merged = shop.commit({}, message="Right", parents=[right, left], branch="right", author_date=at(2))
    far = commit_line(shop, "left", left_merged, 120, 3)
    head = commit_line(shop, "right", right_merged, 1, 4)
    assert sorted(titles(read(github, head, deployed(1, begin), deployed(2, far)))) == ["Right", "right 0"]


def test_a_commit_that_github_no_longer_has_is_said(github: FakeGitHub, shop: Repository) -> None:
    first = commit_line(shop, "main", None, 1)
    head = commit_line(shop, "main", first, 1, 1)
    gone = deployed(2, "e" * 40)
    new = read(github, head, gone, deployed(1, first))
    assert (titles(new), new.uncompared) == (["main 0"], (gone,))
    github.requests.clear()
    with pytest.raises(NotFoundError):
        read(github, head, *(deployed(number, f"{number:040x}") for number in range(2, 502)))
    assert len(github.requests) == 2 * 4, "a comparison of each, and whether the commits exist"


def test_a_404_for_commits_that_github_has_says_nothing_about_them(github: FakeGitHub, shop: Repository) -> None:
    first = commit_line(shop, "main", None, 1)
    second = commit_line(shop, "main", first, 1, 1)
    head = commit_line(shop, "main", second, 1, 2)
    github.fail(custom_answer(404, {"message": "Not Found"}), to="GET /repos/acme/shop/compare/*")
    with pytest.raises(UncertainOutcomeError, match="although it has both commits"):
        read(github, head, deployed(1, first), deployed(2, second))


def test_a_repository_that_github_does_not_show_says_nothing_about_its_commits(
    github: FakeGitHub, shop: Repository
) -> None:
    first = commit_line(shop, "main", None, 1)
    head = commit_line(shop, "main", first, 1, 1)
    error = {"type": "NOT_FOUND", "path": ["repository"], "message": "Could not resolve to a Repository."}
    github.fail(custom_answer(404, {"message": "Not Found"}), to="GET /repos/acme/shop/compare/*")
    github.fail(custom_answer(200, {"data": {"repository": None}, "errors": [error]}), to="GitObjects")
    with pytest.raises(ForbiddenError):
        read(github, head, deployed(1, first))


def test_fewer_commits_than_github_counts_are_not_taken_for_all(github: FakeGitHub, shop: Repository) -> None:
    first = commit_line(shop, "main", None, 1)
    head = commit_line(shop, "main", first, 1, 1)
    answer = {"total_commits": 1, "behind_by": 0, "commits": []}
    github.fail(custom_answer(200, answer), to="GET /repos/acme/shop/compare/*")
    with pytest.raises(UnexpectedAnswerError, match="GitHub shows 0 of the 1 commits"):
        read(github, head, deployed(1, first))


def test_a_history_that_shares_nothing_takes_nothing_away(github: FakeGitHub, shop: Repository) -> None:
    first, other = commit_line(shop, "main", None, 1), commit_line(shop, "other", None, 1)
    head = commit_line(shop, "main", first, 1, 1)
    new = read(github, head, deployed(1, first), deployed(2, other))
    assert (titles(new), new.uncompared) == (["main 0"], ())


def test_of_five_hundred_lines_those_that_may_have_the_commits_are_compared(
    github: FakeGitHub, shop: Repository
) -> None:
    begin = commit_line(shop, "main", None, 1)
    head = commit_line(shop, "main", begin, 1, 5 * DAYS)
    side = commit_line(shop, "side", begin, 1, 1)
    old = [deployed(number, side, 2 * DAYS) for number in range(2, 500)]
    new = read(github, head, deployed(1, begin), *old)
    assert (titles(new), new.uncompared) == (["main 0"], ())
    assert len(github.requests) == 4
    github.requests.clear()
    late = [deployed(number, side, 6 * DAYS) for number in range(2, 500)]
    new = read(github, head, deployed(1, begin), *late)
    assert titles(new) == ["main 0"]
    assert len(new.uncompared) == 499 - 25
    assert len(github.requests) == 25


def test_more_than_three_thousand_commits_are_not_read(github: FakeGitHub, shop: Repository) -> None:
    first = commit_line(shop, "main", None, 1)
    head = commit_line(shop, "main", first, 3001, 1)
    with pytest.raises(TooManyCommitsError):
        read(github, head, deployed(1, first))
    assert len(github.requests) == 1
