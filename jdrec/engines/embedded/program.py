"""Programs: a store's plan as the words that the row evaluator reads, and the call of it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from jdrec.engines.embedded import hot, layout, native, plan
from jdrec.engines.embedded.layout import MOST_TOP_VALUES, Aggregate, Column, Function, Program, Slice, State, Tally, Window
from jdrec.engines.embedded.stores import Encoded, Rows, Store, zero_key
from jdrec.features import spec

if TYPE_CHECKING:
    from jdrec.engines.embedded.large import Large, Windows
    from jdrec.engines.embedded.large_aggregates import Fill

_NONE = -1
_SPARE = 32  # dead slots that a tally may collect besides as many as its window has rows


class StoreProgram:
    """Evaluates the aggregates of one store for rows at hand. Threads may share it.

    Args:
        store: its arrays must not be replaced as long as this program is used.
        ranks: for columns whose dictionary has grown, int64 ranks by code; None where codes are in order.
        is_frozen: the store's rows never change, so that large windows need not be walked (see `hot`).
    """

    def __init__(self, store: Store, ranks: list[np.ndarray | None] | None = None, *, is_frozen: bool = False):
        self.store = store
        self.width = store.plan.width
        self.ranks = ranks or [None] * len(store.columns)
        self._windows = _table([_window_words(window) for window in store.plan.windows], Window.WIDTH)
        self._tallies, self._scratch_words = self._plan_tallies()
        self._helps = [self._help(aggregate) if is_frozen else None for aggregate in store.plan.aggregates]
        self.large = self._large() if is_frozen else None
        self._fills = [self._fill(number) for number in range(len(store.plan.aggregates))]
        self._aggregates = _table([self._aggregate_words(number) for number in range(len(store.plan.aggregates))], Aggregate.WIDTH)
        self._columns = self._column_words(store.columns)
        self._local = threading.local()

    def evaluate(self, rows: Rows, order: np.ndarray, out: np.ndarray, first: int = 0) -> None:
        """Writes the aggregates' results.

        Args:
            rows: the rows at hand.
            order: int64, the rows to evaluate; fastest where rows of a group are together and in time order.
            out: int64 [rows from `first`, width], filled where `order` says.
            first: the row at hand that out's first row belongs to.
        """
        job, _keep = self.job(rows, order, out, first)
        native.evaluate()(_address(job), 1)
        if self.large is not None:
            self._fill_large(rows, order, job, out, first)

    def _fill_large(self, rows: Rows, order: np.ndarray, job: np.ndarray, out: np.ndarray, first: int) -> None:
        """Writes what the kernels have left of large windows."""
        from jdrec.engines.embedded.large import Windows, slices

        assert self.large is not None
        found: dict[int, Windows] = {}
        for number, fill in enumerate(self._fills):
            if fill is None:
                continue
            aggregate, start = self.store.plan.aggregates[number], self.store.plan.offsets[number]
            if aggregate.window not in found:
                low, high = slices(job, aggregate.window, len(order))
                many = np.flatnonzero(high - low > self._most)
                sees_current = self.store.plan.windows[aggregate.window].sees_current_row
                found[aggregate.window] = Windows.of(order[many], low[many], high[many], sees_current, rows)
            windows = found[aggregate.window]
            if len(windows):
                out[windows.requests - first, start : start + aggregate.words] = fill(aggregate, self.large, windows)

    def _large(self) -> Large | None:
        """What spares the walk through large windows; None where there can be none."""
        if self.store.longest < hot.LARGE or any(rank is not None for rank in self.ranks):
            return None
        from jdrec.engines.embedded.large import Large

        return Large(self.store)

    @property
    def _most(self) -> int:
        """Rows of a window that are walked."""
        return max(hot.LARGE, 1)

    def _fill(self, number: int) -> Fill | None:
        """What computes an aggregate over windows that are too large to be walked; None where none is, or walking is not needed."""
        aggregate = self.store.plan.aggregates[number]
        if self.large is None or self._helps[number] is not None or most_rows(self.store.plan.windows[aggregate.window]) < hot.LARGE:
            return None
        from jdrec.engines.embedded.large_aggregates import fill_of

        return fill_of(aggregate, self.store.columns[aggregate.column] if aggregate.column is not None else None)

    def job(self, rows: Rows, order: np.ndarray, out: np.ndarray, first: int = 0) -> tuple[np.ndarray, list[np.ndarray]]:
        """The row evaluator's arguments, as for `evaluate`, with this thread's working memory.

        Returns:
            int64 [Job.WIDTH], and what has to stay alive with it. The same job may be run again when the arrays it reads have changed.
        """
        current = self._column_words(rows.columns)
        words = np.zeros(Program.WIDTH, np.int64)
        words[Program.TIMES] = _address(self.store.times)
        words[Program.BEGINS], words[Program.ENDS] = _address(self.store.begins), _address(self.store.ends)
        words[Program.COLUMNS], words[Program.CURRENT] = _address(self._columns), _address(current)
        words[Program.GROUP], words[Program.TIME] = _address(rows.group), _address(rows.time)
        words[Program.PLACE] = _address(rows.place) if rows.place is not None else 0
        words[Program.WINDOWS], words[Program.WINDOW_COUNT] = _address(self._windows), len(self._windows)
        words[Program.TALLIES], words[Program.TALLY_COUNT] = _address(self._tallies), len(self._tallies)
        words[Program.AGGREGATES], words[Program.AGGREGATE_COUNT] = _address(self._aggregates), len(self._aggregates)
        words[Program.OUT_WIDTH] = self.width
        scratch, slices, best = self._memory()
        start = _address(out) - 8 * self.width * first
        job = [_address(words), _address(order), len(order), _address(scratch), _address(slices), _address(best), start]
        return np.array(job, np.int64), [words, current, order, scratch, slices, best, out]

    def _memory(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """This thread's working memory."""
        memory = getattr(self._local, "memory", None)
        if memory is None:
            scratch = np.zeros(self._scratch_words, np.int64)
            for tally in self._tallies:
                counts = tally[Tally.OFFSET] + State.WIDTH + tally[Tally.CAPACITY]
                scratch[counts : counts + tally[Tally.CAPACITY]] = layout.UNUSED
            slices = np.zeros((max(len(self._windows), 1), Slice.WIDTH), np.int64)
            memory = self._local.memory = scratch, slices, np.zeros(MOST_TOP_VALUES, np.int64)
        return memory

    def _plan_tallies(self) -> tuple[np.ndarray, int]:
        words, offset = [], 0
        for window, column in self.store.plan.tallies:
            rows = min(self.store.longest, most_rows(self.store.plan.windows[window])) + 1  # and the current row
            limit = rows + _SPARE
            capacity = 1 << (3 * (limit + rows) // 2).bit_length()
            words.append([window, column, capacity, limit, offset])
            offset += State.WIDTH + 3 * capacity + rows + 2
        return _table(words, Tally.WIDTH), offset

    def _aggregate_words(self, number: int) -> list[int]:
        aggregate = self.store.plan.aggregates[number]
        n = aggregate.n
        if aggregate.function is Function.DISTINCT_COUNT:
            assert aggregate.column is not None
            n = zero_key(self.store.columns[aggregate.column].type, self.store.dictionaries[aggregate.column])
        optional = (aggregate.condition, aggregate.match, aggregate.tally)
        condition, match, tally = (_NONE if value is None else value for value in optional)
        column = _NONE if aggregate.column is None else aggregate.column
        offset = self.store.plan.offsets[number]
        found = self._helps[number]
        help_ = _address(found[0]) if found is not None else 0
        most = self._most if self._fills[number] is not None else 0
        return [aggregate.function, aggregate.window, column, n, condition, match, tally, offset, help_, most]

    def _help(self, aggregate: plan.Aggregate) -> tuple[np.ndarray, list[np.ndarray | None]] | None:
        """The words of `layout.Help`, and the arrays that they name; None where windows are walked."""
        rows = min(self.store.longest, most_rows(self.store.plan.windows[aggregate.window]))
        if rows < hot.MANY or any(rank is not None for rank in self.ranks):
            return None
        arrays = hot.help_for(aggregate, self.store)
        if arrays is None:
            return None
        return np.array([0 if array is None else _address(array) for array in arrays], np.int64), arrays

    def _column_words(self, columns: list[Encoded]) -> np.ndarray:
        words = []
        for column, rank in zip(columns, self.ranks, strict=True):
            valid = _address(column.valid) if column.valid is not None else 0
            ranks = _address(rank) if rank is not None else 0
            words.append([_address(column.values), valid, column.kind, ranks, 0 if column.constant else 1])
        return _table(words, Column.WIDTH)


def most_rows(window: spec.Window) -> int:
    """The most rows besides the current one that a window can have."""
    if window.frame == "rows":
        return window.start.value
    return window.max_size or 2**62


def _window_words(window: spec.Window) -> list[int]:
    is_range = window.frame == "rows_range"
    start = window.start.value - (1 if window.start.open else 0)
    end = window.end.value + (1 if window.end.open else 0)
    has_current = end == 0 and start >= 0 and not window.exclude_current_row
    return [is_range, start, end, window.max_size or 0, has_current, window.exclude_current_time]


def _table(words: list[list[int]], width: int) -> np.ndarray:
    return np.array(words, np.int64).reshape(len(words), width)


def _address(array: np.ndarray) -> int:
    return array.ctypes.data
