"""What a Pushgateway holds of a repository, its counters and its number, from the answer to `GET /api/v1/metrics`."""

from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from math import inf
from typing import NamedTuple

import msgspec

from dora_metrics.core.metrics.high_water_marks import MAX_MARK, NO_MARKS, HighWaterMarks
from dora_metrics.core.metrics.totals import (
    BUCKETS_SECONDS,
    REMEDIATION_FAMILY,
    SUM_PART,
    VULNERABILITIES_FAMILY,
    Series,
)
from dora_metrics.core.reports.prometheus import REPOSITORY_ID, REPOSITORY_INFO, counter_series

_PARTS_BY_BOUND = {float(bound): part for part, bound in enumerate((*BUCKETS_SECONDS, inf))}
_MICROSECONDS = 10**6

Group = Mapping[str, msgspec.Raw]
"""The grouping labels under `labels`, and families by name."""


class _Sample(msgspec.Struct):
    """A counter with its `value`, or a histogram with its `buckets` by bound and its `sum`. Numbers are texts."""

    labels: dict[str, str]
    value: str | None = None
    buckets: dict[str, str] = {}
    sum: str | None = None


class _Family(msgspec.Struct):
    metrics: list[_Sample]


class _Answer(msgspec.Struct):
    data: list[dict[str, msgspec.Raw]]


class PushedGroup(NamedTuple):
    """What a Pushgateway holds of a repository.

    Attributes:
        counters: the values of counters and histograms.
        repository_id: the repository that pushed them, by its number on GitHub. Several repositories may have the name
            of the group one after another. None if the group does not have it.
    """

    counters: HighWaterMarks
    repository_id: str | None


NOTHING_PUSHED = PushedGroup(NO_MARKS, None)


def decode_pushed_group(content: bytes, grouping_labels: Mapping[str, str]) -> PushedGroup:
    """Decode one group; nothing was pushed if there is no such group, or if the answer is invalid.

    Args:
        content: the body of the answer, with all groups.
        grouping_labels: all labels of the group.
    """
    try:
        answer = msgspec.json.decode(content, type=_Answer)
        groups = [group for group in answer.data if _labels(group) == grouping_labels]
        values = Counter(dict(pair for group in groups for pair in _values(group)))
        repository_id = next((each for group in groups for each in _repository_ids(group)), None)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return NOTHING_PUSHED
    counters = HighWaterMarks(values, frozenset(series.scope for series in values))
    return PushedGroup(counters, repository_id)


def _labels(group: Group) -> dict[str, str]:
    return msgspec.json.decode(group["labels"], type=dict[str, str]) if "labels" in group else {}


def _repository_ids(group: Group) -> Iterator[str]:
    if content := group.get(REPOSITORY_INFO):
        samples = msgspec.json.decode(content, type=_Family).metrics
        yield from (sample.labels[REPOSITORY_ID] for sample in samples if REPOSITORY_ID in sample.labels)


def _values(group: Group) -> Iterator[tuple[Series, int]]:
    """Yield the counters and histograms that this version writes.

    Raises:
        ValueError: if a number is not valid.
    """
    for name, content in group.items():
        if counter_series(name, {}) is None:
            continue
        for sample in msgspec.json.decode(content, type=_Family).metrics:
            if series := counter_series(name, sample.labels):
                yield from _sample_values(series, sample)


def _sample_values(series: Series, sample: _Sample) -> Iterator[tuple[Series, int]]:
    if sample.value is not None:
        yield series, _number(sample.value)
    for bound, count in sample.buckets.items():
        if (part := _PARTS_BY_BOUND.get(float(bound))) is not None:
            yield series._replace(part=part), _number(count)
    if sample.sum is not None:
        yield series._replace(part=SUM_PART), _number(sample.sum, _MICROSECONDS)
    if series.name == REMEDIATION_FAMILY:  # only pushed where a vulnerability is known
        yield Series(VULNERABILITIES_FAMILY, series.scope), 1


def _number(text: str, factor: int = 1) -> int:
    """Return a number times a factor, exactly: what is read back is what was pushed."""
    if not 0 <= float(text) * factor <= MAX_MARK:
        raise ValueError(text)
    try:
        return int(Decimal(text) * factor)
    except ArithmeticError:  # an exponent beyond what decimal numbers have
        raise ValueError(text) from None
