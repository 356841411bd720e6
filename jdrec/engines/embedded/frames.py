"""Aggregates that look at all rows of a frame at once: they are laid side by side, newest first, and reduced with NumPy.

The kernels only say where each frame lies in its store. What needs the values in order (median, categories, entropy), each row's
distance from the frame's end (ew_avg, drawdown) or a condition that looks at other rows of the frame (`at`) is computed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jdrec.dataset import arrow
from jdrec.engines.embedded import expressions, hot, plan
from jdrec.engines.embedded.joins import portions
from jdrec.engines.embedded.large import Large, Windows
from jdrec.engines.embedded.stores import Codes, Encoded, Rows, Store
from jdrec.engines.embedded.vector import Vector, concatenate
from jdrec.features import expression as ast
from jdrec.features.types import SqlType

T = SqlType
MOST_CELLS = 1 << 21  # rows of frames that lie side by side at a time


@dataclass(frozen=True)
class Cells:
    """Values of one column.

    Attributes:
        values: storage values, or codes of strings.
        valid: bool, False where NULL.
        ranks: what orders codes, if the codes themselves do not.
    """

    type: SqlType
    values: np.ndarray
    valid: np.ndarray
    dictionary: Codes | None = None
    ranks: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> Cells:
        return Cells(self.type, self.values[rows], self.valid[rows], self.dictionary, self.ranks)

    @property
    def order(self) -> np.ndarray:
        """Numbers that order as the values do."""
        return self.values if self.ranks is None else self.ranks[self.values]

    def vector(self) -> Vector:
        if self.dictionary is not None:
            return Vector(T.STRING, self.dictionary.decode(np.where(self.valid, self.values, -1)))
        return Vector(self.type, self.values, None if self.valid.all() else self.valid.astype(np.uint8))


class Frames:
    """The frames of some requests in one window, one after the other, each from its newest row to its oldest.

    Args:
        store: its rows.
        current: the requests as the store's rows see them.
        requests: int64 [requests], which of them.
        low, high: int64 [requests], each frame's slice of the store.
        has_current: the requests themselves are in their frames.

    Attributes:
        count: how many requests.
        sizes: int64 [requests], rows of each frame.
        starts: int64 [requests], each frame's first cell.
        row: int64 [cells], the request that a cell belongs to.
    """

    def __init__(
        self,
        store: Store,
        current: Rows,
        requests: np.ndarray,
        low: np.ndarray,
        high: np.ndarray,
        has_current: bool,
        ranks: Sequence[np.ndarray | None],
    ):
        self._store, self._current, self._requests, self._ranks = store, current, requests, ranks
        self.count = len(low)
        self.sizes = high - low + int(has_current)
        self.starts = np.cumsum(self.sizes) - self.sizes
        self.row = np.repeat(np.arange(self.count), self.sizes)
        place = (high - 1 + int(has_current))[self.row] - (np.arange(len(self.row)) - self.starts[self.row])
        self._is_current = (place == high[self.row]) if has_current else np.zeros(len(place), bool)
        self._place = np.where(self._is_current, 0, place)
        self._cells: dict[int, Cells] = {}

    def cells(self, column: int) -> Cells:
        """A column of the store for every row of every frame."""
        if column not in self._cells:
            stored, own = self._store.columns[column], self._current.columns[column]
            request = np.zeros(len(self.row), np.int64) if own.constant else self._requests[self.row]
            values, valid = _values(stored, self._place, ~self._is_current)
            mine, mine_valid = _values(own, request, self._is_current)
            dictionary = self._store.dictionaries[column]
            self._cells[column] = Cells(
                stored.type,
                np.where(self._is_current, mine, values),
                np.where(self._is_current, mine_valid, valid),
                dictionary,
                self._ranks[column],
            )
        return self._cells[column]

    def nth(self, column: int, n: int) -> Cells:
        """The n-th newest value of the frame that a row lies in, counted from 0; NULL where there is none."""
        there = (self.sizes[self.row] > n) & (n >= 0)
        found = self.cells(column).take(np.where(there, self.starts[self.row] + n, 0)) if len(self.row) else self.cells(column)
        return Cells(found.type, found.values, found.valid & there, found.dictionary, found.ranks)

    def holds(self, condition: ast.Node | None) -> np.ndarray:
        """bool [cells]: where a condition is true."""
        if condition is None:
            return np.ones(len(self.row), bool)
        vector = expressions.evaluate(condition, _CellRows(self)).spread(len(self.row))
        return vector.is_valid & (vector.data != 0)

    @cached_property
    def all(self) -> np.ndarray:
        return np.arange(len(self.row))


def _values(column: Encoded, places: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and validity at the places that are wanted; anything elsewhere."""
    if not len(column.values):
        return np.zeros(len(places), column.values.dtype), np.zeros(len(places), bool)
    places = np.where(wanted, places, 0)
    values = column.values[places]
    if column.type is T.STRING:
        return values, values >= 0
    return values, np.ones(len(places), bool) if column.valid is None else column.valid[places] != 0


@dataclass(frozen=True)
class _CellRows:
    """A condition's columns: those of each row, and those of the frame's n-th newest row."""

    frames: Frames

    def column(self, node: ast.Column) -> Vector:
        raise TypeError("a condition over frames reads the store's columns")

    def other(self, node: ast.Node) -> Vector:
        if isinstance(node, plan.Cell):
            return self.frames.cells(node.column).vector()
        if isinstance(node, plan.Nth):
            return self.frames.nth(node.column, node.n).vector()
        raise TypeError(f"{type(node).__name__} is not an expression over a frame")


def compute(
    walk: plan.Walk,
    store: Store,
    current: Rows,
    first: int,
    words: np.ndarray,
    ranks: Sequence[np.ndarray | None],
    large: Large | None = None,
) -> Vector:
    """An aggregate's values for some requests.

    Args:
        current: the requests, from `first` on.
        words: int64 [requests, 3], what Function.FRAME wrote: a status, and the frame's slice of the store.
        ranks: by column, what orders its codes.
        large: what spares the walk through frames of very many rows, for a store whose rows stay as they are.
    """
    from jdrec.engines.embedded.walks import WALKS

    low, high, requests = words[:, 1], words[:, 2], np.arange(first, first + len(words))
    has_current = store.plan.windows[walk.window].sees_current_row
    parts, done = [], []
    many = high - low > max(hot.LARGE, 1)
    if large is not None and many.any():
        from jdrec.engines.embedded.large_walks import walk_large

        windows = Windows.of(requests[many], low[many], high[many], has_current, current)
        found = walk_large(walk, large, windows)
        if found is not None:
            parts, done = [found], [windows.requests - first]
    rest = np.flatnonzero(~many) if parts else np.arange(len(words))
    for start, stop in portions((high - low)[rest] + has_current, MOST_CELLS):
        some = rest[start:stop]
        parts.append(WALKS[walk.name](walk, Frames(store, current, requests[some], low[some], high[some], has_current, ranks)))
        done.append(some)
    if not parts:
        return Vector.of_values([], walk.type)
    order = np.concatenate(done)
    result = concatenate(parts)
    return result if np.array_equal(order, np.arange(len(order))) else result.take(np.argsort(order))


def text_of(texts: Sequence[str | None]) -> Vector:
    return Vector(T.STRING, arrow.strings_of(texts))
