"""What compiled expressions call: NULL's rules, division, the calendar."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from jdrec.engines.embedded import expressions
from jdrec.engines.embedded.text import ZONE_MS
from jdrec.engines.embedded.vector import Vector
from jdrec.features.types import SqlType
from jdrec.online.cells import scalar_of

Function = Callable[[Sequence[Any]], Any]
"""A request's cells to a storage value."""

_FIRST_DAY = date(1970, 1, 1).toordinal()


def strict(function: Callable[..., Any], *operands: Function) -> Function:
    """NULL as soon as an operand is."""
    if len(operands) == 1:
        (operand,) = operands

        def unary(cells: Sequence[Any]) -> Any:
            value = operand(cells)
            return None if value is None else function(value)

        return unary
    left, right = operands

    def binary(cells: Sequence[Any]) -> Any:
        one = left(cells)
        if one is None:
            return None
        other = right(cells)
        return None if other is None else function(one, other)

    return binary


def both_of(left: Function, right: Function) -> Function:
    """AND: false wins over NULL."""

    def both(cells: Sequence[Any]) -> bool | None:
        one = left(cells)
        if one is False:
            return False
        other = right(cells)
        return False if other is False else None if one is None or other is None else True

    return both


def either_of(left: Function, right: Function) -> Function:
    """OR: true wins over NULL."""

    def either(cells: Sequence[Any]) -> bool | None:
        one = left(cells)
        if one is True:
            return True
        other = right(cells)
        return True if other is True else None if one is None or other is None else False

    return either


def quotient(x: int, y: int) -> int:
    """Integer division towards zero."""
    quotient = abs(x) // abs(y)
    return quotient if (x < 0) == (y < 0) else -quotient


def days_of(milliseconds: int) -> int:
    clock = milliseconds + ZONE_MS
    return clock // 86_400_000 if clock >= 0 else quotient(clock, 1000) // 86_400


def calendar(part: Callable[[date], int]) -> Callable[[int], int]:
    def of(milliseconds: int) -> int:
        ordinal = _FIRST_DAY + days_of(milliseconds)
        if 1 <= ordinal <= date.max.toordinal():
            return part(date.fromordinal(ordinal))
        name = next(name for name, function in CALENDAR.items() if function is of)
        return scalar_of(expressions.FUNCTIONS[name](Vector.of_value(milliseconds, SqlType.TIMESTAMP)))

    return of


def unit(milliseconds: int, units: int, zone: int = 0) -> Callable[[int], int]:
    return lambda time: int(math.fmod(quotient(time + zone, milliseconds), units))


CALENDAR: dict[str, Callable[[int], int]] = {
    "dayofweek": lambda milliseconds: (days_of(milliseconds) + 4) % 7 + 1,
    "hour": unit(3_600_000, 24, ZONE_MS),
    "minute": unit(60_000, 60),
    "second": unit(1000, 60),
    "day": calendar(lambda day: day.day),
    "month": calendar(lambda day: day.month),
    "year": calendar(lambda day: day.year),
}
