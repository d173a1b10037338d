"""Rows as newline-delimited JSON: one object a line, all columns in the order of the table."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from dora_metrics.core.markdown import storable
from dora_metrics.core.rows.tables import Row, WarehouseTable

_encoder = msgspec.json.Encoder()
_NUL = b"\\u0000"
"""How JSON has the character NUL, or part of how it has a backslash before `u0000`."""


def encode_rows(table: WarehouseTable, rows: Iterable[Row]) -> Iterator[bytes]:
    """Yield each row of a table as a line, with its newline.

    Times are in UTC with `Z` and always have microseconds, since some engines infer the form from the first rows.
    Characters that most databases refuse are left out.
    """
    time_names = [column.name for column in table.columns if column.type == "TIMESTAMP"]
    for row in rows:
        fields = msgspec.structs.asdict(row)
        for name in time_names:
            if moment := fields[name]:
                fields[name] = _time_text(moment)
        line = _encoder.encode(fields)
        yield (_encoder.encode(_storable(msgspec.json.decode(line))) if _NUL in line else line) + b"\n"


def _storable(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a value with all its texts, also those in lists and objects, as they can be stored."""
    match value:
        case str():
            return storable(value)
        case list():
            return [_storable(item) for item in value]
        case dict():
            return {name: _storable(item) for name, item in value.items()}
        case _:
            return value


def _time_text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC).isoformat(timespec='microseconds')[: -len('+00:00')]}Z"
