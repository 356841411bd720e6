"""The kernels' aggregates over windows of very many rows (see `large`), with the very values that walking gives.

What needs a walk there and has a shorter way: sums and means of floats, `count_where` with `x = at(x, 0)` beside other conditions, and `topn_frequency`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jdrec.engines.embedded.categories import Categories
from jdrec.engines.embedded.exact import Units, running, units_of
from jdrec.engines.embedded.large import Counted, Large, Windows, is_valid, walk_lanes
from jdrec.engines.embedded.layout import Choice, Function, Statistic
from jdrec.engines.embedded.plan import Aggregate
from jdrec.engines.embedded.stores import Encoded
from jdrec.features.types import SqlType

T = SqlType
Fill = Callable[[Aggregate, Large, Windows], np.ndarray]


def fill_of(aggregate: Aggregate, column: Encoded | None) -> Fill | None:
    """What computes an aggregate over large windows: int64 [windows, aggregate.words]; None for those that the kernels do as quickly."""
    if aggregate.function is Function.COUNT and aggregate.match is not None:
        return count_same
    if aggregate.function is Function.TOPN_FREQUENCY:
        return topn_frequency
    if (
        aggregate.function in (Function.SUM, Function.AVG)
        and column is not None
        and (column.type.is_float or aggregate.function is Function.AVG)
    ):
        return sum_or_mean
    return None


def sum_or_mean(aggregate: Aggregate, large: Large, windows: Windows) -> np.ndarray:
    """By running sums where no sum is rounded, else many windows at a time."""
    assert aggregate.column is not None
    number = aggregate.column
    column, own_column = large.store.columns[number], windows.at_hand.columns[number]
    counted = large.counted((number,))
    low, high = counted.span(windows)
    has_own = counted.own(windows)
    own = np.where(has_own, windows.own(own_column)[0], 0)
    single = aggregate.function is Function.SUM and column.type is T.FLOAT
    type_ = np.dtype(np.float32 if single else np.float64)
    units, sums = large.once(("units", number, type_), lambda: _running_units(counted, number, type_))
    of_own = units.of(own) if units is not None else None
    if of_own is not None:
        total = (sums[high] - sums[low] + of_own) * units.unit
    else:
        values = large.once(("values", number, type_), lambda: counted.values(number).astype(type_))
        total = walk_lanes("sum_singles" if single else "sum_doubles", values, low, high, np.zeros(len(own), type_) + own.astype(type_))
    count = high - low + has_own
    if aggregate.function is Function.AVG:
        with np.errstate(all="ignore"):
            total = total / count
    return np.stack([count > 0, np.where(count > 0, keys_of_doubles(total.astype(np.float64)), 0)], axis=1)


def _running_units(counted: Counted, column: int, type_: np.dtype) -> tuple[Units | None, np.ndarray]:
    units = units_of(counted.values(column), counted.bases, type_)
    return units, running(units.values if units is not None else np.zeros(0, np.int64))


def count_same(aggregate: Aggregate, large: Large, windows: Windows) -> np.ndarray:
    """Rows that equal the window's newest one: the places of each value are known, in order."""
    assert aggregate.match is not None
    match = large.store.columns[aggregate.match]

    def places() -> tuple[np.ndarray, np.ndarray]:
        """The different values, and for each row that counts, ordered by value, the value's number and the row in one."""
        rows = large.rows
        kept = _counts(aggregate, large.store.columns, rows) & is_valid(match, rows)
        rows = rows[kept]
        known, number = np.unique(keys(match, rows), return_inverse=True)
        return known, np.sort(number * np.int64(len(match.values) + 1) + rows)

    known, ordered = large.once(("same", aggregate.column, aggregate.condition, aggregate.match), places)
    if windows.sees_current:
        own = windows.at_hand.columns[aggregate.match]
        rows = windows.rows_of(own)
        newest, valid = keys(own, rows), is_valid(own, rows)
        result = (valid & _counts_own(aggregate, windows)).astype(np.int64)
    else:
        newest, valid = keys(match, windows.high - 1), is_valid(match, windows.high - 1)
        result = np.zeros(len(windows), np.int64)
    if len(known):
        number = np.searchsorted(known, newest).clip(max=len(known) - 1)
        base = number * np.int64(len(match.values) + 1)
        between = np.searchsorted(ordered, base + windows.high) - np.searchsorted(ordered, base + windows.low)
        result += np.where(valid & (known[number] == newest), between, 0)
    return np.stack([np.ones_like(result), result], axis=1)


def _counts(aggregate: Aggregate, columns: list[Encoded], rows: np.ndarray) -> np.ndarray:
    """bool [rows]: not NULL in the column, and the condition holds."""
    result = np.ones(len(rows), bool)
    if aggregate.column is not None:
        result &= is_valid(columns[aggregate.column], rows)
    if aggregate.condition is not None:
        condition = columns[aggregate.condition]
        result &= is_valid(condition, rows) & (condition.values[rows] != 0)
    return result


def _counts_own(aggregate: Aggregate, windows: Windows) -> np.ndarray:
    result = np.ones(len(windows), bool)
    if aggregate.column is not None:
        result &= windows.own(windows.at_hand.columns[aggregate.column])[1]
    if aggregate.condition is not None:
        values, valid = windows.own(windows.at_hand.columns[aggregate.condition])
        result &= valid & (values != 0)
    return result


def topn_frequency(aggregate: Aggregate, large: Large, windows: Windows) -> np.ndarray:
    """The keys of the most frequent values; NaN is none of them."""
    assert aggregate.column is not None
    column, own = large.store.columns[aggregate.column], windows.at_hand.columns[aggregate.column]
    counted = large.counted((aggregate.column,))
    known = large.once(
        ("frequency", aggregate.column), lambda: Categories(counted, keys(column, counted.rows), ~_is_nan(column, counted.rows))
    )
    parts = []
    for some in windows.parts(min(aggregate.n, known.most)):
        rows = some.rows_of(own)
        has_own = counted.own(some) & ~_is_nan(own, rows)
        found = known.choose(some, keys(own, rows), has_own, Statistic.COUNT, Choice.FREQUENCY, aggregate.n)
        part = np.zeros((len(some), aggregate.words), np.int64)
        part[:, 0] = found.sizes
        part[found.window, 1 + found.place] = found.category
        parts.append(part)
    return np.concatenate(parts)


def keys(column: Encoded, rows: np.ndarray) -> np.ndarray:
    """int64 keys of values, equal where they are, as `kernels.cells.tally_key` gives them."""
    values = column.values[rows]
    if not column.type.is_float:
        return values.astype(np.int64)
    found = keys_of_doubles(values.astype(np.float64))
    return np.where(found == -1, 0, found)


def keys_of_doubles(values: np.ndarray) -> np.ndarray:
    """As `kernels.cells.float_key`."""
    bits = values.view(np.int64)
    return bits ^ ((bits >> 63) & np.int64(0x7FFFFFFFFFFFFFFF))


def _is_nan(column: Encoded, rows: np.ndarray) -> np.ndarray:
    return np.isnan(column.values[rows]) if column.type.is_float else np.zeros(len(rows), bool)
