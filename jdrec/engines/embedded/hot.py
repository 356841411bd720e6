"""Sums that spare the walk through windows of very many rows, for stores whose rows stay as they are.

Counts and sums of integers over any rows are the difference of two running sums; the smallest and largest value come from those of whole blocks. Without this a
key with n rows costs n * n steps where no MAXSIZE bounds its windows. What cannot be had in this way is in `large`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jdrec.engines.embedded.layout import BIG_BLOCK, BLOCK, BlockState, Function, Help
from jdrec.engines.embedded.plan import Aggregate
from jdrec.engines.embedded.stores import Encoded, Store
from jdrec.features.types import SqlType

MANY = 4096  # rows of a window that are too many to walk
LARGE = 512  # rows of a window whose walk has another way, see `large`
_EXACT = 2**53  # integers up to here add up exactly as float64
_CHUNK = 1 << 22  # rows at a time; a multiple of a big block


def help_for(aggregate: Aggregate, store: Store) -> list[np.ndarray | None] | None:
    """The arrays of `layout.Help`; None for an aggregate that needs or has none."""
    if aggregate.match is not None:
        return None
    column = store.columns[aggregate.column] if aggregate.column is not None else None
    if aggregate.function is Function.COUNT:
        condition = store.columns[aggregate.condition] if aggregate.condition is not None else None
        if column is None and condition is None:
            return None  # the slice says it
        return [_running(len(store.times), lambda rows: _counted(column, condition, rows)), None, None, None]
    if column is None:
        return None
    if (aggregate.function is Function.SUM and not column.type.is_float) or (aggregate.function is Function.AVG and _adds_exactly(column)):
        counts = _running(len(column.values), lambda rows: _is_valid(column, rows))
        return [counts, _running(len(column.values), lambda rows: _values(column, rows)), None, None]
    if aggregate.function in (Function.MIN, Function.MAX):
        return [None, None, *_blocks(column, largest=aggregate.function is Function.MAX)]
    return None


def _running(count: int, part: Callable[[slice], np.ndarray]) -> np.ndarray:
    """int64 [count + 1]: what all rows before each add up to; it wraps around."""
    result = np.zeros(count + 1, np.int64)
    for first in range(0, count, _CHUNK):
        last = min(first + _CHUNK, count)
        np.cumsum(part(slice(first, last)), dtype=np.int64, out=result[first + 1 : last + 1])
        result[first + 1 : last + 1] += result[first]
    return result


def _is_valid(column: Encoded, rows: slice) -> np.ndarray:
    if column.type is SqlType.STRING:
        return column.values[rows] >= 0
    return np.ones(len(column.values[rows]), bool) if column.valid is None else column.valid[rows] != 0


def _values(column: Encoded, rows: slice) -> np.ndarray:
    return np.where(_is_valid(column, rows), column.values[rows].astype(np.int64), 0)


def _counted(column: Encoded | None, condition: Encoded | None, rows: slice) -> np.ndarray:
    """Rows that are not NULL in the column and satisfy the condition."""
    if condition is None:
        assert column is not None
        return _is_valid(column, rows)
    holds = _is_valid(condition, rows) & (condition.values[rows] != 0)
    return holds if column is None else holds & _is_valid(column, rows)


def _adds_exactly(column: Encoded) -> bool:
    """Whether no order of addition makes a difference to float64 sums of the column."""
    if column.type.is_float or column.type is SqlType.STRING:
        return False
    largest = max((abs(int(bound)) for bound in (column.values.min(initial=0), column.values.max(initial=0))), default=0)
    return largest * (len(column.values) + 1) < _EXACT


def _blocks(column: Encoded, *, largest: bool) -> tuple[np.ndarray, np.ndarray]:
    """int64 [blocks, 2]: the state and the smallest or largest key of each whole block, and of each big one."""
    count = len(column.values)
    worst = np.iinfo(np.int64).min if largest else np.iinfo(np.int64).max
    blocks = [np.zeros((count // BLOCK, 2), np.int64), np.zeros((count // BIG_BLOCK, 2), np.int64)]
    for first in range(0, count, _CHUNK):
        rows = slice(first, min(first + _CHUNK, count))
        valid = _is_valid(column, rows)
        nan = np.isnan(column.values[rows]) & valid if column.type.is_float else np.zeros(len(valid), bool)
        keys = np.where(valid & ~nan, _keys(column, rows), worst)
        states = np.where(valid, np.where(nan, BlockState.NAN, BlockState.NUMBER), BlockState.NOTHING)
        for size, found in zip((BLOCK, BIG_BLOCK), blocks, strict=True):
            whole = len(keys) // size * size
            place = slice(first // size, (first + whole) // size)
            grouped = keys[:whole].reshape(-1, size)
            found[place, 0] = states[:whole].reshape(-1, size).max(axis=1, initial=0)
            found[place, 1] = grouped.max(axis=1, initial=worst) if largest else grouped.min(axis=1, initial=worst)
    return blocks[0], blocks[1]


def _keys(column: Encoded, rows: slice) -> np.ndarray:
    """As `kernels.cells.key_of`."""
    values = column.values[rows]
    if not column.type.is_float:
        return values.astype(np.int64)
    bits = values.astype(np.float64).view(np.int64)
    return bits ^ ((bits >> 63) & np.int64(0x7FFFFFFFFFFFFFFF))


assert Help.WIDTH == 4
