"""The first digits of a sha are completed by the ledger, or by few questions to GitHub."""

from collections.abc import Callable

from dora_metrics.core.outcome import Outcome
from dora_metrics.github.client import ForbiddenError
from dora_metrics.pipeline.commit_lookup import MAX_QUESTIONS, CommitLookup
from support.facts import change, sha

A = sha("A")


class Lookup:
    """A lookup that counts its questions, and is answered with `A`, or with a refusal."""

    def __init__(self, *, is_refused: bool = False, may_ask: Callable[[str], bool] = lambda _: True) -> None:
        self.is_refused = is_refused
        self.asked: list[str] = []
        self.outcomes = list[Outcome]()
        self.lookup = CommitLookup(self.answer, may_ask, self.outcomes.append)

    def answer(self, repository: str, digits: str) -> str | None:
        self.asked.append(f"{repository} {digits}")
        if self.is_refused:
            raise ForbiddenError("Resource not accessible by integration")
        return A if A.startswith(digits) else None

    def full_sha(self, digits: str, repository: str = "acme/shop") -> str | None:
        return self.lookup.full_sha(repository, digits, [change(1, sha=sha("B"))])


def test_the_ledger_is_asked_first() -> None:
    lookup = Lookup()
    assert lookup.full_sha(sha("B")[:7]) == sha("B")
    assert lookup.asked == []


def test_each_question_is_asked_once_whatever_the_answer() -> None:
    """A ledger that another run has changed is read again."""
    lookup = Lookup()
    for _ in range(3):
        assert lookup.full_sha(A[:7]) == A
        assert lookup.full_sha("0000000", "ACME/shop") is None
    assert lookup.asked == [f"acme/shop {A[:7]}", "ACME/shop 0000000"]


def test_a_run_asks_for_ten_commits_and_says_that_there_are_more() -> None:
    lookup = Lookup()
    for number in range(MAX_QUESTIONS + 2):
        lookup.full_sha(f"{number:07d}")
    assert len(lookup.asked) == MAX_QUESTIONS == 10
    assert lookup.outcomes[0].detail.startswith("GitHub is asked for 10 commits in a run; deployments of further ones")


def test_a_refusal_is_a_note_and_no_commit() -> None:
    lookup = Lookup(is_refused=True)
    assert lookup.full_sha(A[:7]) is None
    (outcome,) = lookup.outcomes
    assert (outcome.status, outcome.detail) == (
        "failed",
        f"GitHub does not show which commit {A[:7]} is: Resource not accessible by integration",
    )


def test_a_repository_that_the_run_does_not_cover_is_not_asked_about() -> None:
    lookup = Lookup(may_ask=lambda repository: repository == "acme/shop")
    assert lookup.full_sha(A[:7], "acme/pay") is None
    assert lookup.asked == []
    assert lookup.outcomes == []
