"""From 64-bit ids to rows of the embedding table: docs/training.md, "From an id to a row".

Every field has rows of its own, as the tutorial has a table a field: the same hash in two fields is two rows. A field's first row is
for ids that training never saw; its known ids follow in ascending order, so that a binary search finds them. A numeric field has one
row, which the model scales by the field's value. The values of a multi-valued field share its rows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np

from jdrec.features.spec import NO_VALUE, Encoding
from jdrec.system import cores

_FEW = 4  # ids of a field; below this, NumPy's calls cost more than looking them up one by one
_MIN_PARALLEL = 100_000  # ids; below this, threads cost more than they save


class Vocabulary:
    """Known ids of every field.

    Args:
        names: the fields' names, in the model's order.
        encodings: their encodings.
        ids: for each field its known ids, int64, ascending and distinct; empty for a numeric field.
        slots: columns of each field; 1 each by default.
        counts: for each field how often each known id came in the training split, int64; None where that is not known, as in a checkpoint.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        encodings: tuple[Encoding, ...],
        ids: tuple[np.ndarray, ...],
        slots: tuple[int, ...] | None = None,
        counts: tuple[np.ndarray, ...] | None = None,
    ):
        self.names, self.encodings, self.ids, self.counts = names, encodings, ids, counts
        self.slots = slots or (1,) * len(names)
        self.sizes = np.array([1 + len(known) for known in ids], np.int64)  # rows of each field
        self.offsets = np.cumsum(self.sizes) - self.sizes  # its first row: that of unseen ids
        self.first_columns = np.cumsum(self.slots) - self.slots  # of each field
        self.rows = int(self.sizes.sum())
        self.row_type = np.int32 if self.rows < 2**31 else np.int64

    @classmethod
    def learn(
        cls,
        names: tuple[str, ...],
        encodings: tuple[Encoding, ...],
        columns: tuple[np.ndarray, ...],
        min_count: int = 1,
        slots: tuple[int, ...] | None = None,
        most_rows: int | None = None,
        known: Vocabulary | None = None,
    ) -> Vocabulary:
        """The ids that occur at least `min_count` times in the training split.

        Args:
            names: the fields' names.
            encodings: their encodings.
            columns: a field's values in the training split: int64 ids [n] or [n, slots], ignored for a numeric field.
            min_count: rarer ids share the row of unseen ids, which they train.
            slots: columns of each field.
            most_rows: of the table; where there would be more, the ids that are rarest over all fields lose theirs. Of equally rare ids
                either all stay or none.
            known: ids of an earlier vocabulary with the same fields, which all keep a row.
        """

        def count(i: int) -> tuple[np.ndarray, np.ndarray]:
            if encodings[i] is Encoding.NUMERIC:
                return np.empty(0, np.int64), np.empty(0, np.int64)
            return np.unique(columns[i], return_counts=True)

        found = _in_threads(count, range(len(names)), sum(map(np.size, columns)))
        return cls.of_counts(names, encodings, found, min_count, slots, most_rows, known)

    @classmethod
    def of_counts(
        cls,
        names: tuple[str, ...],
        encodings: tuple[Encoding, ...],
        found: list[tuple[np.ndarray, np.ndarray]],
        min_count: int = 1,
        slots: tuple[int, ...] | None = None,
        most_rows: int | None = None,
        known: Vocabulary | None = None,
    ) -> Vocabulary:
        """As `learn`, from what each field's values in the training split are: distinct ids int64 [k] ascending, and how often each came."""
        frequent = []
        for i, (ids, counts) in enumerate(found):
            kept = counts >= min_count
            if slots is not None and slots[i] > 1:
                kept &= ids != NO_VALUE
            frequent.append((ids, counts) if kept.all() else (ids[kept], counts[kept]))
        result = frequent
        if most_rows is not None:
            least = _least_count(np.concatenate([counts for _, counts in frequent]), most_rows - len(names))
            result = [(ids[counts >= least], counts[counts >= least]) for ids, counts in frequent]
        if known is not None:
            result = [_with(ids, counts, before) for (ids, counts), before in zip(result, known.ids, strict=True)]
        return cls(names, encodings, tuple(ids for ids, _ in result), slots, tuple(counts for _, counts in result))

    @property
    def numeric_fields(self) -> tuple[int, ...]:
        """Positions of the numeric fields."""
        return tuple(i for i, encoding in enumerate(self.encodings) if encoding is Encoding.NUMERIC)

    @property
    def numeric(self) -> tuple[int, ...]:
        """Columns of the numeric fields."""
        return tuple(int(self.first_columns[i]) for i in self.numeric_fields)

    def columns_of(self, ids: np.ndarray) -> tuple[np.ndarray, ...]:
        """A matrix [n, columns] taken apart: a field's [n], or [n, slots]."""
        return tuple(
            ids[:, first] if slots == 1 else ids[:, first : first + slots]
            for first, slots in zip(self.first_columns.tolist(), self.slots, strict=True)
        )

    def rows_of(self, columns: tuple[np.ndarray, ...]) -> np.ndarray:
        """Rows of the embedding table.

        Args:
            columns: a field's int64 ids, [n] or [n, slots]; what a numeric field has is ignored.

        Returns:
            int32 (int64 for more than 2^31 rows) [n, columns], C-contiguous. A slot without a value has the row of unseen ids.
        """
        count = len(columns[0])
        result = np.empty((count, sum(self.slots)), self.row_type)

        def fill(i: int) -> None:
            first, slots = self.first_columns[i], self.slots[i]
            rows = self._rows_of_field(i, columns[i])
            if slots == 1:
                result[:, first] = rows
            else:
                result[:, first : first + slots] = rows

        _in_threads(fill, range(len(self.ids)), result.size)
        return result

    @cached_property
    def _views(self) -> list[memoryview]:
        return [memoryview(np.ascontiguousarray(known)) for known in self.ids]  # type: ignore[arg-type]

    def _rows_of_field(self, i: int, ids: np.ndarray) -> Any:
        known, offset = self.ids[i], self.offsets[i]
        if len(known) == 0:  # numeric, or nothing known
            return offset
        if ids.size <= _FEW and ids.ndim == 1:
            view = self._views[i]
            places = ((bisect_left(view, value), value) for value in ids.tolist())
            return [int(offset) + (place + 1 if place < len(view) and view[place] == value else 0) for place, value in places]
        place = np.searchsorted(known, ids)
        found = known[np.minimum(place, len(known) - 1)] == ids
        return offset + np.where(found, place + 1, 0)

    def shares(self, columns: tuple[np.ndarray, ...]) -> list[tuple[int, np.ndarray]]:
        """How multi-valued fields are pooled: by their mean.

        Returns:
            For each such field its first column and, float32 [n, slots], 1 / count for its values, 0 for slots without one.
        """
        result = []
        for values, slots, first in zip(columns, self.slots, self.first_columns, strict=True):
            if slots > 1:
                result.append((int(first), shares_of(values)))
        return result

    def rows_in(self, other: Vocabulary) -> np.ndarray:
        """For every row here its row in another vocabulary with the same fields, int64; -1 for an id that the other does not know."""
        result = np.full(self.rows, -1, np.int64)
        for i, (known, offset) in enumerate(zip(self.ids, self.offsets, strict=True)):
            result[offset] = other.offsets[i]
            if len(known):
                rows = np.broadcast_to(other._rows_of_field(i, known), known.shape)
                result[offset + 1 : offset + 1 + len(known)] = np.where(rows == other.offsets[i], -1, rows)
        return result

    def row_ids(self) -> np.ndarray:
        """The id of every row, int64 [rows]; a row of unseen ids or of a numeric field has -(field + 1)."""
        return np.concatenate([np.concatenate(([-(i + 1)], known)) for i, known in enumerate(self.ids)])

    def flat(self) -> np.ndarray:
        """All known ids one field after the other, int64 [rows - fields]: how a checkpoint stores them."""
        return np.concatenate(self.ids) if self.ids else np.empty(0, np.int64)

    @classmethod
    def from_flat(
        cls,
        names: tuple[str, ...],
        encodings: tuple[Encoding, ...],
        counts: Iterable[int],
        flat: np.ndarray,
        slots: tuple[int, ...] | None = None,
    ) -> Vocabulary:
        """The inverse of `flat`; `counts` are the known ids of each field."""
        ends = np.cumsum(list(counts))
        return cls(names, encodings, tuple(np.split(flat, ends[:-1])), slots)


def shares_of(values: np.ndarray) -> np.ndarray:
    """float32 [n, slots]: 1 / count for the values of a list, int64 [n, slots], and 0 for slots without one."""
    used = values != NO_VALUE
    return (used / np.maximum(used.sum(1, keepdims=True), 1)).astype(np.float32)


def _with(ids: np.ndarray, counts: np.ndarray, more: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(ids and `more`, ascending; their counts, 0 for those that are only in `more`)."""
    both = np.union1d(ids, more)
    result = np.zeros(len(both), np.int64)
    result[np.searchsorted(both, ids)] = counts
    return both, result


def _least_count(counts: np.ndarray, most: int) -> int:
    """The least count that leaves at most `most` ids."""
    if len(counts) <= most:
        return 0
    if most <= 0:
        return int(counts.max()) + 1
    ordered = np.sort(counts)[::-1]
    return int(ordered[most]) + 1  # the first one that is too many, and all as rare as it


def _in_threads(function: Callable[[int], Any], items: Iterable[int], work: int) -> list[Any]:
    if work < _MIN_PARALLEL:
        return [function(item) for item in items]
    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(function, items))
