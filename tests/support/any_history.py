"""Repositories with any history on a fake GitHub, and what git says that each of their deployments brought."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from hypothesis import strategies as st

from dora_metrics.core.facts.jsonl import decode_line
from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.core.linking.link import link
from dora_metrics.core.policy import Policy
from fakes.github import FakeGitHub
from support.github_history import NOW, at
from support.runs import deployment_status, run_action

_HOURS_BETWEEN_COMMITS = 2


class DeployedCommit(NamedTuple):
    """A success: the number of the deployed commit, and how many hours after that commit it finished."""

    commit: int
    delay_hours: float

    @property
    def finished_at(self) -> datetime:
        """When it finished."""
        return at(self.commit * _HOURS_BETWEEN_COMMITS + self.delay_hours)


class History(NamedTuple):
    """The parents of each commit, all by number, the commit of the default branch's head, and the successes."""

    parents: tuple[tuple[int, ...], ...]
    head: int
    deployed: tuple[DeployedCommit, ...]


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Draw a history with branches, merges, backports, rollbacks and commits that are deployed again."""
    size = draw(st.integers(2, 9))
    parents: list[tuple[int, ...]] = [()]
    for number in range(1, size):
        latest = range(max(0, number - 4), number)
        parents.append(tuple(draw(st.sets(st.sampled_from(latest), min_size=1, max_size=2))))
    delays = st.sampled_from((0.25, 1.25, 3.25, 9.25, 15.25))
    deployed = draw(st.lists(st.builds(DeployedCommit, st.integers(0, size - 1), delays), min_size=2, max_size=7))
    by_end = {each.finished_at: each for each in deployed}
    return History(tuple(parents), draw(st.integers(0, size - 1)), tuple(by_end[end] for end in sorted(by_end)))


@dataclass
class DeployedRepository:
    """acme/shop with a drawn history, on a fake GitHub, and runs of the action in folders."""

    github: FakeGitHub
    history: History

    def __post_init__(self) -> None:
        self.repository = self.github.repository("acme/shop", empty=True)
        self.shas: list[str] = []
        for number, parents in enumerate(self.history.parents):
            time = at(number * _HOURS_BETWEEN_COMMITS)
            sha = self.repository.commit(
                {f"{number}.txt": "x"},
                message=f"Commit {number}",
                branch=f"side-{number}",
                parents=[self.shas[parent] for parent in parents],
                author_date=time,
                committer_date=time,
            )
            self.shas.append(sha)
        self.repository.branch("main", self.shas[self.history.head])
        self.deployments = [
            self.repository.deployment(
                sha=self.shas[each.commit], ref=f"side-{each.commit}", at=each.finished_at, finished_at=each.finished_at
            )
            for each in self.history.deployed
        ]

    @property
    def reached(self) -> dict[str, set[str]]:
        """The commits, merges left out, that each success but the first brought, by git."""
        brought: dict[str, set[str]] = {}
        shas = [self.shas[each.commit] for each in self.history.deployed]
        for position in range(1, len(shas)):
            excluded = [f"^{sha}" for sha in shas[:position]]
            listed = self.repository.git.rev_list("--no-merges", shas[position], *excluded)
            brought[f"github:deployment:{self.deployments[position].database_id}"] = set(listed)
        return brought

    def record_events(self, folder: Path, order: Iterable[int]) -> None:
        """Record the deployments, in this order of arrival."""
        for position in order:
            each, deployment = self.history.deployed[position], self.deployments[position]
            finished_at = f"{each.finished_at:%Y-%m-%dT%H:%M:%SZ}"
            payload = deployment_status(
                deployment.database_id, at=finished_at, sha=self.shas[each.commit], ref=f"side-{each.commit}"
            )
            self._run(folder, "deployment_status", payload)

    def sync(self, folder: Path) -> None:
        """Read the history."""
        self._run(folder, "schedule", {"schedule": "17 5 * * *"})

    def _run(self, folder: Path, event: str, payload: dict[str, object]) -> None:
        folder.mkdir(exist_ok=True)
        inputs = {"github-token": self.github.token, "report": "off", "since": "all", "window": "all"}
        environment = {"GITHUB_API_URL": self.github.api_url}
        ran = run_action(folder, event, payload, inputs, now=NOW, environment=environment)
        assert ran.code == 0, ran.log
        assert "did not return what was delivered" not in ran.log, ran.log


def recorded_facts(folder: Path) -> list[Fact]:
    """The facts of a ledger in a folder."""
    lines = [line for path in sorted(folder.glob("ledger/facts/**/*.jsonl")) for line in path.read_bytes().splitlines()]
    return [decode_line(line) for line in lines]  # type: ignore[misc]


def delivered_commits(facts: Sequence[Fact]) -> dict[str, set[str]]:
    """The commits that each success but the first delivered, by the ledger."""
    (timeline,) = link(facts, Policy()).timelines.values()
    return {
        deployment.id: {change_id.removeprefix("commit:") for change_id in deployment.changes or ()}
        for deployment in timeline.successes[1:]
    }


def commit_counts(facts: Sequence[Fact]) -> dict[str, tuple[int | None, tuple[str, ...] | None]]:
    """The recorded number of commits and known ancestors of each deployment."""
    deployments = [fact for fact in facts if isinstance(fact, Deployment)]
    return {deployment.id: (deployment.commit_count, deployment.descends_from) for deployment in deployments}
