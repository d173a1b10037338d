"""Jobs that no sync has read yet: those of the deployments for which the requests of one sync did not suffice.

A sync reads the jobs of new deployments with their pages, and then goes on with this backlog, the newest first. The
cursor `jobs` says how far it is, so that a job that GitHub no longer has is asked for once.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from msgspec.structs import replace

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts.job_links import github_job_number
from dora_metrics.core.facts.model import EPOCH, Deployment
from dora_metrics.core.formatting import count
from dora_metrics.core.scope import environment_of
from dora_metrics.core.windows import parse_instant
from dora_metrics.github.history.pages import HistoryPart, HistoryReader, HistoryRequest
from dora_metrics.github.jobs import PAGE_SIZE, JobReader, check_run_id
from dora_metrics.github.queries import JsonObject

_MAX_UNENDED_AGE = timedelta(days=1)
"""GitHub ends a job seconds after the deployment that it failed; one that says nothing for so long has no end."""


@dataclass
class JobBacklog:
    """The deployments whose jobs are left to read.

    Attributes:
        reader: what to read with.
        jobs: reads the jobs, with the requests that the pages of deployments leave.
    """

    reader: HistoryReader
    jobs: JobReader
    _facts: dict[str, Deployment] = field(default_factory=dict)
    _skipped_ids: set[str] = field(default_factory=set)
    _answered_ids: set[str] = field(default_factory=set)
    _unended: dict[str, Deployment] = field(default_factory=dict)

    def add_page(self, facts: Iterable[Deployment], node_ids: Mapping[str, str]) -> None:
        """Add what a page of deployments has, with GitHub's ids of the new ones, by the ids of their facts."""
        self._facts |= {fact.id: fact for fact in facts}
        answered_ids = {fact_id for fact_id, node_id in node_ids.items() if node_id in self.jobs.answered_ids}
        self._answered_ids |= answered_ids
        self._skipped_ids |= node_ids.keys() - answered_ids
        unended_ids = (fact_id for fact_id, node_id in node_ids.items() if node_id in self.jobs.unended_ids)
        self._unended |= {fact_id: self._facts[fact_id] for fact_id in unended_ids if fact_id in self._facts}

    def before_skipping(self) -> Iterator[HistoryPart]:
        """Yield the cursor to store before a page whose jobs are not asked for, so that a later sync asks for them."""
        if self._cursor.reached is not None and not self.jobs.can_read and not self._skipped_ids:
            yield HistoryPart("jobs", cursor=replace(self._cursor, reached=self.reader.run.now))

    def parts(self) -> Iterator[HistoryPart]:
        """Read the backlog as far as requests are left. The last part says what remains."""
        left = sorted(self._unread(), key=lambda fact: (fact.finished_at, fact.id), reverse=True)
        if not left and not self._answered_ids and self._cursor.reached is None:
            return
        number = self.reader.repository.number
        while self.jobs.can_read and number is not None and (page := self._to_ask_for(left)[:PAGE_SIZE]):
            facts = tuple(self._with_jobs(page, number))
            if self.jobs.refusal is None:
                self._facts |= {fact.id: fact for fact in facts}
                read_ids = {fact.id for fact in page} - self._ids_without_end(facts)
                left = [fact for fact in left if fact.id not in read_ids]
                reached = max(fact.finished_at for fact in (page[-1], *left[:1]))
                yield HistoryPart("jobs", facts, replace(self._cursor, reached=reached), reached)
        cursor = Cursor(reached=left[0].finished_at if left else EPOCH, open=self._open_ids())
        yield HistoryPart("jobs", cursor=cursor, is_complete=not left, notes=tuple(self._notes(left)))

    def _to_ask_for(self, left: list[Deployment]) -> list[Deployment]:
        """Return the deployments about whose jobs GitHub may say more: all, unless it does not show how they ended."""
        if self.jobs.refusal_of_ends is None:
            return left
        recorded = self.reader.request.recorded_jobs
        versions = ((fact, self._facts.get(fact.id, fact), recorded.get(fact.id, fact)) for fact in left)
        return [each[0] for each in versions if not any(version.job_name for version in each)]

    def _ids_without_end(self, facts: Iterable[Deployment]) -> set[str]:
        """Return the ids of failures whose jobs GitHub showed without how they ended, so that a later sync asks."""
        if self.jobs.refusal_of_ends is None:
            return set()
        return {fact.id for fact in facts if fact.status == "failure"}

    @property
    def _cursor(self) -> Cursor:
        return self.reader.cursor("jobs")

    def _unread(self) -> Iterator[Deployment]:
        """Yield the deployments whose jobs neither the ledger nor a page of this sync has."""
        recorded = self.reader.request.recorded_jobs
        known_ids = {fact.id for fact in (*recorded.values(), *self._facts.values()) if _says_how_it_ended(fact)}
        left_ids = {fact.id for fact in recorded.values() if self._is_left_by_last_sync(fact)}
        for fact_id in (left_ids | self._skipped_ids) - known_ids - self._answered_ids:
            fact = self._facts.get(fact_id) or recorded.get(fact_id)
            if fact is not None and github_job_number(fact) is not None:
                yield fact

    def _is_left_by_last_sync(self, fact: Deployment) -> bool:
        is_reached = self._cursor.reached is None or fact.finished_at <= self._cursor.reached
        return is_reached or fact.id in self._cursor.open

    def _open_ids(self) -> tuple[str, ...]:
        """Return the newest failures whose jobs had not ended, so that they may turn out to be cancelled."""
        failures = (fact for fact in self._unended.values() if fact.status == "failure")
        recent = [fact for fact in failures if self.reader.run.now - fact.finished_at < _MAX_UNENDED_AGE]
        newest_first = sorted(recent, key=lambda fact: (fact.finished_at, fact.id), reverse=True)
        return tuple(fact.id for fact in newest_first[:PAGE_SIZE])

    def _with_jobs(self, facts: Iterable[Deployment], repository_number: int) -> Iterator[Deployment]:
        """Read the jobs of deployments; those that GitHub no longer has are left out."""
        by_id = {fact.id: fact for fact in facts}
        node_ids = {
            fact.id: check_run_id(0, repository_number, github_job_number(fact) or 0) for fact in by_id.values()
        }
        for fact_id, job in self.jobs.read(node_ids).items():
            if fact_id in self.jobs.unended_ids:
                self._unended[fact_id] = by_id[fact_id]
            yield _with_job(by_id[fact_id], job)

    def _notes(self, left: list[Deployment]) -> Iterator[str]:
        if self.jobs.refusal is not None or self.jobs.refusal_of_ends is not None:
            self.jobs.has_failures |= any(fact.status == "failure" for fact in left)
            self.jobs.note_unread(environment_of(fact) for fact in self._to_ask_for(left))
            yield from self.jobs.notes
        unread = [] if self.jobs.refusal else self._to_ask_for(left)
        if unread:
            yield (
                f"The jobs of {count(len(unread), 'deployment')} are not read yet. Until then these count, even if a "
                "job was cancelled or only uses the environment. The next sync continues."
            )


def recorded_jobs(facts: Iterable[object], repository: str) -> Mapping[str, Deployment]:
    """Return the GitHub deployments of a repository's jobs, by id, as they are recorded."""
    return {
        fact.id: fact
        for fact in facts
        if isinstance(fact, Deployment)
        and fact.repository == repository
        and fact.source == "deployments"
        and github_job_number(fact) is not None
        and not fact.retracted
    }


def has_unread_jobs(request: HistoryRequest) -> bool:
    """Whether a reading would ask for jobs of deployments that the ledger has."""
    cursor = request.cursors.get("jobs", Cursor())
    if cursor.reached is None:
        return not all(map(_says_how_it_ended, request.recorded_jobs.values()))
    return cursor.reached > EPOCH or bool(cursor.open)


def _says_how_it_ended(deployment: Deployment) -> bool:
    """Whether a job need not be asked for. An event names a failed job even where it could not ask how that ended."""
    return bool(deployment.job_name) and deployment.status != "failure"


def _with_job(deployment: Deployment, job: JsonObject) -> Deployment:
    """Return a deployment with what its job adds."""
    run = (job["checkSuite"] or {}).get("workflowRun") or {}
    is_cancelled = deployment.status == "failure" and (job.get("conclusion") or "").lower() == "cancelled"
    started_at = parse_instant(job["startedAt"]) if job["startedAt"] else None
    return replace(
        deployment,
        status="cancelled" if is_cancelled else deployment.status,
        started_at=deployment.started_at or started_at,
        job_name=job["name"] or None,
        workflow=(run.get("workflow") or {}).get("name") or deployment.workflow,
        run_event=run.get("event") or deployment.run_event,
    )
