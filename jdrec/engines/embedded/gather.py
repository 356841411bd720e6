"""A store's columns, collected from parts of its tables: narrow while rows still come, then packed into rows of words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jdrec.dataset import arrow
from jdrec.engines.embedded.lookup import number
from jdrec.engines.embedded.stores import Dictionary, Encoded
from jdrec.engines.embedded.vector import Vector
from jdrec.features.types import SqlType

_MANY = 1 << 22  # distinct strings of single parts that wait to be merged


class Values:
    """A part's values: storage values, or the narrowest codes of its own distinct strings (-1: NULL)."""

    def __init__(self, vector: Vector, rows: int, kept: np.ndarray | None):
        self.strings: Any = None
        self.valid: np.ndarray | None = None
        if vector.type is SqlType.STRING:
            self.strings, codes = vector.encoded()
            data = codes.astype(_narrowest(len(self.strings)))
        else:
            data, self.valid = vector.data, vector.valid
        if vector.constant:
            data = np.repeat(data, rows if kept is None else len(kept))
            self.valid = None if self.valid is None else np.repeat(self.valid, len(data))
        elif kept is not None:
            data, self.valid = data[kept], None if self.valid is None else self.valid[kept]
        self.data = data


class Numbers:
    """A column of numbers, times or booleans."""

    dictionary = None

    def __init__(self, type_: SqlType, parts: Sequence[Values]):
        self.type = type_
        self.dtype = np.dtype(arrow.STORAGE[type_])
        self.has_nulls = any(part.valid is not None for part in parts)

    def data_of(self, number: int, part: Values) -> np.ndarray:
        """What is kept of the part with this number."""
        return part.data

    def encoded(self, data: np.ndarray, valid: np.ndarray | None, constant: bool = False) -> Encoded:
        """Of kept data, what the kernels read."""
        return Encoded(self.type, data, valid, constant)


class Texts:
    """A column of strings: codes of one dictionary.

    Args:
        parts: of the whole column; they give their strings up.
        is_ordered: codes are in order of the strings' bytes.
    """

    type = SqlType.STRING
    has_nulls = False  # their code is -1

    def __init__(self, parts: Sequence[Values], is_ordered: bool):
        self._known: Any = None
        self._codes: list[np.ndarray] = []  # of each part's strings among the known ones
        waiting: list[Any] = []
        for part in parts:
            waiting.append(part.strings)
            part.strings = None
            if sum(map(len, waiting)) > _MANY:
                self._merge(waiting)
                waiting = []
        self._merge(waiting)
        if is_ordered:
            order = arrow.sort_order(self._known)
            self._known = arrow.take(self._known, order)
            rank = np.empty(len(order), np.int32)
            rank[order] = np.arange(len(order), dtype=np.int32)
            self._codes = [rank[codes] for codes in self._codes]
        self.dictionary = Dictionary(self._known)
        self.dtype = np.dtype(_narrowest(len(self._known)))

    def data_of(self, number: int, part: Values) -> np.ndarray:
        return np.append(self._codes[number], np.int32(-1)).astype(self.dtype)[part.data]

    def encoded(self, data: np.ndarray, valid: np.ndarray | None, constant: bool = False) -> Encoded:
        return Encoded(SqlType.STRING, data.astype(np.int32, copy=False), None, constant)

    def _merge(self, waiting: list[Any]) -> None:
        import pyarrow as pa

        parts = waiting if self._known is None else [self._known, *waiting]
        every = arrow.one_chunk(pa.chunked_array(parts, pa.string()))
        self._known, codes, _ = number(every)
        pieces = np.split(codes, np.cumsum([len(part) for part in parts])[:-1])
        self._codes += pieces[len(parts) - len(waiting) :] if waiting else []


Column = Numbers | Texts


class Layout:
    """Where the columns' values lie in a row of words, so that a row is moved as a whole.

    Attributes:
        width: int64 words of a row.
    """

    def __init__(self, columns: Sequence[Column]):
        self._columns = columns
        self._values, self._valid = [0] * len(columns), [0] * len(columns)  # where each lies, in bytes
        end = 0
        for place in sorted(range(len(columns)), key=lambda place: -columns[place].dtype.itemsize):  # at multiples of their size
            self._values[place] = end
            end += columns[place].dtype.itemsize
        for place, column in enumerate(columns):
            self._valid[place] = end
            end += int(column.has_nulls)
        self.width = -(-end // 8)

    def pack(self, number: int, values: Sequence[Values], rows: int) -> np.ndarray:
        """int64 [rows, width] of a part's values; the part gives them up."""
        words = np.zeros((rows, self.width), np.int64)
        for column, part, place, valid in zip(self._columns, values, self._values, self._valid, strict=True):
            self._cells(words, place, column.dtype)[:] = column.data_of(number, part)
            if column.has_nulls:
                self._cells(words, valid, np.dtype(np.uint8))[:] = 1 if part.valid is None else part.valid
            part.data, part.valid = part.data[:0], None
        return words

    def unpack(self, number: int, words: np.ndarray, rows: np.ndarray) -> Encoded:
        """One column of packed rows, in another order."""
        column, place, valid = self._columns[number], self._values[number], self._valid[number]
        validity = self._cells(words, valid, np.dtype(np.uint8))[rows] if column.has_nulls else None
        return column.encoded(self._cells(words, place, column.dtype)[rows], validity)

    def _cells(self, words: np.ndarray, place: int, dtype: np.dtype[Any]) -> np.ndarray:
        return np.ndarray(len(words), dtype, words.data, place, (8 * self.width,)) if len(words) else np.zeros(0, dtype)


def _narrowest(count: int) -> Any:
    return np.int8 if count <= 2**7 else np.int16 if count <= 2**15 else np.int32
