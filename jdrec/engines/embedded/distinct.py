"""Functions of plain values, applied once to each distinct combination of arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jdrec.engines.embedded.vector import Vector
from jdrec.features.types import SqlType

T = SqlType


def apply(function: Callable[..., Any], arguments: Sequence[Vector], type_: SqlType, *, nulls: bool = False) -> Vector:
    """A column of the function's results, None for NULL.

    Args:
        function: takes strings as str, times as milliseconds, dates as days.
        nulls: it takes None, too; otherwise NULL gives NULL.
    """

    def value(row: list[Any]) -> Any:
        return None if not nulls and None in row else function(*row)

    if all(argument.constant for argument in arguments):
        return Vector.of_value(value([_distinct(argument)[0][0] for argument in arguments]), type_)
    rows = next(len(argument) for argument in arguments if not argument.constant)
    lists, codes, combined = [], [], np.zeros(rows, np.int64)
    for argument in arguments:
        values, code = _distinct(argument)
        code = np.zeros(rows, np.int64) if argument.constant else code
        combined = _dense(combined) * len(values) + code
        lists.append(values)
        codes.append(code)
    _, first, number = np.unique(combined, return_index=True, return_inverse=True)
    results = [
        value([values[place] for values, place in zip(lists, places, strict=True)])
        for places in zip(*(code[first].tolist() for code in codes), strict=True)
    ]
    return Vector.of_values(results, type_).take(number)


def _distinct(vector: Vector) -> tuple[list[Any], np.ndarray]:
    """The distinct values and None, and where in that list each row's value is."""
    if vector.type is None:
        return [None], np.zeros(len(vector), np.int64)
    if vector.type is T.STRING:
        dictionary, codes = vector.encoded()
        values = dictionary.to_pylist()
        if vector.constant and codes[0] < 0:
            return [None], np.zeros(1, np.int64)
        return [*values, None], np.where(codes < 0, len(values), codes).astype(np.int64)
    if vector.constant and not vector.is_valid[0]:
        return [None], np.zeros(1, np.int64)
    bits = vector.data.view(f"i{vector.data.itemsize}") if vector.type.is_float else vector.data  # -0.0 is another text than 0.0
    _, first, number = np.unique(bits, return_index=True, return_inverse=True)
    known = vector.data[first]
    values = (known != 0).tolist() if vector.type is T.BOOL else known.tolist()
    return [*values, None], np.where(vector.is_valid, number, len(values)).astype(np.int64)


def _dense(codes: np.ndarray) -> np.ndarray:
    """Smaller numbers for the same codes."""
    return np.unique(codes, return_inverse=True)[1] if codes.any() else codes


def decoded(data: bytes) -> str:
    """A result of bytes as text; what is no text any more becomes the replacement character, as in Java."""
    return data.decode(errors="replace")
