"""Which repositories a ledger may send, if another one has sent facts of them: under the same name or another one.

What another ledger has sent is taken over only by a ledger that has all of these facts. So whatever is begun again,
split or renamed, no older history disappears, and no repository is there twice.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import Enum, auto
from typing import NamedTuple

from dora_metrics.core.rows.tables import WarehouseTable
from dora_metrics.sinks.bigquery.answers import HoldingCells
from dora_metrics.sinks.bigquery.contents import Contents, FactNames
from dora_metrics.sinks.bigquery.jobs import Jobs
from dora_metrics.sinks.bigquery.statements import Names, compare_facts
from dora_metrics.sinks.http import SendError

MAX_COMPARED_BYTES = 4 * 1024 * 1024
"""Of the digests in a statement, unless one repository has more. They are parameters, of which there may be 10 MB."""


class Ruling(Enum):
    """What is done with the rows of a repository: whether they are sent, and why not.

    LATER: in the next round, when its name is free: another repository of ours takes over what is there.
    LEFT: the other ledger has all of our facts.
    DISPUTED: each ledger has facts that the other one does not have.
    """

    SENT = auto()
    LATER = auto()
    LEFT = auto()
    DISPUTED = auto()


class Judgement(NamedTuple):
    """What is done with a repository, and under which other names its rows are removed in the same load."""

    ruling: Ruling
    former_names: Sequence[str] = ()


class Holding(NamedTuple):
    """What other ledgers have sent under a name that is, or was, that of a repository of ours.

    Attributes:
        holder: the name.
        needed_here_count: the facts under it that we need to take it over.
        covered_count: those of them that we have.
        needed_there_count: those of our facts under it that the other ledger needs to replace us.
    """

    holder: str
    needed_here_count: int
    covered_count: int
    needed_there_count: int

    @property
    def is_covered(self) -> bool:
        return self.covered_count == self.needed_here_count


class Comparing(NamedTuple):
    """What is compared with a dataset.

    Attributes:
        jobs: with which the dataset is asked.
        names: of its tables.
        contents: what this ledger has.
        tables: those with ids of facts that can be read.
    """

    jobs: Jobs
    names: Names
    contents: Contents
    tables: Sequence[WarehouseTable]

    def judgements(self, unsettled: Sequence[str], of_others: Collection[str]) -> Mapping[str, Judgement]:
        """Return what is done with repositories that this ledger has not sent completely; without any, ask nothing.

        Args:
            unsettled: the repositories.
            of_others: those of them whose names other ledgers have in `loads`.

        Raises:
            SendError: if the dataset cannot be asked.
        """
        if not self.tables:
            return {}  # metrics of days alone are never removed
        fact_counts: dict[str, int] = {}
        holdings: defaultdict[str, list[Holding]] = defaultdict(list)
        for part in _parts(self.contents, unsettled):
            fact_counts |= {each.repository: len(each.needed_ids) for each in part}
            for repository, holding in self._holdings(part):
                holdings[repository].append(holding)
        return judged(fact_counts, holdings, of_others)

    def _holdings(self, part: Sequence[FactNames]) -> Iterator[tuple[str, Holding]]:
        asked = {each.repository for each in part}
        for cells in self.jobs.rows(compare_facts(self.names, self.contents.ledger, self.tables, part), HoldingCells):
            if cells.repository not in asked:
                raise SendError("a row of the result is of a repository that was not asked for; is a proxy in between?")
            counts = (cells.needed_here_count, cells.covered_count, cells.needed_there_count)
            yield cells.repository, Holding(cells.holder, *map(int, counts))


def _parts(contents: Contents, repositories: Sequence[str]) -> Iterator[Sequence[FactNames]]:
    part: list[FactNames] = []
    byte_count = 0
    for repository in repositories:
        fact_names = contents.fact_names(repository)
        if part and byte_count + fact_names.byte_count > MAX_COMPARED_BYTES:
            yield part
            part, byte_count = [], 0
        part.append(fact_names)
        byte_count += fact_names.byte_count
    if part:
        yield part


def judged(
    fact_counts: Mapping[str, int], holdings: Mapping[str, Sequence[Holding]], of_others: Collection[str]
) -> Mapping[str, Judgement]:
    """Judge repositories by the facts that another ledger needs, and by what other ledgers have sent of them."""
    rulings = {
        name: _ruling(name, count, holdings.get(name, ()), is_of_other=name in of_others)
        for name, count in fact_counts.items()
    }
    sent = {name for name, ruling in rulings.items() if ruling is Ruling.SENT}
    taken_over = {each.holder for name in sent for each in holdings.get(name, ())}

    def judgement(name: str) -> Judgement:
        if name in sent:
            former = {each.holder for each in holdings.get(name, ())} - sent
            return Judgement(Ruling.SENT, tuple(sorted(former)))
        uncovered = {each.holder for each in holdings.get(name, ()) if not each.is_covered}
        is_freed = bool(uncovered) and uncovered <= taken_over
        return Judgement(Ruling.LATER if is_freed else rulings[name])

    return {name: judgement(name) for name in fact_counts}


def _ruling(name: str, fact_count: int, holdings: Sequence[Holding], *, is_of_other: bool) -> Ruling:
    has_all_of_ours = any(each.needed_there_count == fact_count for each in holdings)
    was_taken_over = is_of_other and all(each.holder != name for each in holdings)
    if all(each.is_covered for each in holdings) and not (has_all_of_ours and was_taken_over):
        return Ruling.SENT
    return Ruling.LEFT if has_all_of_ours else Ruling.DISPUTED
