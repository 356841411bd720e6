"""From 64-bit ids to rows of the embedding table.

Every field has rows of its own, as the tutorial has a table a field: the same hash in two fields is two rows. A field's first row is
for ids that training never saw; its known ids follow in ascending order, so that a binary search finds them. A numeric field has one
row, which the model scales by the field's value.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from jdrec.features.spec import Encoding

_MIN_PARALLEL = 100_000  # ids; below this, threads cost more than they save


class Vocabulary:
    """Known ids of every field.

    Args:
        names: the fields' names, in the model's order.
        encodings: their encodings.
        ids: for each field its known ids, int64, ascending and distinct; empty for a numeric field.
    """

    def __init__(self, names: tuple[str, ...], encodings: tuple[Encoding, ...], ids: tuple[np.ndarray, ...]):
        self.names, self.encodings, self.ids = names, encodings, ids
        self.sizes = np.array([1 + len(known) for known in ids], np.int64)  # rows of each field
        self.offsets = np.cumsum(self.sizes) - self.sizes  # its first row: that of unseen ids
        self.rows = int(self.sizes.sum())
        self.row_type = np.int32 if self.rows < 2**31 else np.int64

    @classmethod
    def learn(
        cls, names: tuple[str, ...], encodings: tuple[Encoding, ...], columns: tuple[np.ndarray, ...], min_count: int = 1
    ) -> Vocabulary:
        """The ids that occur at least `min_count` times in the training split.

        Args:
            names: the fields' names.
            encodings: their encodings.
            columns: a field's values in the training split; int64 ids, ignored for a numeric field.
            min_count: rarer ids share the row of unseen ids, which they train.
        """

        def known(i: int) -> np.ndarray:
            if encodings[i] is Encoding.NUMERIC:
                return np.empty(0, np.int64)
            if min_count == 1:
                return np.unique(columns[i])
            ids, counts = np.unique(columns[i], return_counts=True)
            return ids[counts >= min_count]

        return cls(names, encodings, tuple(_in_threads(known, range(len(names)), sum(map(len, columns)))))

    @property
    def numeric(self) -> tuple[int, ...]:
        """Positions of the numeric fields."""
        return tuple(i for i, encoding in enumerate(self.encodings) if encoding is Encoding.NUMERIC)

    def rows_of(self, columns: tuple[np.ndarray, ...]) -> np.ndarray:
        """Rows of the embedding table.

        Args:
            columns: a field's int64 ids, one array a field; what a numeric field has is ignored.

        Returns:
            int32 (int64 for more than 2^31 rows) [len(columns[0]), fields], C-contiguous.
        """
        count = len(columns[0])
        result = np.empty((count, len(self.ids)), self.row_type)

        def fill(i: int) -> None:
            result[:, i] = self._rows_of_field(i, columns[i])

        _in_threads(fill, range(len(self.ids)), count * len(self.ids))
        return result

    def _rows_of_field(self, i: int, ids: np.ndarray) -> Any:
        known, offset = self.ids[i], self.offsets[i]
        if len(known) == 0:  # numeric, or nothing known
            return offset
        place = np.searchsorted(known, ids)
        found = known[np.minimum(place, len(known) - 1)] == ids
        return offset + np.where(found, place + 1, 0)

    def row_ids(self) -> np.ndarray:
        """The id of every row, int64 [rows]; a row of unseen ids or of a numeric field has -(field + 1)."""
        return np.concatenate([np.concatenate(([-(i + 1)], known)) for i, known in enumerate(self.ids)])

    def flat(self) -> np.ndarray:
        """All known ids one field after the other, int64 [rows - fields]: how a checkpoint stores them."""
        return np.concatenate(self.ids) if self.ids else np.empty(0, np.int64)

    @classmethod
    def from_flat(cls, names: tuple[str, ...], encodings: tuple[Encoding, ...], counts: Iterable[int], flat: np.ndarray) -> Vocabulary:
        """The inverse of `flat`; `counts` are the known ids of each field."""
        ends = np.cumsum(list(counts))
        return cls(names, encodings, tuple(np.split(flat, ends[:-1])))


def _in_threads(function: Callable[[int], Any], items: Iterable[int], work: int) -> list[Any]:
    if work < _MIN_PARALLEL:
        return [function(item) for item in items]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()) as pool:
        return list(pool.map(function, items))
