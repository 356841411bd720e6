"""One cell of a column: whether it is NULL, and its value as an int64 that is equal and ordered as the cell is."""

# mypy: ignore-errors
# (numba types this module)

from __future__ import annotations

from numba import types

from jdrec.engines.embedded.kernels import words as w
from jdrec.engines.embedded.kernels.words import kernel, small
from jdrec.engines.embedded.memory import bits, f32, f64, i16, i32, i64, u8

INFINITY_KEY = 0x7FF0000000000000  # see `float_key`


@small
def is_valid(column, row):
    """Whether a cell is not NULL."""
    if i64(column, w.C_KIND) == w.K_CODE:
        return i32(i64(column, w.C_DATA), row) >= 0
    valid = i64(column, w.C_VALID)
    return valid == 0 or u8(valid, row) != 0


@small
def float_key(value):
    """An int64 that orders as the float64 does."""
    pattern = bits(value)
    return pattern ^ ((pattern >> 63) & 0x7FFFFFFFFFFFFFFF)


@kernel
def key_of(column, row):
    """A cell as an int64 that is equal and ordered as the cell is."""
    kind, data = i64(column, w.C_KIND), i64(column, w.C_DATA)
    if kind == w.K_CODE:
        return types.int64(i32(data, row))
    if kind == w.K_INT32:
        return types.int64(i32(data, row))
    if kind == w.K_INT64:
        return i64(data, row)
    if kind == w.K_FLOAT32:
        return float_key(types.float64(f32(data, row)))
    if kind == w.K_FLOAT64:
        return float_key(f64(data, row))
    if kind == w.K_INT16:
        return types.int64(i16(data, row))
    return types.int64(u8(data, row))


@small
def tally_key(column, row):
    """As `key_of`, with -0.0 equal to 0.0."""
    key = key_of(column, row)
    if key == -1 and i64(column, w.C_KIND) >= w.K_FLOAT32:
        return types.int64(0)
    return key


@small
def is_nan(column, key):
    """Whether a key is that of a float which is no number. It equals nothing, not even itself."""
    return (key > INFINITY_KEY or key < -INFINITY_KEY - 1) and i64(column, w.C_KIND) >= w.K_FLOAT32


@small
def rank_of(column, key):
    """What orders keys of this column: the key itself, or the rank of a code whose dictionary has grown."""
    rank = i64(column, w.C_RANK)
    return key if rank == 0 else i64(rank, key)


@small
def number(column, row):
    """A float cell as float64."""
    if i64(column, w.C_KIND) == w.K_FLOAT32:
        return types.float64(f32(i64(column, w.C_DATA), row))
    if i64(column, w.C_KIND) == w.K_FLOAT64:
        return f64(i64(column, w.C_DATA), row)
    return types.float64(key_of(column, row))
