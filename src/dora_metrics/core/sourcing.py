"""Which of GitHub's things are a repository's deployments: the setting `deployment-source`."""

from dataclasses import dataclass, field

BEST_FIRST = ("deployments", "releases", "workflow-runs", "pushes")

_NONE_OF = {
    "deployments": "no production deployment",
    "releases": "no published release",
    "workflow-runs": "no successful run of a workflow that deploys",
    "pushes": "no merge to the default branch",
}
_SOME_OF = {
    "deployments": "production deployments",
    "releases": "published releases",
    "workflow-runs": "successful runs of a workflow that deploys",
    "pushes": "merges to the default branch",
}


@dataclass
class Sources:
    """What was found so far; `asked` is the setting, `known` are the sources of what the ledger holds.

    A source is looked at in the order of `BEST_FIRST`, and only if none before it has anything. Where one before it
    could not be read, nobody knows that: a guess would be recorded for good.
    """

    asked: tuple[str, ...]
    known: frozenset[str] = frozenset()
    found: set[str] = field(default_factory=set)
    unread: list[str] = field(default_factory=list)

    def wants(self, source: str) -> bool:
        """Whether this source counts, as far as is known yet."""
        if source in self.asked:
            return True
        better = BEST_FIRST[: BEST_FIRST.index(source)]
        return "auto" in self.asked and self._best(better) is None and not set(better) & set(self.unread)

    def _best(self, sources: tuple[str, ...]) -> str | None:
        return next((source for source in sources if source in self.found | self.known), None)

    @property
    def taken(self) -> tuple[str, ...]:
        """The sources that count."""
        if "auto" not in self.asked:
            return tuple(source for source in BEST_FIRST if source in self.asked)
        best = self._best(BEST_FIRST)
        return tuple(source for source in BEST_FIRST if source in self.asked or source == best)

    def why(self, repository: str) -> str:
        """One sentence on what was taken and why."""
        if not self.taken:
            return f"{self._missing(repository)}, so there are no deployments from GitHub."
        names = ", ".join(f"`{source}`" for source in self.taken)
        if "auto" not in self.asked:
            return f"Deployments are taken from {names}, as `deployment-source` says."
        best = str(self._best(BEST_FIRST))
        has = f"{repository} has {_SOME_OF[best]}" + ("" if best in self.found else " in the ledger")
        lacks = [_NONE_OF[name] for name in BEST_FIRST[: BEST_FIRST.index(best)] if name not in self.unread]
        unread = [f"`{name}` could not be read" for name in self.unread if name != best]
        rest = "".join([*(f", {words}" for words in lacks), *(f"; {words}" for words in unread)])
        return f"Deployments are taken from {names} (`deployment-source: auto`): {has}{rest}."

    def _missing(self, repository: str) -> str:
        if "auto" not in self.asked:
            return "`deployment-source` is none"
        if self.unread:
            names = ", ".join(f"`{name}`" for name in self.unread)
            return f"{names} of {repository} could not be read, and nothing lesser is taken in their place"
        return f"{repository} has {', '.join(_NONE_OF.values())}"
