"""The shapes that are shipped, by name. A run imports those that its endpoints have."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dora_metrics.core.shapes.shape import Shape


def _dora() -> "Shape":
    from dora_metrics.core.shapes.dora import DORA  # noqa: PLC0415 - see above

    return DORA


def _slack() -> "Shape":
    from dora_metrics.core.shapes.slack import SLACK  # noqa: PLC0415 - see above

    return SLACK


def _teams() -> "Shape":
    from dora_metrics.core.shapes.teams import TEAMS  # noqa: PLC0415 - see above

    return TEAMS


def _cdevents() -> "Shape":
    from dora_metrics.core.shapes.cdevents import CDEVENTS  # noqa: PLC0415 - see above

    return CDEVENTS


def _datadog() -> "Shape":
    from dora_metrics.core.shapes.datadog import DATADOG  # noqa: PLC0415 - see above

    return DATADOG


def _otlp() -> "Shape":
    from dora_metrics.core.shapes.otlp import OTLP  # noqa: PLC0415 - see above

    return OTLP


_LOADERS: Mapping[str, Callable[[], "Shape"]] = {
    "dora": _dora,
    "cdevents": _cdevents,
    "slack": _slack,
    "teams": _teams,
    "datadog": _datadog,
    "otlp": _otlp,
}

SHIPPED_SHAPES = tuple(_LOADERS)


def shipped_shape(name: str) -> "Shape":
    """Return a shipped shape by its name, one of `SHIPPED_SHAPES`."""
    return _LOADERS[name]()
