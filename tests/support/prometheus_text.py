"""The Prometheus text as values by series, and which of them may not fall."""

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

SeriesKey = tuple[str, frozenset[tuple[str, str]]]
"""The name of a series, and its labels."""

SHOP_LABELS = {"repository": "acme/shop", "service": "shop", "environment": "production"}


def counter_values(text: str) -> dict[SeriesKey, float]:
    """Values of all series of counters and histograms."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        if family.type in ("counter", "histogram")
        for sample in family.samples
    }


def shop_value(values: Mapping[SeriesKey, float], name: str, **labels: str) -> float | None:
    """Value of a series of the scope acme/shop, shop, production; None if it is missing."""
    return values.get((name, frozenset({**SHOP_LABELS, **labels}.items())))


def bucket_values(values: Mapping[SeriesKey, float], name: str) -> list[float]:
    """The buckets of a histogram of acme/shop, smallest first."""
    bounds = {le for (series, labels) in values if series == f"{name}_bucket" for label, le in labels if label == "le"}
    return [shop_value(values, f"{name}_bucket", le=le) or 0 for le in sorted(bounds, key=float)]
