"""Casts between OpenMLDB's types. A text that is no number becomes NULL; so does a date as a number, and a negative number as a timestamp."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np

from jdrec.dataset import arrow
from jdrec.engines.embedded import distinct, text
from jdrec.engines.embedded.vector import Vector
from jdrec.features.types import SqlType

T = SqlType
_LIMITS = {T.SMALLINT: 2**15, T.INT: 2**31, T.BIGINT: 2**63}
_TRUE, _FALSE = ("y", "yes", "1", "t", "true"), ("n", "no", "0", "f", "false")


def cast(vector: Vector, target: SqlType) -> Vector:
    """The values as another type."""
    source = vector.type
    if source is target:
        return vector
    if source is None:
        null = Vector.of_value(None, target)
        return null if vector.constant else null.spread(len(vector))
    if source is T.STRING:
        return distinct.apply(lambda written: parse(written, target), [vector], target)
    if target is T.STRING:
        return distinct.apply(lambda value: text.cast(value, source), [vector], target)
    if target is T.DATE:
        return Vector(target, ((vector.data + text.ZONE_MS) // 86_400_000).astype(np.int32), vector.valid, vector.constant)
    if source is T.DATE and target is T.TIMESTAMP:
        return distinct.apply(text.date_ms, [vector], target)
    if source is T.DATE:  # which OpenMLDB has no number for
        return replace(vector, type=target, data=vector.data.astype(arrow.STORAGE[target]), valid=np.zeros(len(vector), np.uint8))
    if target is T.BOOL:
        return Vector(target, (vector.data != 0).astype(np.uint8), vector.valid, vector.constant)
    with np.errstate(all="ignore"):
        data = vector.data.astype(arrow.STORAGE[target])
    valid = vector.valid
    if target is T.TIMESTAMP and (data < 0).any():
        valid = (vector.is_valid & (data >= 0)).astype(np.uint8)
    return Vector(target, data, valid, vector.constant)


def parse(written: str, target: SqlType) -> Any:
    """The value that a text stands for, None if it stands for none."""
    if target is T.DATE:
        return text.read_date(written)
    if target is T.TIMESTAMP:
        return text.read_timestamp(written)
    if target is T.BOOL:
        word = written.lower()
        return 1 if word in _TRUE else 0 if word in _FALSE else None
    if target in _LIMITS:
        number = re.fullmatch(r"\s*([+-]?)(?:(\d+)|0x([0-9a-f]+))\s*", written, re.ASCII | re.IGNORECASE)
        if number is None:
            return None
        sign, decimal, hexadecimal = number.groups()
        value = int(sign + decimal) if decimal else int(sign + hexadecimal, 16)
        return value if -_LIMITS[target] <= value < _LIMITS[target] else None
    return _real(written)


def _real(written: str) -> float | None:
    """A floating point number as C's strtod reads it, if the whole text is one."""
    if not written.isascii() or "_" in written or written != written.rstrip():
        return None
    if re.fullmatch(r"\s*[+-]?nan\(\w*\)", written, re.IGNORECASE):
        return math.nan
    try:
        return float.fromhex(written) if re.match(r"\s*[+-]?0x", written, re.IGNORECASE) else float(written)
    except OverflowError:
        return -math.inf if "-" in written.partition("x")[0] else math.inf
    except ValueError:
        return None
