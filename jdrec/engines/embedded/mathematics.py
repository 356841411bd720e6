"""Functions of numbers. Source: OpenMLDB 0.9.2, which calls C's mathematical library, in single precision for floats."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from jdrec.engines.embedded import libm
from jdrec.engines.embedded.vector import Vector
from jdrec.features.types import SqlType

T = SqlType


def _with(type_: SqlType, data: np.ndarray, *like: Vector) -> Vector:
    """A result that is NULL where an argument is."""
    constant = all(vector.constant for vector in like)
    valid = None
    if any(vector.valid is not None for vector in like):
        valid = np.broadcast_to(np.logical_and.reduce(np.broadcast_arrays(*(vector.is_valid for vector in like))), data.shape).astype(
            np.uint8
        )
    return Vector(type_, data, valid, constant)


def _doubles(*vectors: Vector) -> list[np.ndarray]:
    """float64 values, or float32 if all are float; of one length."""
    dtype = np.float32 if all(vector.type is T.FLOAT for vector in vectors) else np.float64
    return [np.ascontiguousarray(array) for array in np.broadcast_arrays(*(vector.data.astype(dtype) for vector in vectors))]


def _real(name: str) -> Callable[..., Vector]:
    def apply(*vectors: Vector) -> Vector:
        arrays = _doubles(*vectors)
        return _with(T.FLOAT if arrays[0].dtype == np.float32 else T.DOUBLE, libm.call(name, *arrays), *vectors)

    return apply


def _logarithm(name: str) -> Callable[..., Vector]:
    """Of a negative number it is NaN without a sign, which C leaves open and OpenMLDB writes into text."""
    logarithm = _real(name)

    def apply(x: Vector) -> Vector:
        result = logarithm(x)
        result.data[x.data < 0] = np.nan
        return result

    return apply


def _cot(x: Vector) -> Vector:
    (data,) = _doubles(x)
    with np.errstate(all="ignore"):
        return _with(T.FLOAT if data.dtype == np.float32 else T.DOUBLE, libm.call("cos", data) / libm.call("sin", data), x)


def _abs(x: Vector) -> Vector:
    type_ = T.DOUBLE if x.type is not None and x.type.is_float else T.BIGINT if x.type is T.BIGINT else T.INT
    dtype = {T.DOUBLE: np.float64, T.BIGINT: np.int64, T.INT: np.int32}[type_]
    return _with(type_, np.abs(x.data.astype(dtype)), x)


def _whole(pick: Callable[[np.ndarray], np.ndarray]) -> Callable[[Vector], Vector]:
    """ceil and floor, which go through double for integers."""

    def apply(x: Vector) -> Vector:
        with np.errstate(all="ignore"):
            data = pick(x.data.astype(np.float64))
            if x.type is not None and x.type.is_float:
                return _with(T.DOUBLE, data, x)
            return _with(T.BIGINT, data.astype(np.int64), x)

    return apply


def _truncate(x: Vector) -> Vector:
    with np.errstate(all="ignore"):
        if x.type is not None and x.type.is_float:
            return _with(T.DOUBLE, np.trunc(x.data.astype(np.float64)), x)
        if x.type is T.BIGINT:
            return _with(T.BIGINT, x.data.astype(np.float64).astype(np.int64), x)
    return _with(T.INT, x.data.astype(np.int32), x)


def _round(x: Vector, digits: Vector | None = None) -> Vector:
    """Halves away from zero."""
    assert x.type is not None
    places = Vector.of_value(0, T.INT) if digits is None else digits
    value, place = np.broadcast_arrays(x.data, places.data)
    power = libm.call("pow", np.full(place.shape, 10.0), np.abs(place).astype(np.float64))
    with np.errstate(all="ignore"):
        if x.type.is_integer:
            rounded = (libm.call("round", value.astype(np.float64) / power) * power).astype(x.data.dtype)
            return _with(x.type, np.where(place >= 0, value, rounded), x, places)
        factor = libm.call("pow", np.full(place.shape, 10.0), place.astype(np.float64))
        return _with(x.type, (libm.call("round", value.astype(np.float64) * factor) / factor).astype(x.data.dtype), x, places)


FUNCTIONS: dict[str, Callable[..., Vector]] = {
    "abs": _abs,
    "ceil": _whole(np.ceil),
    "floor": _whole(np.floor),
    "round": _round,
    "truncate": _truncate,
    "ln": _logarithm("log"),
    "log2": _logarithm("log2"),
    "log10": _logarithm("log10"),
    "cot": _cot,
    "degrees": lambda x: _with(T.DOUBLE, x.data.astype(np.float64) * (180 / math.pi), x),
    "radians": lambda x: _with(T.DOUBLE, math.pi * (x.data.astype(np.float64) / 180), x),
    **{name: _real(name) for name in ("sqrt", "exp", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "pow")},
}
