"""Rows as newline-delimited JSON: one object a line, all columns in the order of the table."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from dora_metrics.core.rows.tables import Row, WarehouseTable

_encoder = msgspec.json.Encoder()


def encode_rows(table: WarehouseTable, rows: Iterable[Row]) -> Iterator[bytes]:
    """Yield each row of a table as a line, with its newline.

    Times are in UTC with `Z` and always have microseconds, since some engines infer the form from the first rows.
    """
    time_names = [column.name for column in table.columns if column.type == "TIMESTAMP"]
    for row in rows:
        fields = msgspec.structs.asdict(row)
        for name in time_names:
            if moment := fields[name]:
                fields[name] = _time_text(moment)
        yield _encoder.encode(fields) + b"\n"


def _time_text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
