"""Casts between OpenMLDB's types. A text that is no number becomes NULL; so does a negative number as a timestamp."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from jdrec.dataset import arrow
from jdrec.engines.embedded.vector import Vector
from jdrec.features.types import SqlType

T = SqlType
_LIMITS = {T.SMALLINT: 2**15, T.INT: 2**31, T.BIGINT: 2**63}
_TRUE, _FALSE = ("y", "yes", "1", "t", "true"), ("n", "no", "0", "f", "false")


def supports(source: SqlType | None, target: SqlType) -> bool:
    """Whether this engine has the cast."""
    if source is None or source is target:
        return True
    if T.DATE in (source, target):
        return False
    if target is T.STRING:
        return source.is_integer
    if source is T.STRING:
        return target.is_number or target is T.BOOL
    return True


def cast(vector: Vector, target: SqlType) -> Vector:
    """The values as another type."""
    source = vector.type
    if source is target:
        return vector
    if source is None:
        null = Vector.of_value(None, target)
        return null if vector.constant else null.spread(len(vector))
    if source is T.STRING:
        return _by_distinct(vector, lambda text: parse(text, target), target)
    if target is T.STRING:
        return _by_distinct(vector, str, target)
    if target is T.BOOL:
        return Vector(target, (vector.data != 0).astype(np.uint8), vector.valid, vector.constant)
    with np.errstate(all="ignore"):
        data = vector.data.astype(arrow.STORAGE[target])
    valid = vector.valid
    if target is T.TIMESTAMP and (data < 0).any():
        valid = (vector.is_valid & (data >= 0)).astype(np.uint8)
    return Vector(target, data, valid, vector.constant)


def parse(text: str, target: SqlType) -> Any:
    """The value that a text stands for, None if it stands for none."""
    if target is T.BOOL:
        word = text.lower()
        return 1 if word in _TRUE else 0 if word in _FALSE else None
    if target in _LIMITS:
        if not re.fullmatch(r"\s*[+-]?\d+\s*", text, re.ASCII):
            return None
        value = int(text)
        return value if -_LIMITS[target] <= value < _LIMITS[target] else None
    if "_" in text or text != text.rstrip():
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _by_distinct(vector: Vector, convert: Callable[[Any], Any], target: SqlType) -> Vector:
    """Converts each distinct value once."""
    dictionary, codes = vector.encoded()
    result = Vector.of_values([None if value is None else convert(value) for value in dictionary.to_pylist()], target).take(codes)
    return Vector(target, result.data, result.valid, vector.constant)
