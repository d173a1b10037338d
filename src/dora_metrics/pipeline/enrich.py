"""Complete an event's facts with what only GitHub knows: a deployment's changes, a pull request's commits."""

from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import dropwhile, islice
from typing import Protocol

from msgspec.structs import replace

from dora_metrics.core import formatting
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.job_links import github_job_number, job_link_of
from dora_metrics.core.facts.model import Change, Deployment, Fact
from dora_metrics.core.ledger.layout import LedgerContents
from dora_metrics.core.linking.counting import comparable_facts
from dora_metrics.core.linking.earlier_successes import EarlierSuccesses, earlier_successes, successes_of_scope
from dora_metrics.core.linking.link import deployment_order
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import deployment_label, environment_of
from dora_metrics.github.client import ForbiddenError, GitHubError, NotFoundError
from dora_metrics.github.compare import ComparedDeployment
from dora_metrics.github.jobs import unknown_jobs_note

_ONE_MICROSECOND = timedelta(microseconds=1)
_MAX_LATER_SUCCESSES = 10
"""How many later successes an event compares again; `sync` does the others."""

_MAX_NAMED = 3


class ChangeSource(Protocol):
    """What GitHub knows about the changes of one repository; every failure is a GitHubError."""

    def deployment_with_changes(self, deployment: Deployment, earlier: EarlierSuccesses) -> ComparedDeployment:
        """Return the deployment with the ids of its changes, followed by these changes."""
        ...

    def change_with_commits(self, change: Change) -> Change:
        """Return the change of a pull request with its commits and the times of its review."""
        ...


class JobSource(Protocol):
    """What GitHub knows about the jobs of one repository; every failure is a GitHubError."""

    def conclusion(self, job_number: int) -> str | None:
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
    _uncompared_ids: set[str] = field(default_factory=set)

    def __call__(self, facts: tuple[Fact, ...], contents: LedgerContents) -> tuple[Fact, ...]:
        """Return the facts with what GitHub adds, as observations newer than those in the ledger."""
        return tuple(completed for fact in facts for completed in self._completed(fact, contents))

    def _completed(self, fact: Fact, contents: LedgerContents) -> Iterator[Fact]:
        recorded = contents.fact_by_id(fact.id)
        if recorded is not None and recorded.observed_at > fact.observed_at:
            yield fact  # the ledger knows something newer, so an answer would change nothing
            return
        answers = self._answer(fact, contents.facts)
        for answer in answers:
            yield answer if answer is fact else self._newer(answer, contents.fact_by_id(answer.id))
        if isinstance(fact, Deployment) and self._is_compared(fact):
            is_answered = answers[0] is not fact or self._earlier(fact, contents.facts) is None
            yield from self._affected(fact, contents) if is_answered else ()
        elif isinstance(fact, Deployment) and fact.status != "success":
            yield from self._compared_with_its_attempt(fact, contents)

    def _answer(self, fact: Fact, facts: Iterable[Fact]) -> tuple[Fact, ...]:
        match fact:
            case Deployment() if self._is_compared(fact):
                return self._compared(fact, facts) or (fact,)
            case Deployment(status="failure", source="deployments") if (number := github_job_number(fact)) is not None:
                return self._ask_once((fact.id, str(number)), lambda: (self._as_its_job_ended(fact, number),)) or (
                    fact,
                )
            case Change(first_commit_at=None) if ids.is_pull_request(fact.id) and not fact.retracted:
                return self._ask_once((fact.id, ""), lambda: (self.source.change_with_commits(fact),)) or (fact,)
            case _:
                return (fact,)

    def _is_compared(self, deployment: Deployment) -> bool:
        """Whether a deployment has changes that its event does not tell."""
        is_success = deployment.status == "success" and deployment.sha is not None
        is_open = _is_unknown(deployment) and not deployment.retracted
        return is_success and is_open and self.policy.is_production(environment_of(deployment))

    def _compared(self, deployment: Deployment, facts: Iterable[Fact]) -> tuple[Fact, ...]:
        """Return a deployment with its changes; empty if there is nothing to compare, or GitHub does not answer."""
        earlier = self._earlier(deployment, facts)
        if earlier is None:
            return ()
        question = (deployment.id, " ".join(tip.id for tip in earlier.tips))
        return self._ask_once(question, lambda: self._compare(deployment, earlier))

    def _earlier(self, deployment: Deployment, facts: Iterable[Fact]) -> EarlierSuccesses | None:
        """Return what a deployment is compared with; with it, it may show that others only used the environment."""
        others = (fact for fact in facts if fact.id != deployment.id)
        return earlier_successes(deployment, comparable_facts((*others, deployment), self.policy))

    def _compare(self, deployment: Deployment, earlier: EarlierSuccesses) -> tuple[Fact, ...]:
        compared = self.source.deployment_with_changes(deployment, earlier)
        if compared.uncompared:
            self._uncompared_ids |= {each.id for each in compared.uncompared}
            self.note(Outcome("changes", "skipped", uncompared_note(deployment, compared.uncompared)))
        return compared.facts

    def _affected(self, deployment: Deployment, contents: LedgerContents) -> Iterator[Fact]:
        """Yield the successes whose changes a deployment makes known, compared again.

        These are the one directly before it if its comparison failed, and those after it if it arrives late: up to the
        first one that descends from it, since the later ones were compared with that.
        """
        facts = [*(fact for fact in contents.facts if fact.id != deployment.id), deployment]
        for other in _successes_to_compare_again(deployment, contents):
            if other.id in self._uncompared_ids:
                continue
            answers = self._compared(replace(other, changes=None), facts)
            for answer in answers:
                yield self._newer(answer, contents.fact_by_id(answer.id))
            if any(
                isinstance(answer, Deployment) and deployment.id in (answer.descends_from or ()) for answer in answers
            ):
                return

    def _compared_with_its_attempt(self, part: Deployment, contents: LedgerContents) -> Iterator[Fact]:
        """Yield the successes that were compared with an attempt before it failed, by a part, compared again.

        These are all after its first success: which of them it took commits away from is not recorded.
        """
        ids_of_run = _successes_of_run(part, contents)
        if not ids_of_run:
            return
        facts = [*(fact for fact in contents.facts if fact.id != part.id), part]
        comparable_ids = {fact.id for fact in comparable_facts(facts, self.policy)}
        failed_ids = ids_of_run - comparable_ids
        successes = dropwhile(lambda success: success.id not in failed_ids, successes_of_scope(part, contents.facts))
        compared = (each for each in successes if each.id in comparable_ids and (each.changes is None or each.previous))
        for other in islice(compared, _MAX_LATER_SUCCESSES):
            for answer in self._compared(replace(other, changes=None), facts):
                yield self._newer(answer, contents.fact_by_id(answer.id))

    def _as_its_job_ended(self, deployment: Deployment, job_number: int) -> Deployment:
        """Return a failed deployment, as cancelled if its job was: its status says `failure` for both."""
        try:
            conclusion = self.jobs.conclusion(job_number) if self.jobs else None
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
        self.note(Outcome("changes", "failed", f"GitHub did not return what was delivered: {error}{advice}"))

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


def _is_unknown(success: Deployment) -> bool:
    """Whether it is not known what a success delivered, though a comparison may tell."""
    return success.changes is None and not success.is_new_baseline


def _successes_to_compare_again(deployment: Deployment, contents: LedgerContents) -> list[Deployment]:
    """Return the successes of the same scope that `_affected` compares again."""
    successes = successes_of_scope(deployment, contents.facts)
    position = bisect(successes, deployment_order(deployment), key=deployment_order)
    failed = [success for success in successes[:position][-1:] if _is_unknown(success)]
    recorded = contents.fact_by_id(deployment.id)
    is_late = not isinstance(recorded, Deployment) or deployment_order(recorded) != deployment_order(deployment)
    later = successes[position:][:_MAX_LATER_SUCCESSES] if is_late else []
    return [*failed, *(success for success in later if success.changes is None or success.previous)]


def _successes_of_run(part: Deployment, contents: LedgerContents) -> set[str]:
    """Return the ids of the successes of the run of a part that failed; empty if its failure is known already."""
    recorded, link = contents.fact_by_id(part.id), job_link_of(part)
    if link is None or (isinstance(recorded, Deployment) and recorded.status == part.status):
        return set()
    links = ((success.id, job_link_of(success)) for success in successes_of_scope(part, contents.facts))
    return {success_id for success_id, other in links if other and other.run_id == link.run_id}


def uncompared_note(deployment: Deployment, uncompared: Sequence[Deployment]) -> str:
    """Say that some changes of a deployment may have been delivered before it."""
    count = formatting.count(len(uncompared), "earlier deployment")
    names = ", ".join(deployment_label(each) for each in uncompared[:_MAX_NAMED])
    more = f" and {len(uncompared) - _MAX_NAMED} more" if len(uncompared) > _MAX_NAMED else ""
    return (
        f"{deployment_label(deployment)} was not compared with {count} ({names}{more}): too many release lines, or "
        "GitHub no longer has their commits. Changes that these delivered may be counted again"
    )
