"""Groups: each distinct key that requests ask for gets a number. NULL is a key like any other, of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jdrec.dataset import arrow
from jdrec.engines.embedded.vector import Vector


class Groups:
    """Numbers the distinct keys of some rows.

    Args:
        keys: the key columns of the rows that ask.
        rows: how many rows.

    Attributes:
        numbers: int32 [rows], the group of each row.
        count: how many groups there are.
    """

    def __init__(self, keys: Sequence[Vector], rows: int):
        self._parts = [_Part(key.spread(rows)) for key in keys]
        self._pairs: list[np.ndarray] = []
        numbers, self.count = self._parts[0].codes.astype(np.int64), self._parts[0].size
        for part in self._parts[1:]:
            pairs = numbers * part.size + part.codes
            known, numbers = np.unique(pairs, return_inverse=True)
            self._pairs.append(known)
            self.count = len(known)
        if self.count >= 2**31:
            raise OverflowError("more than 2**31 distinct keys")
        self.numbers = numbers.astype(np.int32)

    def find(self, keys: Sequence[Vector]) -> np.ndarray:
        """int32: the group of each of other rows, -1 where nobody asks for it."""
        numbers = self._parts[0].find(keys[0]).astype(np.int64)
        for part, known, key in zip(self._parts[1:], self._pairs, keys[1:], strict=True):
            code = part.find(key)
            pairs = np.where((numbers >= 0) & (code >= 0), numbers * part.size + code, -1)
            place = np.searchsorted(known, pairs)
            place[place == len(known)] = 0
            numbers = np.where(known[place] == pairs, place, -1) if len(known) else np.full(len(pairs), -1)
        return numbers.astype(np.int32)


class _Part:
    """One key column: codes of its distinct values; NULL has the last code."""

    def __init__(self, key: Vector):
        self.values: Any
        self.values, codes = key.encoded()
        self.has_null = bool((codes < 0).any())
        self.size = len(self.values) + 1
        self.codes = np.where(codes < 0, np.int32(len(self.values)), codes)

    def find(self, key: Vector) -> np.ndarray:
        values, codes = key.encoded()
        known = arrow.index_in(values, self.values) if len(values) else np.zeros(0, np.int32)
        return np.append(known, np.int32(len(self.values) if self.has_null else -1))[codes]
