"""Earlier attempts of workflow runs, which GitHub's lists do not show, and the workflows that ran and do not count."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dora_metrics.core.formatting import names_with_counts
from dora_metrics.core.names import EVENTS_WITHOUT_DEPLOYMENT
from dora_metrics.core.windows import parse_instant
from dora_metrics.github import shapes
from dora_metrics.github.client import NotFoundError
from dora_metrics.github.history.pages import HistoryReader
from dora_metrics.github.queries import JsonObject

MAX_ATTEMPTS_READ = 20
"""Earlier attempts that one reading asks for; each is a request. The next reading goes on with the rest."""
_MAX_RUNS_REMEMBERED = 100
_PAGE_SIZE = 100
_LEFT_TO_READ = re.compile(r"(?P<run_id>\d{1,20})/(?P<newest_attempt>\d{1,6})", re.ASCII)


@dataclass
class EarlierAttempts:
    """Reads the earlier attempts of runs that were run again, up to a number of requests.

    `reader`: what to read with. `left_to_read`: runs whose attempts are for the next reading, as `<run id>/<attempt>`.
    """

    reader: HistoryReader
    left_to_read: list[str] = field(default_factory=list)
    _request_count: int = 0

    def of_run(self, node: JsonObject) -> list[JsonObject]:
        """Return the earlier attempts of a run that was run again since the last reading."""
        is_new = node["status"] == "completed" and node["run_attempt"] > 1 and self._began_since_last_reading(node)
        return self._read(node["id"], node["run_attempt"]) if is_new else []

    def of_last_reading(self) -> Iterable[list[JsonObject]]:
        """Yield the attempts of each run that the last reading left to this one."""
        for entry in self.reader.cursor("runs").open:
            if match := _LEFT_TO_READ.fullmatch(entry):
                yield self._read(match["run_id"], int(match["newest_attempt"]))

    def note(self) -> str | None:
        """Return a note about the runs that are left to read; None if there are none."""
        if not self.left_to_read:
            return None
        count = len(self.left_to_read)
        runs = "1 run was run again, and its" if count == 1 else f"{count} runs were run again, and their"
        return f"{runs} earlier attempts are not read yet; the next sync continues."

    def _began_since_last_reading(self, node: JsonObject) -> bool:
        newest = self.reader.cursor("runs").newest
        return newest is None or parse_instant(node.get("run_started_at") or node["created_at"]) >= newest

    def _read(self, run_id: object, newest_attempt: int) -> list[JsonObject]:
        numbers = range(newest_attempt - 1, 0, -1)
        if self._request_count and self._request_count + len(numbers) > MAX_ATTEMPTS_READ:
            self.left_to_read = [*self.left_to_read, f"{run_id}/{newest_attempt}"][:_MAX_RUNS_REMEMBERED]
            return []
        attempts = (self._read_attempt(run_id, number) for number in numbers[:MAX_ATTEMPTS_READ])
        return [node for node in attempts if node]

    def _read_attempt(self, run_id: object, number: int) -> JsonObject | None:
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
