"""The embedding table in host memory: looked up, and updated where a batch touched it.

Lazy updates, the default, read and write the rows of the batch and no others, so that the cost of a step does not grow with the table. That is
what OneEmbedding does, too: a row's state rests while the row is not in a batch, and weight decay takes from it only then. Dense updates
are the textbook's: every row moves at every step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

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
    """

    def __init__(
        self,
        weight: np.ndarray,
        field_of_column: tuple[int, ...],
        optimizer: OptimizerName = "adam",
        updates: Updates = "lazy",
        weight_decay: float = 0.0,
    ):
        self.weight = np.ascontiguousarray(weight, np.float32)
        self.optimizer, self.updates, self.weight_decay = optimizer, updates, weight_decay
        self._fields = np.array(field_of_column, np.int64)
        self._state = np.zeros((len(weight), STATES[optimizer], weight.shape[1]), np.float32)  # of one row side by side in memory
        self._slot = np.full(len(weight), -1, np.int32)  # where a row's gradient of this batch is gathered
        self._touched = np.empty(0, np.int64)
        self._gradient = np.empty((0, weight.shape[1]), np.float32)

    def lookup(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Vectors float32 [n, fields, dim] and linear weights float32 [n, fields] of a batch.

        A field's are the sum over its columns, each multiplied by its scale.
        """
        count, fields = len(batch.rows), int(self._fields[-1]) + 1
        vectors = np.empty((count, fields, self.weight.shape[1] - 1), np.float32)
        weights = np.empty((count, fields), np.float32)
        if batch.scale is None:
            _lookup(self.weight, batch.rows, vectors, weights)
        else:
            _lookup_scaled(self.weight, batch.rows, batch.scale, self._fields, vectors, weights)
        return vectors, weights

    def gather(self, batch: Batch, vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Adds up the gradients of the batch's rows, each row's in one place, for the next `step`.

        Args:
            batch: as given to `lookup`.
            vectors, weights: gradients of what `lookup` returned.

        Returns:
            float32 [distinct rows, dim + 1].
        """
        if self._gradient.shape[0] < batch.rows.size:
            self._touched = np.empty(batch.rows.size, np.int64)
            self._gradient = np.empty((batch.rows.size, self.weight.shape[1]), np.float32)
        scale = np.empty((0, 0), np.float32) if batch.scale is None else batch.scale
        self._count = _gather(self._slot, self._touched, self._gradient, batch.rows, scale, self._fields, vectors, weights)
        return self._gradient[: self._count]

    def step(self, step: int, learning_rate: float, scale: float = 1.0) -> None:
        """One step with the gradients gathered before.

        Args:
            step: counted from 1.
            scale: gradients are multiplied by it.
        """
        numbers = step_numbers(self.optimizer, step, learning_rate, self.weight_decay)
        rule, factor = RULES[self.optimizer], np.float32(scale)
        touched, gradient = self._touched[: self._count], self._gradient[: self._count]
        if self.updates == "lazy":
            _update_rows(rule, self.weight, self._state, touched, gradient, numbers, factor)
        else:
            whole = np.zeros_like(self.weight)
            whole[touched] = gradient
            _update_rows(rule, self.weight, self._state, np.arange(len(whole)), whole, numbers, factor)

    def state(self) -> dict[str, np.ndarray]:
        """float32 [rows, states, dim + 1]."""
        return {"moments": self._state}

    def load(self, weight: np.ndarray, state: Mapping[str, np.ndarray] | None) -> None:
        """Takes weights, and the state or zeros."""
        self.weight[...] = weight
        self._state[...] = 0 if state is None else state["moments"]


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
def _gather(slot, touched, gradient, rows, scale, fields, vectors, weights):  # type: ignore[no-untyped-def]
    dim = vectors.shape[2]
    scaled = scale.size > 0
    count = 0
    factor = np.float32(1)
    for i in range(rows.shape[0]):
        for column in range(rows.shape[1]):
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
