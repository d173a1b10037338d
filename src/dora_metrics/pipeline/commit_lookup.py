"""Completes the first digits of a sha, as they are in an image tag: from the ledger, or else by GitHub."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.gitops.commits import known_sha
from dora_metrics.core.outcome import Outcome
from dora_metrics.github.client import GitHubError

MAX_QUESTIONS = 10
"""Commits that one run asks GitHub for."""

_OUTCOME = "commits"
_TOO_MANY = f"GitHub is asked for {MAX_QUESTIONS} commits in a run; deployments of further ones have no lead time"


@dataclass
class CommitLookup:
    """Completes shas; asks GitHub each question once, even if the ledger is read again.

    Attributes:
        ask: returns the commit of a repository that begins with some digits; a failure is a GitHubError.
        may_ask: whether this run may ask GitHub about a repository.
        note: receives what GitHub did not answer.
    """

    ask: Callable[[str, str], str | None]
    may_ask: Callable[[str], bool]
    note: Callable[[Outcome], None]
    _answers: dict[tuple[str, str], str | None] = field(default_factory=dict)

    def full_sha(self, repository: str, digits: str, facts: Iterable[Fact]) -> str | None:
        """Return the only commit of a repository that begins with some digits; None if it is not known.

        Args:
            repository: `owner/name`.
            digits: at least seven, in lower case.
            facts: the ledger's.
        """
        return known_sha(digits, repository, facts) or self._answer(repository, digits)

    def _answer(self, repository: str, digits: str) -> str | None:
        question = (repository.casefold(), digits)
        if question in self._answers:
            return self._answers[question]
        if not self.may_ask(repository):
            return None
        if len(self._answers) >= MAX_QUESTIONS:
            self.note(Outcome(_OUTCOME, "skipped", _TOO_MANY))
            return None
        self._answers[question] = self._asked(repository, digits)
        return self._answers[question]

    def _asked(self, repository: str, digits: str) -> str | None:
        try:
            return self.ask(repository, digits)
        except GitHubError as error:
            self.note(Outcome(_OUTCOME, "failed", f"GitHub does not show which commit {digits} is: {error}"))
            return None
