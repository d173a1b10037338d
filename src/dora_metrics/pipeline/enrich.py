"""Complete an event's facts with what only GitHub knows: a deployment's changes, a pull request's commits."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Protocol

from msgspec.structs import replace

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Change, Deployment, Fact
from dora_metrics.core.ledger.layout import LedgerContents
from dora_metrics.core.linking.counting import without_environment_uses
from dora_metrics.core.linking.link import previous_success
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import environment_of
from dora_metrics.github.client import ForbiddenError, GitHubError, NotFoundError
from dora_metrics.github.jobs import unknown_jobs_note

_ONE_MICROSECOND = timedelta(microseconds=1)


class ChangeSource(Protocol):
    """What GitHub knows about the changes of one repository; every failure is a GitHubError."""

    def deployment_with_changes(self, deployment: Deployment, previous: Deployment) -> tuple[Fact, ...]:
        """Return the deployment with the ids of its changes, followed by these changes."""
        ...

    def change_with_commits(self, change: Change) -> Change:
        """Return the change of a pull request with its commits and the times of its review."""
        ...


class JobSource(Protocol):
    """What GitHub knows about the jobs of one repository; every failure is a GitHubError."""

    def conclusion(self, job_id: str) -> str | None:
        """Return how a job ended, such as `cancelled`; None if it has not ended."""
        ...


@dataclass
class Enricher:
    """Completes facts; asks GitHub each question once, even if the ledger is read again.

    Attributes:
        source: answers the questions.
        policy: which deployments are production.
        note: receives what GitHub did not answer.
        jobs: says how the jobs of deployments ended; None if nobody can be asked.
    """

    source: ChangeSource
    policy: Policy
    note: Callable[[Outcome], None]
    jobs: JobSource | None = None
    _answers: dict[tuple[str, str], tuple[Fact, ...]] = field(default_factory=dict)

    def __call__(self, facts: tuple[Fact, ...], contents: LedgerContents) -> tuple[Fact, ...]:
        """Return the facts with what GitHub adds, as observations newer than those in the ledger."""
        return tuple(completed for fact in facts for completed in self._completed(fact, contents))

    def _completed(self, fact: Fact, contents: LedgerContents) -> Iterator[Fact]:
        recorded = contents.fact_by_id(fact.id)
        if recorded is not None and recorded.observed_at > fact.observed_at:
            yield fact  # the ledger knows something newer, so an answer would change nothing
            return
        for answer in self._answer(fact, contents):
            yield answer if answer is fact else self._newer(answer, contents.fact_by_id(answer.id))

    def _answer(self, fact: Fact, contents: LedgerContents) -> tuple[Fact, ...]:
        match fact:
            case Deployment(status="success", changes=None) if self.policy.is_production(environment_of(fact)):
                previous = previous_success(fact, without_environment_uses(contents.facts, self.policy))
                if not (fact.sha and previous and previous.sha):
                    return (fact,)
                ask = partial(self.source.deployment_with_changes, fact, previous)
                return self._ask_once((fact.id, previous.id), ask) or (fact,)
            case Deployment(status="failure", job_id=str(job_id), source="deployments"):
                return self._ask_once((fact.id, job_id), lambda: (self._as_its_job_ended(fact, job_id),)) or (fact,)
            case Change(first_commit_at=None) if ids.is_pull_request(fact.id) and not fact.retracted:
                return self._ask_once((fact.id, ""), lambda: (self.source.change_with_commits(fact),)) or (fact,)
            case _:
                return (fact,)

    def _as_its_job_ended(self, deployment: Deployment, job_id: str) -> Deployment:
        """Return a failed deployment, as cancelled if its job was: its status says `failure` for both."""
        try:
            conclusion = self.jobs.conclusion(job_id) if self.jobs else None
        except GitHubError as error:
            self.note(Outcome("deployment", "skipped", unknown_jobs_note(error)))
            return deployment
        return replace(deployment, status="cancelled") if conclusion == "cancelled" else deployment

    def _ask_once(self, question: tuple[str, str], ask: Callable[[], tuple[Fact, ...]]) -> tuple[Fact, ...]:
        """Return the answer to a question; empty if GitHub gave none."""
        if question not in self._answers:
            try:
                self._answers[question] = ask()
            except GitHubError as error:
                self._answers[question] = ()
                self._note_unanswered(error)
        return self._answers[question]

    def _note_unanswered(self, error: GitHubError) -> None:
        lacks_permission = isinstance(error, ForbiddenError | NotFoundError)
        advice = "; give the job `permissions: contents: read` and `pull-requests: read`" if lacks_permission else ""
        self.note(Outcome("changes", "failed", f"GitHub did not say what was delivered: {error}{advice}"))

    def _newer(self, answer: Fact, recorded: Fact | None) -> Fact:
        """Return an answer as newer than the recorded fact, or that fact if both say the same.

        Only a monorepo says which service a change belongs to. Otherwise a change keeps the service of the deployment
        that delivered it first, so that a later deployment of another service does not rewrite it.
        """
        if recorded is None:
            return answer
        if isinstance(answer, Change) and recorded.service and not self.policy.services:
            answer = replace(answer, service=recorded.service)
        if replace(answer, observed_at=recorded.observed_at) == recorded:
            return recorded
        return replace(answer, observed_at=max(answer.observed_at, recorded.observed_at + _ONE_MICROSECOND))
