"""Write the metrics at past times, sorted in a temporary database: memory does not grow with the number of times.

To compute each family alone would evaluate the facts once for each of 28 families, and files of one family each would
still have to be sorted by series.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from itertools import groupby, islice
from operator import itemgetter
from typing import TextIO

from dora_metrics.core.reports.openmetrics import END, Place, TextIndex
from dora_metrics.core.reports.prometheus import LedgerCollector
from dora_metrics.errors import DoraError
from dora_metrics.github import console

_LINES_AT_ONCE = 2_000

_CREATE = "CREATE TABLE samples (family INTEGER, metric INTEGER, time INTEGER, series INTEGER, value REAL)"
_INSERT = "INSERT INTO samples VALUES (?, ?, ?, ?, ?)"
_SELECT = "SELECT family, metric, time, series, value FROM samples ORDER BY family, metric, time, series"

_Row = tuple[int, int, int, int, float]


def write_past(past: Iterable[LedgerCollector], group: Mapping[str, str], stdout: TextIO) -> None:
    """Write families of several times, in the order of these, as one OpenMetrics text.

    Args:
        past: the families, one collector for each time.
        group: the labels that every series gets besides `repository`.
        stdout: gets the text, without what a runner or a terminal would obey.

    Raises:
        DoraError: if there is no room for the temporary database.
    """
    index, times = TextIndex(group), list[datetime]()
    try:
        with closing(sqlite3.connect("")) as database:  # without a name it is a file that nobody else sees
            database.execute(_CREATE)
            for collector in past:
                database.executemany(_INSERT, _rows(index, collector, len(times)))
                times.append(collector.now)
            for text in _pieces(index, times, database.execute(_SELECT)):
                console.write_exposition(stdout, text)
    except sqlite3.Error as problem:
        raise DoraError(f"the temporary database for openmetrics failed ({problem}); free room in TMPDIR") from None
    console.write_exposition(stdout, END)


def _rows(index: TextIndex, collector: LedgerCollector, time: int) -> Iterator[_Row]:
    for place, value in index.values(collector):
        yield place.family, place.metric, time, place.series, value


def _pieces(index: TextIndex, times: Sequence[datetime], rows: Iterator[_Row]) -> Iterator[str]:
    for family, family_rows in groupby(rows, key=itemgetter(0)):
        yield index.head(family)
        while batch := list(islice(family_rows, _LINES_AT_ONCE)):
            yield "".join(
                index.line(Place(family, metric, series), value, times[time])
                for _, metric, time, series, value in batch
            )
