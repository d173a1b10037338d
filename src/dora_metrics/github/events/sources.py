"""Which of GitHub's events count as deployments: the setting `deployment-source`."""

from collections.abc import Set as AbstractSet

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.sourcing import BEST_FIRST
from dora_metrics.github.observation import Observed, nothing


def admitted(observed: Observed, asked: tuple[str, ...], known: AbstractSet[str]) -> Observed:
    """The same, or nothing when its deployment comes from a source that does not count here.

    `asked` is the setting; `known` are the sources of the deployments that the ledger holds already.
    """
    source = next((fact.source for fact in observed.facts if isinstance(fact, Deployment)), None)
    if source is None or source in asked:
        return observed
    if "auto" in asked:
        return _by_itself(observed, source, known)
    if "none" in asked:
        return nothing("`deployment-source` is none, so no deployment is taken from GitHub's events")
    return _refused(source, ", ".join(f"`{name}`" for name in asked))


def _by_itself(observed: Observed, source: str, known: AbstractSet[str]) -> Observed:
    better = next((name for name in BEST_FIRST[: BEST_FIRST.index(source)] if name in known), None)
    if better:
        return _refused(source, f"`{better}`")
    note = f"Deployments are taken from `{source}` (`deployment-source: auto`, and nothing better is known here)"
    return Observed(observed.facts, observed.title, (*observed.notes, note))


def _refused(source: str, taken: str) -> Observed:
    return nothing(
        f"this repository's deployments are taken from {taken}; "
        f"add {source} to `deployment-source` to count {_NAMES[source]} as well"
    )


_NAMES = {
    "deployments": "GitHub deployments",
    "releases": "releases",
    "workflow-runs": "workflow runs",
    "pushes": "pushes",
}
