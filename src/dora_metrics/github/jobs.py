"""Jobs that made a GitHub deployment: how each ended, when it began, and the run that it belongs to.

The status of a deployment does not say that its job was cancelled: both a failed and a cancelled job leave `failure`.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from dora_metrics.core.facts.job_links import parse_job_link
from dora_metrics.core.scope import DEFAULT_ENVIRONMENT
from dora_metrics.github import shapes
from dora_metrics.github.client import Client, ForbiddenError, GitHubError, NotFoundError
from dora_metrics.github.queries import JsonObject

MAX_REQUESTS = 25
"""Requests for jobs in one sync. The jobs of the newest deployments are read first; the next sync goes on."""

PAGE_SIZE = 100
"""Jobs in one request."""


@dataclass(frozen=True)
class RepositoryJobs:
    """The jobs of one repository."""

    client: Client
    repository: str

    def conclusion(self, job_number: int) -> str | None:
        """Return how a job ended, such as `cancelled`; None if it has not ended.

        Raises:
            GitHubError: if GitHub refuses the request, does not know the job or does not answer.
        """
        job = self.client.get(f"/repos/{self.repository}/actions/jobs/{job_number}", {}, shapes.Job)
        conclusion: str | None = job["conclusion"]
        return conclusion


def check_run_node_id(deployment_node_id: str, job_id: str) -> str | None:
    """Return the GraphQL id of the check run of a job; None if the deployment's id has another form.

    Both ids hold a MessagePack list of a version, the number of the repository and the number of the object: `CR_` and
    `DE_`, then the list in URL-safe base64 without padding. The number of a check run is that of its job.
    """
    encoded_id = deployment_node_id.partition("_")[2]
    try:
        decoded_id = msgspec.msgpack.decode(base64.urlsafe_b64decode(encoded_id + "=" * (-len(encoded_id) % 4)))
        version, repository_number, _ = decoded_id
        return check_run_id(version, repository_number, int(job_id))
    except (ValueError, TypeError, OverflowError, RecursionError):  # msgspec's errors are ValueErrors
        return None


def check_run_id(version: int, repository_number: int, number: int) -> str:
    """Return the GraphQL id of a check run.

    Raises:
        OverflowError: if a number has more than 64 bits.
    """
    content = msgspec.msgpack.encode([version, repository_number, number])
    return f"CR_{base64.urlsafe_b64encode(content).decode().rstrip('=')}"


@dataclass
class JobReader:
    """Reads the jobs of deployments, with a limited number of requests.

    Attributes:
        client: GitHub's API.
        repository: whose jobs they are.
        server_url: the GitHub that they ran on.
        is_production: whether an environment is production.
        requests_left: how many requests may still be sent.
        refusal: what GitHub answered instead of the jobs; None if it answered all requests.
        refusal_of_ends: what GitHub answered when asked how jobs ended, where it shows their runs only; otherwise None.
        has_failures: whether one of the deployments says that it failed, which may mean that its job was cancelled.
        has_unread_production: whether the job of a deployment to production was not read.
        answered_ids: the ids of what GitHub answered for, and of deployments with no job to ask for. A job whose end it
            did not show is not among them.
        unended_ids: the ids of those among them whose job GitHub has not ended yet, as may be just after its status.
    """

    client: Client
    repository: str
    server_url: str
    is_production: Callable[[str], bool]
    requests_left: int = field(default_factory=lambda: MAX_REQUESTS)
    refusal: GitHubError | None = None
    refusal_of_ends: GitHubError | None = None
    has_failures: bool = False
    has_unread_production: bool = False
    answered_ids: set[str] = field(default_factory=set)
    unended_ids: set[str] = field(default_factory=set)

    @property
    def can_read(self) -> bool:
        """Whether another request may be sent."""
        return self.requests_left > 0 and self.refusal is None

    def jobs_of(self, deployment_nodes: Iterable[JsonObject]) -> dict[str, JsonObject]:
        """Return check runs by the GraphQL id of their deployment; those that GitHub no longer has are left out."""
        nodes = list(deployment_nodes)
        self.has_failures |= any(map(_has_failed, nodes))
        node_ids = dict(self._node_ids(nodes))
        self.answered_ids |= {str(node["id"]) for node in nodes} - node_ids.keys()
        jobs: dict[str, JsonObject] = {}
        for page in _pages(node_ids):
            jobs |= self.read(page)
        unread_ids = node_ids.keys() - self.answered_ids - jobs.keys()
        self.note_unread(node["environment"] or DEFAULT_ENVIRONMENT for node in nodes if node["id"] in unread_ids)
        return jobs

    def note_unread(self, environments: Iterable[str]) -> None:
        """Remember whether one of the environments of deployments whose jobs were not read is production."""
        self.has_unread_production |= any(map(self.is_production, environments))

    def _node_ids(self, deployment_nodes: Iterable[JsonObject]) -> Iterator[tuple[str, str]]:
        """Yield the ids of deployments that a job made, each with that of the job's check run.

        An address keeps the name that the repository had then. The id of the check run holds its number, so a job of
        another repository is not found.
        """
        for node in deployment_nodes:
            addresses = (status["logUrl"] for status in node["statuses"]["nodes"])
            links = (parse_job_link(address, None, self.server_url) for address in addresses)
            job_id = next((link.job_id for link in links if link and link.job_id), None)
            if job_id and (node_id := check_run_node_id(str(node["id"]), job_id)):
                yield str(node["id"]), node_id

    def read(self, node_ids: Mapping[str, str]) -> dict[str, JsonObject]:
        """Return check runs, given the GraphQL id of each by any key, at most 100; none if no request is left."""
        if not self.can_read:
            return {}
        self.requests_left -= 1
        try:
            nodes = self._check_runs(sorted(set(node_ids.values())))
        except GitHubError as problem:
            self.refusal = problem
            return {}
        check_runs = {node["id"]: node for node in nodes if node}
        jobs = {key: check_runs[node_id] for key, node_id in node_ids.items() if node_id in check_runs}
        if self.refusal_of_ends is None:
            self.answered_ids.update(node_ids)
            self.unended_ids.update(key for key, job in jobs.items() if not job.get("conclusion"))
        else:
            self.answered_ids.update(node_ids.keys() - jobs.keys())
        return jobs

    def _check_runs(self, node_ids: Sequence[str]) -> list[JsonObject | None]:
        """Return check runs, without how they ended if GitHub refuses that: whether they deployed matters more.

        Raises:
            GitHubError: if GitHub refuses the rest too, or does not answer.
        """
        if self.refusal_of_ends is None:
            try:
                return self._query(node_ids, ends=True)
            except ForbiddenError as problem:
                nodes = self._query(node_ids, ends=False)
                self.refusal_of_ends = problem
                return nodes
        return self._query(node_ids, ends=False)

    def _query(self, node_ids: Sequence[str], *, ends: bool) -> list[JsonObject | None]:
        data = self.client.query_existing("JobsById", {"ids": node_ids, "ends": ends})
        return list(data["nodes"])

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know if GitHub did not show the jobs, or how they ended."""
        if self.refusal and self.has_unread_production:
            return (_unread_jobs_note(self.refusal),)
        refusal = self.refusal or self.refusal_of_ends
        return (unknown_jobs_note(refusal),) if refusal and self.has_failures else ()


def _has_failed(node: JsonObject) -> bool:
    states = {status["state"] for status in node["statuses"]["nodes"]}
    return "FAILURE" in states and "SUCCESS" not in states


def _pages(node_ids: Mapping[str, str]) -> Iterator[dict[str, str]]:
    items = list(node_ids.items())
    for start in range(0, len(items), PAGE_SIZE):
        yield dict(items[start : start + PAGE_SIZE])


def unknown_jobs_note(problem: GitHubError) -> str:
    """Return the note about jobs that GitHub did not show, with the permission that may be missing."""
    return (
        f"GitHub did not return how the job of a failed deployment ended ({problem}). "
        f"Without that, a cancelled job looks like a failure{_advice(problem)}."
    )


def _unread_jobs_note(problem: GitHubError) -> str:
    """Return the note about jobs of production deployments of which nothing could be read."""
    return (
        f"GitHub did not return the jobs of production deployments ({problem}). Until it does, the jobs of pull "
        "requests and others that only use the environment count as deployments, and a cancelled job looks like a "
        f"failure{_advice(problem)}."
    )


def _advice(problem: GitHubError) -> str:
    is_permission_missing = isinstance(problem, ForbiddenError | NotFoundError)
    return "; give the job `permissions: actions: read` and `checks: read`" if is_permission_missing else ""
