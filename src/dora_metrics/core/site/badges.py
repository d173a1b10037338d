"""`badges/*.json`: one value each, in the format of shields.io's endpoint badges (https://shields.io/badges/endpoint-badge)."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from dora_metrics.core import contract
from dora_metrics.core.benchmarks import Benchmark
from dora_metrics.core.facts import EPOCH
from dora_metrics.core.judging import Record
from dora_metrics.core.ledger import BADGES
from dora_metrics.core.linking import default_service
from dora_metrics.core.report import Subject
from dora_metrics.core.table import NAMES, plain
from dora_metrics.core.words import NOTHING

MOST_SCOPES = 200
"""A commit of some thousand files is more than GitHub takes gladly."""

NO_DATA = "no data"
OVERALL = "overall"


class Badge(Struct, frozen=True, kw_only=True, rename="camel"):
    """What shields.io draws; `color` is one of its names."""

    schema_version: int = 1
    label: str
    message: str
    color: str


def badges(subject: Subject) -> dict[str, Badge]:
    """Badges by path: of each repository's main scope, and, where it has several, of each of them."""
    pairs = sorted(zip(subject.records.records, subject.document.scopes, strict=True), key=_last, reverse=True)
    repositories: dict[str, list[tuple[Record, contract.ScopeMetrics]]] = defaultdict(list)
    for record, scope in pairs[:MOST_SCOPES]:
        repositories[record.scope.repository].append((record, scope))
    found: dict[str, Badge] = {}
    for repository, scopes in sorted(repositories.items()):
        folder = BADGES if len(repositories) == 1 else f"{BADGES}{_place(repository.split('/'))}"
        found |= _of_repository(scopes, folder, subject.policy.benchmark)
    return found


def _last(pair: tuple[Record, contract.ScopeMetrics]) -> tuple[object, ...]:
    deployments = pair[0].deployments
    return (deployments[-1].finished_at if deployments else EPOCH, pair[0].scope)


def _of_repository(
    scopes: Sequence[tuple[Record, contract.ScopeMetrics]], folder: str, benchmark: Benchmark
) -> Mapping[str, Badge]:
    main = max(scopes, key=_standing)[1]
    found = dict(_of_scope(main, folder, benchmark))
    if len(scopes) > 1:
        for _, scope in scopes:
            found |= _of_scope(scope, folder + _place((scope.service, scope.environment)), benchmark)
    return found


def _standing(pair: tuple[Record, contract.ScopeMetrics]) -> tuple[object, ...]:
    """The main scope is the same whatever was deployed last: the repository's own service, then the busiest scope."""
    repository, service, environment = pair[0].scope
    own = service == default_service(repository)
    return (own, environment.casefold() == "production", len(pair[0].deployments), pair[0].scope)


def _of_scope(scope: contract.ScopeMetrics, folder: str, benchmark: Benchmark) -> Iterator[tuple[str, Badge]]:
    for name, title in NAMES.items():
        part: contract.Judged = getattr(scope.metrics, name)
        message = plain(part)
        known = message != NOTHING
        color = _color(part.level, benchmark) if known else "lightgrey"
        yield f"{folder}{name}.json", Badge(label=title.lower(), message=message if known else NO_DATA, color=color)
    overall = scope.metrics.overall_level
    message, color = (overall.level, _color(overall.level, benchmark)) if overall else (NO_DATA, "lightgrey")
    yield f"{folder}{OVERALL}.json", Badge(label="DORA", message=message, color=color)


_COLORS = ("red", "orange", "yellow", "green", "brightgreen")


def _color(level: str | None, benchmark: Benchmark) -> str:
    """From red for the lowest rank of a benchmark to bright green for its highest; blue for what has no levels."""
    if level is None:
        return "blue"
    highest = max(rank for name, rank in benchmark.ranks.items() if name in _used(benchmark))
    share = benchmark.ranks[level] / highest if highest else 1.0
    return _COLORS[round(share * (len(_COLORS) - 1))]


def _used(benchmark: Benchmark) -> set[str]:
    return {name for edges in benchmark.edges.values() for name, _ in edges}


def _place(names: Iterable[str]) -> str:
    return "".join(f"{file_name(name)}/" for name in names)


def file_name(name: str) -> str:
    """A name as a folder that every disk and address takes; one that had to be changed ends with a hash of it."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60]
    if name and safe == name and not safe.lower().endswith(".json"):
        return safe
    return f"{safe or 'x'}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
