"""Windows of very many rows, of stores whose rows stay as they are: what is known of all of them at once, so that none is walked from end to end.

A key with n rows and n requests would cost n * n steps where no MAXSIZE bounds its windows. Here are the rows that such windows can have, and where windows
lie among those that count; `large_aggregates` and `large_walks` are what is computed over them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np

from jdrec.engines.embedded import expressions, hot, native, plan
from jdrec.engines.embedded.layout import LANES, Slice
from jdrec.engines.embedded.stores import Encoded, Rows, Store
from jdrec.engines.embedded.vector import Vector
from jdrec.features import expression as ast
from jdrec.features.types import SqlType

T = SqlType
_MOST_VALUES = 1 << 21  # of windows that are written at a time


@dataclass(frozen=True)
class Windows:
    """Large windows of some requests in one store, in the order of their ends.

    Attributes:
        requests: int64 [windows], each one's number among the rows at hand.
        low, high: int64 [windows], the slice of the store.
        sees_current: the request itself is in it.
        at_hand: the requests as the store's rows see them.
    """

    requests: np.ndarray
    low: np.ndarray
    high: np.ndarray
    sees_current: bool
    at_hand: Rows

    @classmethod
    def of(cls, requests: np.ndarray, low: np.ndarray, high: np.ndarray, sees_current: bool, at_hand: Rows) -> Windows:
        order = np.lexsort((low, high))
        return cls(requests[order], low[order], high[order], sees_current, at_hand)

    def __len__(self) -> int:
        return len(self.requests)

    def parts(self, width: int) -> Iterator[Windows]:
        """Portions of which so many values a window fit into memory."""
        step = max(_MOST_VALUES // max(width, 1), 1)
        for begin in range(0, len(self), step):
            some = slice(begin, begin + step)
            yield Windows(self.requests[some], self.low[some], self.high[some], self.sees_current, self.at_hand)

    def rows_of(self, column: Encoded) -> np.ndarray:
        """int64 [windows]: where the requests' own values are in a column of the rows at hand."""
        return np.zeros(len(self), np.int64) if column.constant else self.requests

    def own(self, column: Encoded) -> tuple[np.ndarray, np.ndarray]:
        """The requests' own values and their validity."""
        rows = self.rows_of(column)
        return column.values[rows], is_valid(column, rows)


class Large:
    """The rows of a store that large windows may have: those of its very large groups."""

    def __init__(self, store: Store):
        self.store = store
        self._lock = Lock()
        self._kept: dict[Any, Any] = {}

    @cached_property
    def groups(self) -> tuple[np.ndarray, np.ndarray]:
        """int64 [large groups]: their first rows, and those after their last ones."""
        found = np.flatnonzero(self.store.ends - self.store.begins >= max(hot.LARGE, 1))
        found = found[np.argsort(self.store.begins[found])]
        return self.store.begins[found], self.store.ends[found]

    @cached_property
    def rows(self) -> np.ndarray:
        """int64: the rows of all large groups."""
        return np.concatenate([np.zeros(0, np.int64), *(np.arange(begin, end) for begin, end in zip(*self.groups, strict=True))])

    def once(self, what: Any, make: Callable[[], Any]) -> Any:
        """Something that is made of the store alone, when it is first asked for."""
        with self._lock:
            if what not in self._kept:
                self._kept[what] = make()
            return self._kept[what]

    def counted(self, columns: tuple[int, ...], condition: ast.Node | None = None) -> Counted:
        """The rows that are not NULL in any of the columns and for which the condition holds."""
        return self.once(("counted", columns, condition), lambda: Counted(self, columns, condition))


class Counted:
    """The rows of large groups that count for some aggregate.

    Attributes:
        rows: int64 [rows], ascending.
        group: int64 [rows], the number of the large group.
        bases: int64 [groups + 1], where each group begins among the rows.
    """

    def __init__(self, large: Large, columns: tuple[int, ...], condition: ast.Node | None):
        self.store, self._columns, self._condition = large.store, columns, condition
        kept = large.rows
        for column in columns:
            kept = kept[is_valid(self.store.columns[column], kept)]
        if condition is not None:
            kept = kept[holds(condition, self.store, self.store.columns, kept)]
        self.rows = kept
        begins, ends = large.groups
        self.bases = np.append(np.searchsorted(kept, begins), len(kept))
        self.group = np.repeat(np.arange(len(begins)), np.diff(self.bases))
        self._ends = ends

    def values(self, column: int) -> np.ndarray:
        return self.store.columns[column].values[self.rows]

    def span(self, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        """int64 [windows]: where each window begins and ends among the rows that count."""
        return np.searchsorted(self.rows, windows.low), np.searchsorted(self.rows, windows.high)

    def groups_of(self, windows: Windows) -> np.ndarray:
        """int64 [windows], the number of the large group that each window is of."""
        return np.searchsorted(self._ends, windows.high)

    def own(self, windows: Windows) -> np.ndarray:
        """bool [windows]: whether the request's own row is in the window and counts."""
        result = np.full(len(windows), windows.sees_current)
        if windows.sees_current:
            for column in self._columns:
                result &= windows.own(windows.at_hand.columns[column])[1]
            if self._condition is not None:
                result &= own_holds(self._condition, self.store, windows)
        return result


def is_valid(column: Encoded, rows: np.ndarray) -> np.ndarray:
    """bool [rows]: where a column is not NULL."""
    if column.type is T.STRING:
        return column.values[rows] >= 0
    return np.ones(len(rows), bool) if column.valid is None else column.valid[rows] != 0


def looks_around(condition: ast.Node | None) -> bool:
    """Whether a condition reads other rows of the frame than the one at hand."""
    return condition is not None and any(isinstance(node, plan.Nth) for node in ast.walk(condition))


def holds(condition: ast.Node, store: Store, columns: list[Encoded], rows: np.ndarray) -> np.ndarray:
    """bool [rows]: where a condition over `plan.Cell` is true."""
    vector = expressions.evaluate(condition, _Cells(store, columns, rows)).spread(len(rows))
    return vector.is_valid & (vector.data != 0)


def own_holds(condition: ast.Node, store: Store, windows: Windows) -> np.ndarray:
    """bool [windows]: where it is true of the request's own row."""
    return holds(condition, store, windows.at_hand.columns, windows.requests)


@dataclass(frozen=True)
class _Cells:
    """A condition's columns, of some rows."""

    store: Store
    columns: list[Encoded]
    rows: np.ndarray

    def column(self, node: ast.Column) -> Vector:
        raise TypeError("a condition over frames reads the store's columns")

    def other(self, node: ast.Node) -> Vector:
        assert isinstance(node, plan.Cell)
        column, dictionary = self.columns[node.column], self.store.dictionaries[node.column]
        rows = np.zeros(len(self.rows), np.int64) if column.constant else self.rows
        valid = is_valid(column, rows)
        if dictionary is not None:
            return Vector(T.STRING, dictionary.decode(np.where(valid, column.values[rows], -1)))
        return Vector(column.type, column.values[rows], None if valid.all() else valid.astype(np.uint8))


def slices(job: np.ndarray, window: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """int64 [rows]: where a window of the rows of a job lies in the store (see `program.StoreProgram.job`)."""
    out = np.empty((rows, Slice.WIDTH), np.int64)
    native.bulk("find_slices")(int(job[0]), int(job[1]), rows, window, address(out))
    return out[:, Slice.LOW], out[:, Slice.HIGH]


def walk_lanes(
    function: str, values: np.ndarray, low: np.ndarray, high: np.ndarray, sums: np.ndarray, means: np.ndarray | None = None
) -> np.ndarray:
    """Adds the values of each window, the newest first, to its sum (see `kernels.lanes`).

    Args:
        sums: what the windows begin with.
        means: of each window; only "sum_squares" reads them.
    """
    more = -len(low) % LANES
    low, high, sums, means = (np.pad(array, (0, more), "edge") for array in (low, high, sums, sums if means is None else means))
    native.bulk(function)(address(values), address(low), address(high), len(low), address(means), address(sums))
    return sums[: len(sums) - more]


def address(array: np.ndarray) -> int:
    return array.ctypes.data
