"""Metrics at several times as OpenMetrics text, for `promtool tsdb create-blocks-from openmetrics`.

OpenMetrics wants the families one after another, and in a family the metrics, each with all its samples in the order of
their times (https://prometheus.io/docs/specs/om/open_metrics_spec/). Times arrive one after another, each with all
families. So every sample gets a place, and whoever writes the text sorts the samples by place and time.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from math import isfinite, isnan
from typing import NamedTuple

from prometheus_client import Metric
from prometheus_client.samples import Sample

from dora_metrics.core.reports.prometheus import LedgerCollector

END = "# EOF\n"


class Place(NamedTuple):
    """Where a series is in the text. A metric has several series only if it is a histogram."""

    family: int
    metric: int
    series: int


class TextIndex:
    """The families, metrics and series of a text, in the order in which they were first seen."""

    def __init__(self, group: Mapping[str, str]) -> None:
        """Start without any; `group` has the labels that every series gets besides `repository`."""
        self._group = group
        self._heads: dict[str, str] = {}
        self._metrics: dict[tuple[str, ...], int] = {}
        self._places: dict[tuple[str, ...], Place] = {}
        self._series_texts: dict[Place, str] = {}

    def values(self, collector: LedgerCollector) -> Iterator[tuple[Place, float]]:
        """Yield place and value of each sample. What is about no repository is repeated for each, as if pushed."""
        repositories = collector.repositories
        for family in collector.collect():
            for sample in family.samples:
                own = sample.labels.get("repository")
                for repository in repositories if own is None else (own,):
                    yield self._place(family, sample, repository), sample.value

    def head(self, family: int) -> str:
        """Return the lines before the samples of a family."""
        return list(self._heads.values())[family]

    def line(self, place: Place, value: float, moment: datetime) -> str:
        """Return the line of one sample."""
        return f"{self._series_texts[place]} {_number(value)} {_timestamp(moment)}\n"

    def _place(self, family: Metric, sample: Sample, repository: str) -> Place:
        key = (sample.name, repository, *sample.labels.values())
        if (place := self._places.get(key)) is None:
            place = self._places[key] = self._new_place(family, sample, repository)
        return place

    def _new_place(self, family: Metric, sample: Sample, repository: str) -> Place:
        self._heads.setdefault(family.name, _head(family))
        labels = {**sample.labels, **self._group, "repository": repository}
        identity = (family.name, *(value for name, value in sorted(labels.items()) if name != "le"))
        metric = self._metrics.setdefault(identity, len(self._metrics))
        place = Place(list(self._heads).index(family.name), metric, len(self._series_texts))
        self._series_texts[place] = _series_text(sample.name, labels)
        return place


def _head(family: Metric) -> str:
    return f"# HELP {family.name} {_escape(family.documentation)}\n# TYPE {family.name} {family.type}\n"


def _series_text(name: str, labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{label}="{_escape(value)}"' for label, value in sorted(labels.items()))
    return f"{name}{{{pairs}}}"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    if isfinite(value):
        return repr(float(value))
    return "NaN" if isnan(value) else "+Inf" if value > 0 else "-Inf"


def _timestamp(moment: datetime) -> str:
    """Return seconds since 1970, with milliseconds only where there are any: Prometheus stores no more."""
    seconds = moment.timestamp()
    return f"{seconds:.0f}" if seconds.is_integer() else f"{seconds:.3f}"
