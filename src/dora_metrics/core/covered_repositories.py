"""Which repositories the incidents that another system reports may belong to."""

from collections.abc import Callable

from msgspec import Struct

from dora_metrics.core.repository_patterns import is_selected
from dora_metrics.core.scope import is_repository_name
from dora_metrics.core.shards import Shard


class CoveredRepositories(Struct, frozen=True):
    """The repositories whose incidents a ledger has.

    Attributes:
        own: the present name of the run's repository.
        patterns: those of the others, such as `owner/*, !owner/sandbox`; the last one that matches decides.
        present_name: from a name of a repository, which may be a former one, to its present name.
        shard: the only one whose repositories the ledger has, the run's own among them; None if it has all.
    """

    own: str
    patterns: tuple[str, ...] = ()
    present_name: Callable[[str], str] = lambda name: name
    shard: Shard | None = None

    def named(self, name: str) -> str | None:
        """Return the repository with a present or former name; the run's own for an empty one.

        None if it is not the name of a repository, or if the ledger does not cover that one.
        """
        return None if self.is_elsewhere(name) else self._selected(name)

    def is_elsewhere(self, name: str) -> bool:
        """Return whether the ledger of another shard covers the repository that a name means."""
        selected = self._selected(name)
        is_repository = selected is not None and is_repository_name(selected)
        return self.shard is not None and is_repository and not self.shard.holds(str(selected))

    def _selected(self, name: str) -> str | None:
        present_name = self.present_name(name)
        if not name or name.lower() == self.own.lower() or present_name == self.own:
            return self.own
        return present_name if is_repository_name(name) and self._selects(present_name) else None

    def _selects(self, present_name: str) -> bool:
        return is_selected(present_name, map(self._present_pattern, self.patterns))

    def _present_pattern(self, pattern: str) -> str:
        name = pattern.removeprefix("!")
        return pattern.removesuffix(name) + self.present_name(name)
