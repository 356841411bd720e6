"""The text that OpenMLDB's offline engine (Spark) writes for a value in a CSV file: `SELECT ... INTO OUTFILE` as the tutorial uses it.

Facts (Spark's CSV data source): booleans are true and false; floating-point numbers are Java's; a timestamp is ISO 8601 with
milliseconds and the session's offset; white space around a text is trimmed. OpenMLDB writes NULL as `null`.
"""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from jdrec.errors import DataError
from jdrec.features.types import SqlType

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

NULL = "null"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_EPOCH_DAY = dt.date(1970, 1, 1)
SPACE = "".join(map(chr, range(33)))


def csv_text(value: int | float | str | None, sql_type: SqlType, zone: ZoneInfo) -> str:
    """The text of one value.

    Args:
        value: as `jdrec.preprocess.values.scalar` returns it.
        zone: the session's time zone.
    """
    if value is None:
        return NULL
    if isinstance(value, str):
        return value.strip(SPACE)
    if sql_type.is_float:
        return java_number(float(value), single=sql_type is SqlType.FLOAT)
    if sql_type is SqlType.BOOL:
        return "true" if value else "false"
    try:
        if sql_type is SqlType.TIMESTAMP:
            return _timestamp(int(value), zone)
        if sql_type is SqlType.DATE:
            return (_EPOCH_DAY + dt.timedelta(days=int(value))).isoformat()
    except OverflowError:
        raise DataError(f"{value} is a {sql_type.value} outside the years 1 to 9999, which CSV text cannot hold.") from None
    return str(int(value))


def java_number(value: float, single: bool) -> str:
    """Java's text of a double (or, if `single`, of a float): shortest digits, an exponent outside [1e-3, 1e7)."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "-0.0" if math.copysign(1, value) < 0 else "0.0"
    sign, digits, exponent = Decimal(str(np.float32(value)) if single else repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits))
    point = len(text) + exponent  # digits before the decimal point
    if -3 < point <= 7:
        whole = text[: max(point, 0)].ljust(max(point, 0), "0") or "0"
        fraction = "0" * max(-point, 0) + text[max(point, 0) :] or "0"
        body = f"{whole}.{fraction}"
    else:
        body = f"{text[0]}.{text[1:] or '0'}E{point - 1}"
    return "-" + body if sign else body


def _timestamp(milliseconds: int, zone: ZoneInfo) -> str:
    local = (_EPOCH + dt.timedelta(milliseconds=milliseconds)).astimezone(zone)
    offset = local.utcoffset() or dt.timedelta()
    if not offset:
        return local.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    minutes = int(abs(offset).total_seconds() // 60)
    sign = "-" if offset < dt.timedelta() else "+"
    wall = local.replace(tzinfo=None).isoformat(timespec="milliseconds")
    return f"{wall}{sign}{minutes // 60:02d}:{minutes % 60:02d}"
