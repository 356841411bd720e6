"""Rows as plain Python values, checked against their table, as columns."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from typing import Any

from jdrec.engines.embedded.vector import Vector
from jdrec.errors import DataError, nearest
from jdrec.features.spec import Table
from jdrec.features.types import SqlType

T = SqlType
Row = Mapping[str, Any]
_BITS = {T.SMALLINT: 15, T.INT: 31, T.BIGINT: 63}
_EPOCH = datetime.date(1970, 1, 1)
_MOMENT = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def columns_of(table: Table, rows: Sequence[Row]) -> dict[str, Vector]:
    """The rows' columns.

    Args:
        rows: every column of the table by name: str, int, float, bool; a timestamp as epoch milliseconds or an aware datetime, a date
            as `datetime.date`; None is NULL.

    Raises:
        DataError: a column is missing or unknown, or a value is not of its type; it names row and column.
    """
    for number, row in enumerate(rows):
        for name in table.columns:
            if name not in row:
                raise DataError(f"row {number} of {table.name!r} has no column {name!r}.")
        if len(row) > len(table.columns):
            name = next(name for name in row if name not in table.columns)
            raise DataError(
                f"row {number} of {table.name!r} has a column {name!r} that the table has not.", hint=nearest(name, table.columns)
            )
    result = {}
    for name, type_ in table.columns.items():
        values = []
        for number, row in enumerate(rows):
            try:
                values.append(None if row[name] is None else _read(row[name], type_))
            except (TypeError, ValueError):
                message = f"row {number} of {table.name!r}: {name} is {type_.value}, and {row[name]!r:.80} is not."
                raise DataError(message) from None
        result[name] = Vector.of_values(values, type_)
    return result


def _read(value: Any, type_: SqlType) -> Any:
    """A value as storage takes it (times in milliseconds, dates in days)."""
    if type_ is T.STRING:
        if isinstance(value, str):
            value.encode()  # refuses half of a surrogate pair
            return value
    elif type_ is T.BOOL:
        if isinstance(value, bool):
            return value
    elif type_ is T.DATE:
        if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
            return (value - _EPOCH).days
    elif type_ is T.TIMESTAMP and isinstance(value, datetime.datetime):
        return (value - _MOMENT) // datetime.timedelta(milliseconds=1)
    elif type_.is_float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value) if math.isfinite(value) else value
    elif isinstance(value, int) and not isinstance(value, bool) and -(2 ** _BITS.get(type_, 63)) <= value < 2 ** _BITS.get(type_, 63):
        return value
    raise TypeError
