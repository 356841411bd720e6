"""A hash table of 64-bit ids, compiled: which there are, and how often each came.

Open addressing with linear probing over two plain arrays; an insert is one or two cache lines. Imported only where there is enough to count
(Numba costs start-up).
"""

from __future__ import annotations

import numpy as np
from numba import njit

_FIRST = 1 << 10  # slots
_LOAD = 0.6  # share of the slots that may be used before the table doubles
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads ids that are no hashes


class IdTable:
    """Distinct ids of a stream, 13 to 27 bytes an id, or 27 to 54 with counts; twice that for a moment when it grows.

    Args:
        counting: whether to count how often each came.
    """

    def __init__(self, counting: bool = False):
        self._keys = np.zeros(_FIRST, np.int64)  # 0 is an empty slot; the id 0 is kept beside the table
        self._counts = np.zeros(_FIRST if counting else 0, np.int64)
        self._used = self._zeros = 0

    def __len__(self) -> int:
        return self._used + (self._zeros > 0)

    def update(self, ids: np.ndarray) -> None:
        """Adds int64 [n]."""
        ids = np.ascontiguousarray(ids).reshape(-1)
        position = 0
        while position < len(ids):
            limit = int(_LOAD * len(self._keys))
            position, self._used, zeros = _insert(self._keys, self._counts, ids, position, self._used, limit, _shift(self._keys))
            self._zeros += zeros
            if self._used >= limit:
                self._grow()

    def items(self) -> tuple[np.ndarray, np.ndarray]:
        """(ids int64 [k] ascending, how often each came int64 [k]); the second is empty without counting."""
        used = self._keys != 0
        ids = self._keys[used]
        if not len(self._counts):
            ids.sort()
            return (np.insert(ids, np.searchsorted(ids, 0), 0) if self._zeros else ids), self._counts
        order = np.argsort(ids)
        ids, counts = ids[order], self._counts[used][order]
        if self._zeros:
            place = np.searchsorted(ids, 0)
            ids, counts = np.insert(ids, place, 0), np.insert(counts, place, self._zeros)
        return ids, counts

    def _grow(self) -> None:
        keys, counts = np.zeros(2 * len(self._keys), np.int64), np.zeros(2 * len(self._counts), np.int64)
        _move(self._keys, self._counts, keys, counts, _shift(keys))
        self._keys, self._counts = keys, counts


def _shift(keys: np.ndarray) -> np.uint64:
    return np.uint64(65 - len(keys).bit_length())


@njit(inline="always")
def _slot(keys, key, shift):  # type: ignore[no-untyped-def]
    slot = np.int64((np.uint64(key) * _GOLDEN) >> shift)
    while keys[slot] != key and keys[slot] != 0:
        slot = (slot + 1) & (keys.size - 1)
    return slot


@njit(cache=True, nogil=True)
def _insert(keys, counts, ids, position, used, limit, shift):  # type: ignore[no-untyped-def]
    """Inserts ids[position:] until the table is full: (where it stopped, slots used, zeros met)."""
    counting, zeros = counts.size > 0, 0
    while position < ids.size and used < limit:
        key = ids[position]
        position += 1
        if key == 0:
            zeros += 1
            continue
        slot = _slot(keys, key, shift)
        if keys[slot] == 0:
            keys[slot] = key
            used += 1
        if counting:
            counts[slot] += 1
    return position, used, zeros


@njit(cache=True, nogil=True)
def _move(old_keys, old_counts, keys, counts, shift):  # type: ignore[no-untyped-def]
    counting = counts.size > 0
    for i in range(old_keys.size):
        if old_keys[i] != 0:
            slot = _slot(keys, old_keys[i], shift)
            keys[slot] = old_keys[i]
            if counting:
                counts[slot] = old_counts[i]
