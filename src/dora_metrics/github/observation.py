"""The workflow run that this process belongs to, and what its event reports."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.core.facts.model import Deployment, Fact, Incident


@dataclass(frozen=True)
class Run:
    """The workflow run that this process belongs to; `now` is read from the clock once.

    `repository_number` is GitHub's number of the repository, which stays the same when it is renamed. `check_run_id` is
    the number of this job; empty where the runner does not say it. `job` is its key in the workflow file,
    `matrix_index` and `matrix_size` its place in a matrix. `has_job` is false on a person's machine, where there is no
    job that could be given a permission.
    """

    event: str
    repository: str
    now: datetime
    sha: str = ""
    ref: str = ""
    run_id: str = ""
    run_attempt: int = 1
    server_url: str = "https://github.com"
    workflow: str = ""
    repository_number: int | None = None
    job: str = ""
    check_run_id: str = ""
    matrix_index: int = 0
    matrix_size: int = 1
    has_job: bool = True

    @property
    def is_manual(self) -> bool:
        """Whether a person started the run, on GitHub or on a command line."""
        return self.event == "workflow_dispatch"

    @property
    def repository_url(self) -> str:
        """Address of the repository's page."""
        return f"{self.server_url.rstrip('/')}/{self.repository}"


class Recorded(Struct, frozen=True):
    """What the ledger knows, for events that mean something else once something is recorded.

    Attributes:
        has: whether there is a fact with an id.
        has_read_issues: whether a sync has read all issues that changed at a time.
        deployments: all deployments.
        full_sha: completes the first digits of a sha in a repository, if only one commit begins with them.
        present_name: the present name of the repository that has or had a name.
    """

    has: Callable[[str], bool] = lambda _: False
    has_read_issues: Callable[[datetime], bool] = lambda _: False
    deployments: Callable[[], Iterable[Deployment]] = tuple
    full_sha: Callable[[str, str], str | None] = lambda _repository, _digits: None
    present_name: Callable[[str], str] = lambda name: name


NOTHING_RECORDED = Recorded()


class Observation(Struct, frozen=True):
    """The facts of one event.

    `title` is one sentence: what happened, or why nothing is recorded. `ledger_files` are further files to write to the
    ledger, by path. `may_repeat_since`: since when the same thing may have happened before; None if it cannot have. The
    ledger is read back to then. `unstated`: the fields of the facts with the run's time or a default, which the event
    does not state. `problems`: the parts of the event that cannot be read, where others can. `warnings`: what was left
    out, though it could be read, and needs a person.
    """

    facts: tuple[Fact, ...]
    title: str
    notes: tuple[str, ...] = ()
    ledger_files: Mapping[str, bytes] = {}
    may_repeat_since: datetime | None = None
    unstated: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def title_with(self, facts: tuple[Fact, ...]) -> str:
        """Return the title with the state of a single incident as it is recorded, which the event may say a part of."""
        match self.facts, facts:
            case (Incident() as observed,), (Incident() as recorded,):
                state = incident_state(observed)
                is_named = self.title.endswith(state)
                return self.title.removesuffix(state) + incident_state(recorded) if is_named else self.title
            case _:
                return self.title

    def with_more(self, facts: Iterable[Fact], news: str, notes: Iterable[str]) -> "Observation":
        """Return the observation with what was read besides the event; `news` says what, and is empty for nothing."""
        title = "; ".join(filter(None, (self.title, news)))
        return replace(self, facts=(*self.facts, *facts), title=title, notes=(*self.notes, *notes))


def nothing_to_record(reason: str) -> Observation:
    """Return an observation without facts, and the reason."""
    return Observation((), f"Nothing to record: {reason}")


_STATUS_PHRASES = {"success": "succeeded", "failure": "failed", "cancelled": "was cancelled"}


def deployment_observation(deployment: Deployment, notes: tuple[str, ...] = ()) -> Observation:
    """Return the observation of a finished deployment."""
    name = deployment.version or (deployment.sha or "")[:7] or deployment.ref or deployment.id
    environment = deployment.environment or "an environment without a name"
    title = f"Deployment of {name} to {environment} {_STATUS_PHRASES[deployment.status]}"
    return Observation((deployment,), title, notes)


def incident_state(incident: Incident) -> str:
    """Return the state of an incident as the end of a sentence."""
    if incident.retracted:
        return "is withdrawn"
    return "was resolved" if incident.resolved_at else "is open"
