"""Calendar functions in OpenMLDB's fixed UTC+8, whatever the machine's zone."""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from jdrec.engines.embedded import distinct, text
from jdrec.engines.embedded.text import ZONE_MS
from jdrec.engines.embedded.vector import Vector
from jdrec.features.types import SqlType


def _quotient(values: np.ndarray, by: int) -> np.ndarray:
    """Division towards zero, as C does it; it shows before 1970."""
    return np.where(values < 0, -(-values // by), values // by)


def _days(time: Vector) -> np.ndarray:
    """Days since 1970-01-01 in UTC+8; a date has no zone."""
    if time.type is SqlType.DATE:
        return time.data.astype(np.int64)
    return _quotient(time.data.astype(np.int64) + ZONE_MS, 1000) // 86_400


def _unit(milliseconds: int, units: int, zone: int = 0) -> Callable[[Vector], np.ndarray]:
    """How many units there are since 1970, less whole cycles of them."""
    return lambda time: np.fmod(_quotient(time.data.astype(np.int64) + zone, milliseconds), units)


def _day_of_year(time: Vector) -> np.ndarray:
    days = _days(time).astype("datetime64[D]")
    return (days - days.astype("datetime64[Y]")).astype(np.int64) + 1


def _week_of_year(time: Vector) -> np.ndarray:
    """ISO 8601: the week of the year that its Thursday is in."""
    days = _days(time)
    thursday = (days - (days + 3) % 7 + 3).astype("datetime64[D]")
    return (thursday - thursday.astype("datetime64[Y]")).astype(np.int64) // 7 + 1


def _last_day(time: Vector) -> Vector:
    if time.type is None:
        return Vector.of_value(None, SqlType.DATE)
    days = _days(time)
    month = days.astype("datetime64[D]").astype("datetime64[M]") + 1
    return _from_1970(
        time, Vector(SqlType.DATE, (month.astype("datetime64[D]").astype(np.int64) - 1).astype(np.int32), time.valid, time.constant)
    )


def _add_months(day: Vector, months: Vector) -> Vector:
    """The same day of another month, or the last one where it has none."""
    if day.type is None:
        return Vector.of_value(None, SqlType.DATE)

    def add(start: int, count: int) -> int | None:
        first = np.datetime64(start, "D").astype("datetime64[M]")
        month = first + count
        if not 0 < int(month.astype(np.int64)) // 12 + 1970 < 10_000:
            return None
        place = int((np.datetime64(start, "D") - first.astype("datetime64[D]")).astype(np.int64))
        begin, end = (int((month + more).astype("datetime64[D]").astype(np.int64)) for more in (0, 1))
        return min(begin + place, end - 1)

    return distinct.apply(add, [day, months], SqlType.DATE)


def _from_1970(time: Vector, result: Vector) -> Vector:
    """NULL of moments before 1970."""
    if time.type is SqlType.DATE or not (time.data < 0).any():
        return result
    return replace(result, valid=(time.is_valid & (time.data >= 0)).astype(np.uint8))


def _date_format(time: Vector, pattern: Vector) -> Vector:
    def write(seconds: int, text: str) -> str:
        return clock.strftime(text, clock.gmtime(seconds))

    return distinct.apply(write, [Vector(SqlType.BIGINT, _seconds(time), time.valid, time.constant), pattern], SqlType.STRING)


def _seconds(time: Vector) -> np.ndarray:
    """Seconds of the clock in UTC+8."""
    if time.type is SqlType.DATE:
        return time.data.astype(np.int64) * 86_400
    return _quotient(time.data.astype(np.int64) + ZONE_MS, 1000)


def _datediff(x: Vector, y: Vector) -> Vector:
    def day(value: int | str) -> int | None:
        return text.day_of_moment(value) if isinstance(value, str) else value

    def difference(one: int | str, other: int | str) -> int | None:
        first, second = day(one), day(other)
        return None if first is None or second is None else first - second

    return distinct.apply(difference, [x, y], SqlType.INT)


def _unix_timestamp(x: Vector) -> Vector:
    def seconds(value: int | str | None) -> int | None:
        if value == "" or (value is None and x.type is not SqlType.DATE):
            return int(clock.time())
        if value is None:
            return None
        found = text.date_ms(value) if isinstance(value, int) else text.read_timestamp(value)
        return None if found is None else int(found / 1000)

    return distinct.apply(seconds, [x], SqlType.BIGINT, nulls=True)


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


FUNCTIONS: dict[str, Callable[..., Vector]] = {
    "dayofweek": _function(lambda time: (_days(time) + 4) % 7 + 1),  # 1970-01-01 was a Thursday, day 5
    "day": _function(_date_part("D")),
    "month": _function(_date_part("M")),
    "year": _function(_date_part("Y")),
    "hour": _function(_unit(3_600_000, 24, ZONE_MS)),
    "minute": _function(_unit(60_000, 60)),
    "second": _function(_unit(1000, 60)),
    "dayofyear": lambda time: _from_1970(time, _function(_day_of_year)(time)),
    "weekofyear": _function(_week_of_year),
    "last_day": _last_day,
    "add_months": _add_months,
    "date_format": _date_format,
    "datediff": _datediff,
    "unix_timestamp": _unix_timestamp,
}
