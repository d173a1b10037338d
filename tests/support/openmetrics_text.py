"""OpenMetrics text with times, read line by line, and what its specification says about the order of the lines.

The parser of prometheus-client is used for one time only: of several it drops all but the first sample of a histogram.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from itertools import groupby, pairwise
from typing import NamedTuple

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from support.prometheus_text import SeriesKey


class Line(NamedTuple):
    """A line with a sample."""

    family: str
    series: str
    value: float
    timestamp: float

    @property
    def metric(self) -> str:
        """The labels of the metric: those of its series but the bound of a bucket."""
        return re.sub(r'(?<=[{,])le="[^"]*",?', "", self.series.partition("{")[2])


def lines_of(text: str) -> list[Line]:
    """The samples, in the order of the text."""
    lines, family = [], ""
    *content, end = text.splitlines()
    assert end == "# EOF"
    for line in content:
        if line.startswith("# TYPE "):
            family = line.split()[2]
        if not line.startswith("#"):
            series, value, timestamp = line.rsplit(" ", 2)
            lines.append(Line(family, series, float(value), float(timestamp)))
    return lines


def families_at(text: str, moment: datetime) -> dict[str, Metric]:
    """The families at a time by name, as prometheus-client understands them."""
    ending = f" {moment.timestamp():.0f}"
    lines = [line for line in text.splitlines() if line.startswith("#") or line.endswith(ending)]
    text_of_moment = "\n".join(lines) + "\n"
    families = text_string_to_metric_families(text_of_moment)  # type: ignore[no-untyped-call]
    return {family.name: family for family in families}


def values_at(text: str, moment: datetime) -> dict[SeriesKey, float]:
    """The values at a time by name and labels."""
    samples = (sample for family in families_at(text, moment).values() for sample in family.samples)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}


def assert_valid_order(text: str) -> None:
    """No family and no metric is interleaved with another; the times of a metric, and of each series, rise."""
    lines = lines_of(text)
    assert_contiguous(line.family for line in lines)
    assert_contiguous((line.family, line.metric) for line in lines)
    for _, metric_lines in groupby(lines, key=lambda line: (line.family, line.metric)):
        assert all(earlier.timestamp <= later.timestamp for earlier, later in pairwise(metric_lines))
    times: defaultdict[str, list[float]] = defaultdict(list)
    for line in lines:
        times[line.series].append(line.timestamp)
    assert all(earlier < later for series in times.values() for earlier, later in pairwise(series))


def assert_contiguous(keys: Iterable[object]) -> None:
    runs = [key for key, _ in groupby(keys)]
    assert len(runs) == len(set(runs))
