"""Earlier attempts of workflow runs, which GitHub's lists do not show, and the workflows that ran and do not count."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from dora_metrics.core.formatting import count, names_with_counts
from dora_metrics.core.names import EVENTS_WITHOUT_DEPLOYMENT
from dora_metrics.core.windows import parse_instant
from dora_metrics.github import shapes
from dora_metrics.github.client import GitHubError, NotFoundError, RateLimitError
from dora_metrics.github.history.pages import HistoryReader
from dora_metrics.github.queries import JsonObject

MAX_ATTEMPTS_READ = 20
"""Earlier attempts that one reading asks for, or those of one run; each is a request. The next reading goes on."""
_MAX_ATTEMPTS_OF_RUN = 100
"""Earlier attempts of one run that are read. Since April 2026, GitHub lets a run be run again 50 times."""
_MAX_RUNS_REFUSED = 3
"""Runs whose attempts GitHub did not return, after which a reading stops asking."""
_MAX_RUNS_REMEMBERED = 100
"""Runs that a cursor names. Of a workflow's others it has when the newest was created, and they are listed again."""
_PAGE_SIZE = 100
_REST_OF_WORKFLOW = re.compile(
    r"(?P<workflow_id>\d{1,20})@(?P<created_until>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)", re.ASCII
)
_LEFT_TO_READ = re.compile(r"(?P<run_id>\d{1,20})/(?P<newest_attempt>\d{1,6})", re.ASCII)


@dataclass
class EarlierAttempts:
    """Reads the earlier attempts of runs that were run again, up to a number of requests.

    The attempts of a run are read together, since which of them count depends on the earliest success.

    `reader`: what to read with. `left_to_read`: runs whose attempts are for the next reading, each with the number of
    the attempt whose earlier ones are not read. `rests`: by the id of a workflow, when the newest of its runs was
    created that are left too and did not fit there.
    """

    reader: HistoryReader
    left_to_read: dict[str, int] = field(default_factory=dict)
    rests: dict[str, str] = field(default_factory=dict)
    _of_last_reading: dict[str, list[JsonObject]] = field(default_factory=dict)
    _request_count: int = 0
    _cut_count: int = 0
    _refused: dict[str, int] = field(default_factory=dict)
    _problem: GitHubError | None = None

    def __post_init__(self) -> None:
        entries = self.reader.cursor("runs").open
        self._waiting = [match for entry in entries if (match := _LEFT_TO_READ.fullmatch(entry))]
        rests = (match for entry in entries if (match := _REST_OF_WORKFLOW.fullmatch(entry)))
        self._earlier_rests = {match["workflow_id"]: match["created_until"] for match in rests}

    @property
    def cursor_entries(self) -> tuple[str, ...]:
        """What the next reading goes on with, as `<run id>/<attempt>` and `<workflow id>@<time>`."""
        runs = {**self.left_to_read, **self._refused}  # what GitHub may refuse again comes last
        left = (f"{run_id}/{newest_attempt}" for run_id, newest_attempt in runs.items())
        return (*left, *(f"{workflow_id}@{time}" for workflow_id, time in sorted(self.rests.items())))

    def read_what_was_left(self) -> None:
        """Read the attempts of the runs that the last reading left, before those of any other run."""
        for match in self._waiting:
            run_id, newest_attempt = match["run_id"], int(match["newest_attempt"])
            if self._can_read(newest_attempt):
                self._of_last_reading[run_id] = self._read(run_id, newest_attempt)
            else:
                self._leave(run_id, newest_attempt)

    def of_run(self, workflow_id: int, node: JsonObject) -> list[JsonObject]:
        """Return the earlier attempts of a run that was run again since the last reading, or that this one left."""
        if self._began_since_last_reading(node):
            return self.of_rest(workflow_id, node)
        return self._of_last_reading.pop(str(node["id"]), [])

    def of_runs_not_listed(self) -> Iterable[list[JsonObject]]:
        """Return the attempts of each run that the last reading left and that no list of this one has."""
        return self._of_last_reading.values()

    def rest_of_last_reading(self, workflow_id: int) -> str | None:
        """Return when the newest of the runs was created that the last reading could not name; None without any.

        They stay for the next reading if this one left newer runs of the workflow too.
        """
        name = str(workflow_id)
        created_until = self._earlier_rests.get(name)
        if created_until and name in self.rests:
            self.rests[name] = max(self.rests[name], created_until)
            return None
        return created_until

    def of_rest(self, workflow_id: int, node: JsonObject) -> list[JsonObject]:
        """Return the earlier attempts of a run, none if they are left to the next reading."""
        run_id, newest_attempt, workflow_name = str(node["id"]), node["run_attempt"], str(workflow_id)
        self._of_last_reading.pop(run_id, None)
        if newest_attempt < 2 or workflow_name in self.rests:  # noqa: PLR2004 - attempts
            return []
        if run_id in self._refused:
            self._refused[run_id] = newest_attempt
            return []
        if self._can_read(newest_attempt):
            return self._read(run_id, newest_attempt)
        if run_id in self.left_to_read or len(self.left_to_read) + len(self._refused) < _MAX_RUNS_REMEMBERED:
            self._leave(run_id, newest_attempt)
        else:
            self.rests[workflow_name] = node["created_at"]
        return []

    def is_left(self, workflow_id: int) -> bool:
        """Whether the further runs of a workflow are left to the next reading."""
        return str(workflow_id) in self.rests

    def notes(self) -> Iterator[str]:
        """Yield what a reader must know of attempts that are not read, or not yet."""
        if self.left_to_read or self.rests:
            number, more = len(self.left_to_read), "More than " if self.rests else ""
            runs = "1 run was run again, and its" if number == 1 else f"{more}{number} runs were run again, and their"
            yield f"{runs} earlier attempts are not read yet; the next sync continues."
        if self._refused:
            runs = count(len(self._refused), "run")
            yield f"GitHub did not return the earlier attempts of {runs} ({self._problem}). The next sync asks again."
        if self._cut_count:
            runs = f"{count(self._cut_count, 'run')} with more than {_MAX_ATTEMPTS_OF_RUN} earlier attempts"
            yield f"Of {runs}, only the newest of these are read."

    def _began_since_last_reading(self, node: JsonObject) -> bool:
        newest = self.reader.cursor("runs").newest
        return newest is None or parse_instant(node.get("run_started_at") or node["created_at"]) >= newest

    def _can_read(self, newest_attempt: int) -> bool:
        """Whether requests are left for the earlier attempts; the first run may have more of them than these."""
        if len(self._refused) >= _MAX_RUNS_REFUSED:
            return False
        return not self._request_count or self._request_count + newest_attempt - 1 <= MAX_ATTEMPTS_READ

    def _leave(self, run_id: str, newest_attempt: int) -> None:
        """Leave a run to the next reading; it may be left already, before it was run once more."""
        self.left_to_read[run_id] = max(newest_attempt, self.left_to_read.get(run_id, 0))

    def _read(self, run_id: str, newest_attempt: int) -> list[JsonObject]:
        """Return the earlier attempts of a run; none if GitHub refuses one, so that the next reading asks again.

        Raises:
            RateLimitError: if this reading may ask for nothing any more.
        """
        self._cut_count += newest_attempt > _MAX_ATTEMPTS_OF_RUN + 1
        numbers = range(newest_attempt - 1, 0, -1)[:_MAX_ATTEMPTS_OF_RUN]
        try:
            attempts = [self._read_attempt(run_id, number) for number in numbers]
        except RateLimitError:
            raise
        except GitHubError as problem:
            self._refused[run_id], self._problem = newest_attempt, problem
            return []
        return [node for node in attempts if node]

    def _read_attempt(self, run_id: str, number: int) -> JsonObject | None:
        self._request_count += 1
        path = f"/repos/{self.reader.repository.name}/actions/runs/{run_id}/attempts/{number}"
        try:
            return dict(self.reader.client.get(path, {}, shapes.WorkflowRun))
        except NotFoundError:
            return None  # deleted, as somebody may


def uncounted_workflows_note(reader: HistoryReader, workflows: Sequence[JsonObject]) -> str | None:
    """Return a note that names the workflows that ran lately, most runs first; None if none ran.

    Raises:
        GitHubError: if GitHub refuses the request or does not answer.
    """
    path = f"/repos/{reader.repository.name}/actions/runs"
    answer = reader.client.get(path, {"per_page": _PAGE_SIZE}, shapes.WorkflowRuns) if workflows else {}
    runs = answer.get("workflow_runs", [])
    names_by_path = {workflow["path"]: workflow["name"] for workflow in workflows}
    may_deploy = (run for run in runs if run["event"] not in EVENTS_WITHOUT_DEPLOYMENT)
    paths = (str(run["path"]).partition("@")[0] for run in may_deploy)
    counts = Counter(names_by_path[path] for path in paths if path in names_by_path)
    if not counts:
        return None
    return (
        f"No successful run of {reader.repository.name} counts as a deployment. If one of these workflows deploys, "
        f"add it to `deploy-workflows`: {names_with_counts(counts.most_common())}, from the newest {len(runs)} runs."
    )
