"""Calendar functions in OpenMLDB's fixed UTC+8, whatever the machine's zone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jdrec.engines.embedded.vector import Vector
from jdrec.features.types import SqlType

ZONE_MS = 8 * 3_600_000
_DAY_MS = 86_400_000


def _days(time: Vector) -> np.ndarray:
    """Days since 1970-01-01 in UTC+8; a date has no zone."""
    if time.type is SqlType.DATE:
        return time.data.astype(np.int64)
    return (time.data.astype(np.int64) + ZONE_MS) // _DAY_MS


def _second_of_day(time: Vector) -> np.ndarray:
    return ((time.data.astype(np.int64) + ZONE_MS) % _DAY_MS) // 1000


def _date_part(unit: str) -> Callable[[Vector], np.ndarray]:
    def part(time: Vector) -> np.ndarray:
        days = _days(time).astype("datetime64[D]")
        if unit == "Y":
            return days.astype("datetime64[Y]").astype(np.int64) + 1970
        if unit == "M":
            return days.astype("datetime64[M]").astype(np.int64) % 12 + 1
        return (days - days.astype("datetime64[M]")).astype(np.int64) + 1

    return part


def _function(part: Callable[[Vector], np.ndarray]) -> Callable[[Vector], Vector]:
    def apply(time: Vector) -> Vector:
        if time.type is None:
            return Vector.of_value(None, SqlType.INT)
        return Vector(SqlType.INT, part(time).astype(np.int32), time.valid, time.constant)

    return apply


FUNCTIONS = {
    "dayofweek": _function(lambda time: (_days(time) + 4) % 7 + 1),  # 1970-01-01 was a Thursday, day 5
    "day": _function(_date_part("D")),
    "month": _function(_date_part("M")),
    "year": _function(_date_part("Y")),
    "hour": _function(lambda time: _second_of_day(time) // 3600),
    "minute": _function(lambda time: _second_of_day(time) // 60 % 60),
    "second": _function(lambda time: _second_of_day(time) % 60),
}
