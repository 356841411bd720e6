"""Groups: each distinct key that requests ask for gets a number. NULL is a key like any other, of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jdrec.dataset import arrow
from jdrec.engines.embedded.lookup import TextIndex, WordIndex, number
from jdrec.engines.embedded.vector import Vector, codes_of
from jdrec.features.types import SqlType


class Groups:
    """Numbers the distinct keys of some rows. Threads may look others up.

    Args:
        keys: the key columns of the rows that ask.
        rows: how many rows.

    Attributes:
        numbers: int32 [rows], the group of each row.
        count: how many groups there are.
    """

    def __init__(self, keys: Sequence[Vector], rows: int):
        self._parts = [_Part(key.spread(rows)) for key in keys]
        self._pairs: list[WordIndex] = []
        numbers, self.count = self._parts[0].codes.astype(np.int64), self._parts[0].size
        for part in self._parts[1:]:
            pairs = numbers * part.size + part.codes
            known, numbers = np.unique(pairs, return_inverse=True)
            self._pairs.append(WordIndex(known))
            self.count = len(known)
        if self.count >= 2**31:
            raise OverflowError("more than 2**31 distinct keys")
        self.numbers = numbers.astype(np.int32)

    def find(self, keys: Sequence[Vector]) -> np.ndarray:
        """int32: the group of each of other rows, -1 where nobody asks for it."""
        numbers = self._parts[0].find(keys[0])
        for part, known, key in zip(self._parts[1:], self._pairs, keys[1:], strict=True):
            code = part.find(key)
            pairs = numbers.astype(np.int64) * part.size + code
            numbers = np.where((numbers >= 0) & (code >= 0), known.find(pairs), np.int32(-1))
        return numbers


class _Part:
    """One key column: codes of its distinct values; NULL has the last code."""

    def __init__(self, key: Vector):
        self.values: Any
        self._index: Any = None
        if key.type is SqlType.STRING and not hasattr(key.data, "dictionary"):
            self.values, codes, self._index = number(key.data)
        else:
            self.values, codes = key.encoded()
            if key.type is SqlType.STRING:
                self._index = TextIndex(self.values)
            elif key.type is not None and not key.type.is_float:
                self._index = WordIndex(arrow.values_of(self.values, key.type))
        has_null = bool((codes < 0).any())
        self.size = len(self.values) + 1
        self.codes = np.where(codes < 0, np.int32(len(self.values)), codes)
        self._null_code = np.int32(len(self.values) if has_null else -1)
        self._type = key.type

    def find(self, key: Vector) -> np.ndarray:
        if self._index is None or key.type is not self._type:
            values, codes = key.encoded()
            known = arrow.index_in(values, self.values) if len(values) else np.zeros(0, np.int32)
            return np.append(known, self._null_code)[codes]
        if hasattr(key.data, "dictionary"):
            return np.append(self._index.find(key.data.dictionary), self._null_code)[codes_of(key.data)]
        valid = key.is_valid
        found = self._index.find(key.data)
        return found if valid.all() else np.where(valid, found, self._null_code)
