"""Values of the declared SqlType, whatever form they came in: a Parquet column, a CSV column, Python or JSON.

Columns become Arrow arrays of `SqlType.arrow`. Scalars become the Python value that such an array's element stands for: int for
integers, bool (0 or 1), timestamps (milliseconds since the epoch, floored) and dates (days since the epoch); float, already rounded
to 32 bits where the type is float; str; None for NULL.
"""

from __future__ import annotations

import datetime as dt
import math
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.errors import DataError
from jdrec.features.types import SqlType
from jdrec.preprocess.arrow import from_numbers, null_mask, numbers

if TYPE_CHECKING:
    import pyarrow as pa

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_EPOCH_DAY = dt.date(1970, 1, 1)
_MILLISECOND = dt.timedelta(milliseconds=1)
_FLOAT = struct.Struct("<f")


def column(array: pa.Array, sql_type: SqlType, name: str) -> pa.Array:
    """The column in its declared type.

    Args:
        array: any type that holds such values: integers of any width, text as CSV has it, timestamps of any unit and zone
            (without zone: UTC), integers as milliseconds for a timestamp, an all-NULL column.
        name: the feature, for the message.

    Raises:
        DataError: a value cannot be one of the declared type, e.g. 1.5 or 70000 for a smallint.
    """
    import pyarrow as pa

    if array.type == sql_type.arrow or (sql_type is SqlType.STRING and pa.types.is_large_string(array.type)):
        return array
    try:
        if pa.types.is_null(array.type):
            return pa.nulls(len(array), sql_type.arrow)
        if sql_type is SqlType.TIMESTAMP:
            return _timestamps(array)
        if sql_type is SqlType.STRING and not (pa.types.is_integer(array.type) or pa.types.is_binary(array.type)):
            raise pa.ArrowInvalid("expected text, or integers as a CSV reader may have guessed")
        if sql_type.is_float and not pa.types.is_string(array.type):
            return array.cast(sql_type.arrow, safe=False)  # "safe" would refuse 2**24 + 1 as a float
        return array.cast(sql_type.arrow)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"column {name!r} of Arrow type {array.type} is no {sql_type.value}: {error}") from None


def _timestamps(array: pa.Array) -> pa.Array:
    """Instants in whole milliseconds, floored, so that times before 1970 keep their order."""
    import pyarrow as pa

    target = SqlType.TIMESTAMP.arrow
    if pa.types.is_integer(array.type):
        return array.cast(pa.int64()).cast(pa.timestamp("ms")).cast(target)
    if not pa.types.is_timestamp(array.type):
        raise pa.ArrowInvalid("expected a timestamp, or integers of milliseconds")
    units = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000), "ns": (1, 1_000_000)}
    times, over = units[array.type.unit]
    milliseconds = numbers(array) * np.int64(times) // np.int64(over)
    return from_numbers(milliseconds, null_mask(array)).view(target)


def scalar(value: Any, sql_type: SqlType, name: str) -> int | float | str | None:
    """One value in its declared type.

    Args:
        value: a Python value as an engine returns it or as JSON gives it; a timestamp is a datetime (without zone: UTC) or
            integer milliseconds, a date a date or ISO text.
        name: the feature, for the message.

    Raises:
        DataError: not a value of the declared type.
    """
    if value is None:
        return None
    try:
        return _CONVERT[sql_type](value)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{value!r} is no {sql_type.value}, which {name!r} is declared to be.") from None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return str(int(value))  # as a column of integers would be cast
    raise TypeError


def _double(value: Any) -> float:
    if isinstance(value, str) and "_" in value:
        raise ValueError
    return float(value)


def _single(value: Any) -> float:
    result = _double(value)
    try:
        return _FLOAT.unpack(_FLOAT.pack(result))[0]
    except OverflowError:
        return math.copysign(math.inf, result)


def _integer(value: Any, bits: int) -> int:
    if isinstance(value, str):
        if "_" in value:
            raise ValueError
        result = int(value)
    else:
        result = int(value)
        if result != value:
            raise ValueError
    if not -(1 << bits - 1) <= result < 1 << bits - 1:
        raise ValueError
    return result


def _truth(value: Any) -> int:
    if isinstance(value, str):
        value = {"true": 1, "1": 1, "false": 0, "0": 0}.get(value.lower())
    if value in (0, 1):
        return int(value)
    raise ValueError


def _milliseconds(value: Any) -> int:
    if isinstance(value, dt.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=dt.timezone.utc)
        return (aware - _EPOCH) // _MILLISECOND
    if isinstance(value, (str, bool)):
        raise TypeError
    return _integer(value, 64)


def _days(value: Any) -> int:
    if isinstance(value, dt.datetime):
        value = value.date()
    if isinstance(value, str):
        value = dt.date.fromisoformat(value)
    if isinstance(value, dt.date):
        return (value - _EPOCH_DAY).days
    raise TypeError


_CONVERT: dict[SqlType, Callable[[Any], int | float | str]] = {
    SqlType.BOOL: _truth,
    SqlType.SMALLINT: lambda value: _integer(value, 16),
    SqlType.INT: lambda value: _integer(value, 32),
    SqlType.BIGINT: lambda value: _integer(value, 64),
    SqlType.FLOAT: _single,
    SqlType.DOUBLE: _double,
    SqlType.STRING: _text,
    SqlType.DATE: _days,
    SqlType.TIMESTAMP: _milliseconds,
}
