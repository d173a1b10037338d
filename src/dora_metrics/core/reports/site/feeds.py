"""`badges/*.json`: one value each, in the format of shields.io's endpoint badges (https://shields.io/badges/endpoint-badge)."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from dora_metrics.core import schema
from dora_metrics.core.formatting import NOTHING
from dora_metrics.core.ledger.layout import BADGES
from dora_metrics.core.metrics.scope_history import Record
from dora_metrics.core.reports.sections import NAMES, plain
from dora_metrics.core.reports.site.cards import rank
from dora_metrics.core.reports.site.history import latest_first
from dora_metrics.core.reports.summary import Subject
from dora_metrics.core.targets.benchmarks import Benchmark

MOST_SCOPES = 200
"""A commit of some thousand files is more than GitHub takes gladly."""

NO_DATA = "no data"
OVERALL = "overall"
_LABELS = {**{name: title.lower() for name, title in NAMES.items()}, OVERALL: "DORA"}


class Badge(Struct, frozen=True, kw_only=True, rename="camel"):
    """What shields.io draws; `color` is one of its names."""

    schema_version: int = 1
    label: str
    message: str
    color: str


def badges(subject: Subject) -> dict[str, Badge]:
    """Badges by path: of the scope of each repository that was deployed last, and, where it has several, of each.

    Before anything is known they are there as well, without a value, so that a README's badge has its file.
    """
    pairs = latest_first(subject)
    if not pairs:
        return {f"{BADGES}{name}.json": _unknown(name) for name in _LABELS}
    repositories: dict[str, list[tuple[Record, schema.ScopeMetrics]]] = defaultdict(list)
    for record, scope in pairs[:MOST_SCOPES]:
        repositories[record.scope.repository].append((record, scope))
    found: dict[str, Badge] = {}
    for repository, scopes in sorted(repositories.items()):
        folder = BADGES if len(repositories) == 1 else f"{BADGES}{_place(repository.split('/'))}"
        found |= _of_repository(scopes, folder, subject.policy.benchmark)
    return found


def _of_repository(
    scopes: Sequence[tuple[Record, schema.ScopeMetrics]], folder: str, benchmark: Benchmark
) -> Mapping[str, Badge]:
    found = dict(_of_scope(scopes[0][1], folder, benchmark))
    if len(scopes) > 1:
        for _, scope in scopes:
            found |= _of_scope(scope, folder + _place((scope.service, scope.environment)), benchmark)
    return found


def _of_scope(scope: schema.ScopeMetrics, folder: str, benchmark: Benchmark) -> Iterator[tuple[str, Badge]]:
    for name in NAMES:
        part: schema.Judged = getattr(scope.metrics, name)
        known = (message := plain(part)) != NOTHING
        yield f"{folder}{name}.json", _badge(name, message, part.level, benchmark) if known else _unknown(name)
    overall = scope.metrics.overall_level
    badge = _badge(OVERALL, overall.level, overall.level, benchmark) if overall else _unknown(OVERALL)
    yield f"{folder}{OVERALL}.json", badge


def _badge(name: str, message: str, level: str | None, benchmark: Benchmark) -> Badge:
    return Badge(label=_LABELS[name], message=message, color=_color(level, benchmark))


def _unknown(name: str) -> Badge:
    return Badge(label=_LABELS[name], message=NO_DATA, color="lightgrey")


_COLORS = ("red", "orange", "yellow", "green", "brightgreen")
"""One a step of a rank."""


def _color(level: str | None, benchmark: Benchmark) -> str:
    """From red for the lowest rank of a benchmark to bright green for its highest; blue for what has no levels."""
    step = rank(level, benchmark)
    return "blue" if step is None else _COLORS[step]


def _place(names: Iterable[str]) -> str:
    return "".join(f"{file_name(name)}/" for name in names)


def file_name(name: str) -> str:
    """A name as a folder that every disk and address takes; one that had to be changed ends with a hash of it."""
    safe = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.")[:60]
    if name and safe == name and not safe.endswith(".json"):
        return safe
    return f"{safe or 'x'}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
