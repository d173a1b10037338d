"""The shapes that are shipped, by name. A run imports those that its endpoints have."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dora_metrics.core.shapes.shape import Shape


def _dora() -> "Shape":
    from dora_metrics.core.shapes.dora import DORA  # noqa: PLC0415 - see above

    return DORA


def _datadog() -> "Shape":
    from dora_metrics.core.shapes.datadog import DATADOG  # noqa: PLC0415 - see above

    return DATADOG


def _otlp() -> "Shape":
    from dora_metrics.core.shapes.otlp import OTLP  # noqa: PLC0415 - see above

    return OTLP


_LOADERS: Mapping[str, Callable[[], "Shape"]] = {
    "dora": _dora,
    "datadog": _datadog,
    "otlp": _otlp,
}

SHIPPED_SHAPES = tuple(_LOADERS)


def shipped_shape(name: str) -> "Shape":
    """Return a shipped shape by its name, one of `SHIPPED_SHAPES`."""
    return _LOADERS[name]()
