"""How OpenMLDB writes values inside the text that an aggregate makes."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from jdrec.engines.embedded.calendar import ZONE_MS
from jdrec.features.types import SqlType

_EPOCH = datetime(1970, 1, 1)


def of(value: float, type_: SqlType) -> str:
    """A number as %d or %f, a time in UTC+8, a date (days since 1970)."""
    if type_.is_float:
        return f"{value:f}"
    if type_ is SqlType.TIMESTAMP:
        return (_EPOCH + timedelta(milliseconds=value + ZONE_MS)).strftime("%Y-%m-%d %H:%M:%S")
    if type_ is SqlType.DATE:
        return (date(1970, 1, 1) + timedelta(days=value)).isoformat()
    return str(int(value))
