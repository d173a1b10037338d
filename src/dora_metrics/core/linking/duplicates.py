"""One deployment that several sources tell of counts once.

The one that knows best wins: the job that deployed and said so, then GitHub's deployment, the release, the observed
workflow run, the push. Only what GitHub itself tells is compared; a deployment from outside is its sender's word.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.policy import Policy

_RUN = re.compile(r"/actions/runs/(\d+)(?:/|\?|#|$)")
_BETTER = ("deployment", "release", "run", "job")
_NAMES = {
    "deployment": ("GitHub deployments", "the job that deployed"),
    "release": ("releases", "the GitHub deployment of their tag"),
    "run": ("workflow runs", "what they deployed or released"),
    "push": ("pushes", "the deployment of the same commit"),
}


class Kept(NamedTuple):
    """The deployments that count, and sentences on those that do not."""

    kept: list[Deployment]
    notes: list[str]


def without_doubles(deployments: Sequence[Deployment], rules: Policy) -> Kept:
    """The same without those that a better source tells of as well."""
    known = _Known.of(d for d in deployments if rules.is_production(d.environment or "production"))
    kept: list[Deployment] = []
    left: Counter[str] = Counter()
    for deployment in deployments:
        double = known.tells(deployment)
        if double is None:
            kept.append(deployment)
        elif double:
            left[double] += 1
    notes = [
        f"Not counted again beside {_NAMES[kind][1]}: {_NAMES[kind][0]} ({count})."
        for kind, count in sorted(left.items())
    ]
    return Kept(kept, notes)


def _kind(deployment: Deployment) -> tuple[str, str]:
    """`run` and `5` of `github:run:5`, `job` and `5` of `github:run:5:production`."""
    system, _, rest = deployment.id.partition(":")
    kind, _, number = rest.partition(":")
    if system != "github":
        return "", ""
    run, colon, _ = number.partition(":")
    return ("job", run) if kind == "run" and colon else (kind, number)


def _run_of(deployment: Deployment) -> str | None:
    found = _RUN.search(deployment.url or "")
    return found[1] if found else None


@dataclass
class _Known:
    """Production deployments by what others can be recognised by."""

    jobs: set[tuple[str | None, str | None]] = field(default_factory=set)
    parts: set[tuple[str, str]] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)
    tags: defaultdict[tuple[str, str], set[str | None]] = field(default_factory=lambda: defaultdict(set))
    shas: defaultdict[tuple[str, str], list[tuple[str, Deployment]]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, deployments: Iterable[Deployment]) -> "_Known":
        known = cls()
        for deployment in deployments:
            known._take(deployment, *_kind(deployment))
        return known

    def _take(self, deployment: Deployment, kind: str, number: str) -> None:
        if kind == "job":
            self.jobs.add((number, deployment.environment))
            self.parts.add(("run", number))
        if kind == "deployment" and (run := _run_of(deployment)):
            self.runs.add(run)
        if kind in ("release", "push") and ":" in number:
            self.parts.add((kind, number.partition(":")[0]))
        if kind in ("deployment", "release") and deployment.ref:
            self.tags[f"{kind} {deployment.repository}", deployment.ref].add(deployment.service)
        if kind in _BETTER and deployment.sha:
            self.shas[deployment.repository, deployment.sha].append((kind, deployment))

    def tells(self, deployment: Deployment) -> str | None:
        """The kind of a double; empty for one that needs no words, None for what is no double."""
        kind, number = _kind(deployment)
        match kind:
            case "run" | "release" | "push" if (kind, number) in self.parts:
                return ""  # the jobs of a run, the services of a monorepo tell of their own parts
            case "deployment" if (_run_of(deployment), deployment.environment) in self.jobs:
                return kind
            case "release" if self._tagged("deployment", deployment):
                return kind
            case "run" if number in self.runs or self._made_by(deployment):
                return kind
            case "push" if any(_same_service(deployment, made) for made in self._beside(deployment, _BETTER)):
                return kind
            case _:
                return None

    def _made_by(self, run: Deployment) -> bool:
        """Whether a deployment or release of the run's commit began while it ran, or is of the tag it ran for."""
        if self._tagged("release", run):
            return True
        return any(_during(run, made) for made in self._beside(run, ("deployment", "release")))

    def _tagged(self, kind: str, deployment: Deployment) -> bool:
        services = self.tags.get((f"{kind} {deployment.repository}", str(deployment.ref)), set())
        return bool(services) and (deployment.service is None or not services.isdisjoint({deployment.service, None}))

    def _beside(self, deployment: Deployment, kinds: Collection[str]) -> Iterator[Deployment]:
        """Deployments of the same commit."""
        for kind, made in self.shas.get((deployment.repository, str(deployment.sha)), ()):
            if kind in kinds:
                yield made


def _same_service(one: Deployment, other: Deployment) -> bool:
    """Where neither names another one."""
    return one.service == other.service or one.service is None or other.service is None


def _during(run: Deployment, made: Deployment) -> bool:
    began = made.started_at or made.finished_at
    return run.started_at is not None and run.started_at <= began <= run.finished_at
