"""The embedding table in host memory: looked up, and updated where a batch touched it.

Lazy updates, the default, read and write the rows of the batch and no others, so that the cost of a step does not grow with the table. That is
what OneEmbedding does, too: a row's state rests while the row is not in a batch, and weight decay takes from it only then. Dense updates
are the textbook's: every row moves at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numba
import numpy as np

from jdrec.training.data import Batch
from jdrec.training.optimizers import RULES, STATES, OptimizerName, step_numbers, update

Updates = Literal["lazy", "dense"]


class Table:
    """Rows of vectors and linear weights.

    Args:
        weight: float32 [rows, dim + 1]: a vector, then its linear weight. It is updated in place.
        field_of_column: the field that each of a batch's columns belongs to.
        optimizer: the rule of its updates.
        threads: how many work on it.
    """

    def __init__(
        self,
        weight: np.ndarray,
        field_of_column: tuple[int, ...],
        optimizer: OptimizerName = "adam",
        updates: Updates = "lazy",
        weight_decay: float = 0.0,
        threads: int = 1,
    ):
        self.weight = np.ascontiguousarray(weight, np.float32)
        self.optimizer, self.updates, self.weight_decay = optimizer, updates, weight_decay
        self._fields = np.array(field_of_column, np.int64)
        self._state = np.zeros((len(weight), STATES[optimizer], weight.shape[1]), np.float32)  # of one row side by side in memory
        self._slot = np.full(len(weight), -1, np.int32)  # where a row's gradient of this batch is gathered
        # Fields share no rows, so threads that have fields of their own need not know of each other.
        bounds = np.linspace(0, len(self._fields), max(1, min(threads, len(self._fields))) + 1).astype(int)
        bounds = np.unique(np.searchsorted(self._fields, self._fields[np.minimum(bounds, len(self._fields) - 1)])[:-1])
        self._shares = [_Share(int(start), int(end)) for start, end in zip(bounds, [*bounds[1:], len(self._fields)], strict=True)]
        self._pool = ThreadPoolExecutor(len(self._shares), "table")

    def lookup(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Vectors float32 [n, fields, dim] and linear weights float32 [n, fields] of a batch.

        A field's are the sum over its columns, each multiplied by its scale.
        """
        count, fields = len(batch.rows), int(self._fields[-1]) + 1
        vectors = np.empty((count, fields, self.weight.shape[1] - 1), np.float32)
        weights = np.empty((count, fields), np.float32)

        def look_up(start: int, end: int) -> None:
            part = slice(start, end)
            if batch.scale is None:
                _lookup(self.weight, batch.rows[part], vectors[part], weights[part])
            else:
                _lookup_scaled(self.weight, batch.rows[part], batch.scale[part], self._fields, vectors[part], weights[part])

        bounds = np.linspace(0, count, len(self._shares) + 1).astype(int).tolist()
        self._each(look_up, bounds[:-1], bounds[1:])
        return vectors, weights

    def gather(self, batch: Batch, vectors: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
        """Adds up the gradients of the batch's rows, each row's in one place, for the next `step`.

        Args:
            batch: as given to `lookup`.
            vectors, weights: gradients of what `lookup` returned.

        Returns:
            Of each thread float32 [its distinct rows, dim + 1].
        """
        scale = np.empty((0, 0), np.float32) if batch.scale is None else batch.scale

        def gather(share: _Share) -> np.ndarray:
            share.make_room(len(batch.rows), self.weight.shape[1])
            share.count = _gather(
                self._slot, share.rows, share.gradient, share.start, share.end, batch.rows, scale, self._fields, vectors, weights
            )
            return share.gradient[: share.count]

        return self._each(gather, self._shares)

    def step(self, step: int, learning_rate: float, scale: float = 1.0) -> None:
        """One step with the gradients gathered before.

        Args:
            step: counted from 1.
            scale: gradients are multiplied by it.
        """
        numbers = step_numbers(self.optimizer, step, learning_rate, self.weight_decay)
        rule, factor = RULES[self.optimizer], np.float32(scale)

        def update(share: _Share) -> None:
            _update_rows(rule, self.weight, self._state, share.rows[: share.count], share.gradient, numbers, factor)

        if self.updates == "lazy":
            self._each(update, self._shares)
            return
        whole = np.zeros_like(self.weight)
        for share in self._shares:
            whole[share.rows[: share.count]] = share.gradient[: share.count]
        _update_rows(rule, self.weight, self._state, np.arange(len(whole)), whole, numbers, factor)

    def _each(self, work: Callable[..., Any], *items: Iterable[Any]) -> list[Any]:
        """What `work` gives for every item; the first one in this thread."""
        first, *others = zip(*items, strict=True)
        pending = [self._pool.submit(work, *item) for item in others]
        return [work(*first), *(future.result() for future in pending)]

    def state(self) -> dict[str, np.ndarray]:
        """float32 [rows, states, dim + 1]."""
        return {"moments": self._state}

    def load(self, weight: np.ndarray, state: Mapping[str, np.ndarray] | None) -> None:
        """Takes weights, and the state or zeros."""
        self.weight[...] = weight
        self._state[...] = 0 if state is None else state["moments"]


class _Share:
    """A thread's columns, and the distinct rows of a batch in them with their gradients."""

    def __init__(self, start: int, end: int):
        self.start, self.end, self.count = start, end, 0
        self.rows, self.gradient = np.empty(0, np.int64), np.empty((0, 0), np.float32)

    def make_room(self, samples: int, width: int) -> None:
        most = samples * (self.end - self.start)
        if len(self.rows) < most:
            self.rows, self.gradient = np.empty(most, np.int64), np.empty((most, width), np.float32)


@numba.njit(cache=True, nogil=True)
def _lookup(table, rows, vectors, weights):  # type: ignore[no-untyped-def]
    dim = vectors.shape[2]
    for i in range(rows.shape[0]):
        for f in range(rows.shape[1]):
            row = rows[i, f]
            for d in range(dim):
                vectors[i, f, d] = table[row, d]
            weights[i, f] = table[row, dim]


@numba.njit(cache=True, nogil=True)
def _lookup_scaled(table, rows, scale, fields, vectors, weights):  # type: ignore[no-untyped-def]
    dim = vectors.shape[2]
    vectors[...] = 0
    weights[...] = 0
    for i in range(rows.shape[0]):
        for column in range(rows.shape[1]):
            factor = scale[i, column]
            if factor == 0:
                continue
            row, f = rows[i, column], fields[column]
            for d in range(dim):
                vectors[i, f, d] += factor * table[row, d]
            weights[i, f] += factor * table[row, dim]


@numba.njit(cache=True, nogil=True)
def _gather(slot, touched, gradient, start, end, rows, scale, fields, vectors, weights):  # type: ignore[no-untyped-def]
    dim = vectors.shape[2]
    scaled = scale.size > 0
    count = 0
    factor = np.float32(1)
    for i in range(rows.shape[0]):
        for column in range(start, end):
            if scaled:
                factor = scale[i, column]
                if factor == 0:
                    continue
            row, f = rows[i, column], fields[column]
            place = slot[row]
            if place < 0:
                place = count
                slot[row] = place
                touched[place] = row
                gradient[place, :] = 0
                count += 1
            for d in range(dim):
                gradient[place, d] += factor * vectors[i, f, d]
            gradient[place, dim] += factor * weights[i, f]
    for place in range(count):
        slot[touched[place]] = -1
    return count


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _update_rows(rule, table, state, rows, gradient, numbers, scale):  # type: ignore[no-untyped-def]
    for place in range(rows.size):
        row = rows[place]
        update(rule, table[row], state[row], gradient[place], numbers, scale)
