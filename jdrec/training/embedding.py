"""An embedding table in host memory with lazy Adam: a step reads and writes the rows of its batch and no others.

The cost of a step does not grow with the table. That is what OneEmbedding's Adam does, too: a row's moments rest while the row is not
in a batch, whereas dense Adam would go on decaying them, and moving the row, at every step.
"""

from __future__ import annotations

import math

import numba
import numpy as np

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # Kingma and Ba, arXiv 1412.6980, section 2


class LazyAdamTable:
    """Rows of vectors and linear weights, updated by Adam where a batch touched them.

    Args:
        weight: float32 [rows, dim + 1]: a vector, then its linear weight. It is updated in place.
    """

    def __init__(self, weight: np.ndarray):
        self.weight = np.ascontiguousarray(weight, np.float32)
        self._moments = np.zeros((len(weight), 2, weight.shape[1]), np.float32)  # of one row side by side in memory
        self._slot = np.full(len(weight), -1, np.int32)  # where a row's gradient of this batch is gathered
        self._step = 0

    def lookup(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vectors float32 [n, fields, dim] and linear weights float32 [n, fields] of rows [n, fields]."""
        count, fields = rows.shape
        vectors = np.empty((count, fields, self.weight.shape[1] - 1), np.float32)
        weights = np.empty((count, fields), np.float32)
        _lookup(self.weight, rows, vectors, weights)
        return vectors, weights

    def step(self, rows: np.ndarray, vectors: np.ndarray, weights: np.ndarray, learning_rate: float) -> None:
        """One step of Adam on the rows of a batch.

        Args:
            rows: [n, fields], as given to `lookup`.
            vectors, weights: gradients of what `lookup` returned.
            learning_rate: of this step.
        """
        self._step += 1
        rate = learning_rate * math.sqrt(-math.expm1(self._step * math.log(BETA2))) / -math.expm1(self._step * math.log(BETA1))
        epsilon = EPSILON * math.sqrt(-math.expm1(self._step * math.log(BETA2)))
        _step(self.weight, self._moments, self._slot, rows, vectors, weights, np.float32(rate), np.float32(epsilon))


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
def _step(table, moments, slot, rows, vectors, weights, rate, epsilon):  # type: ignore[no-untyped-def]
    dim = vectors.shape[2]
    touched = np.empty(rows.size, rows.dtype)
    gradient = np.zeros((rows.size, dim + 1), np.float32)
    count = 0
    for i in range(rows.shape[0]):
        for f in range(rows.shape[1]):
            row = rows[i, f]
            place = slot[row]
            if place < 0:
                place = count
                slot[row] = place
                touched[place] = row
                count += 1
            for d in range(dim):
                gradient[place, d] += vectors[i, f, d]
            gradient[place, dim] += weights[i, f]
    beta1, beta2, one = np.float32(BETA1), np.float32(BETA2), np.float32(1)
    for place in range(count):
        row = touched[place]
        slot[row] = -1
        for d in range(dim + 1):
            g = gradient[place, d]
            first = beta1 * moments[row, 0, d] + (one - beta1) * g
            second = beta2 * moments[row, 1, d] + (one - beta2) * g * g
            moments[row, 0, d] = first
            moments[row, 1, d] = second
            table[row, d] -= rate * first / (np.sqrt(second) + epsilon)
