"""A hash table of 64-bit ids, compiled: which there are.

Open addressing with linear probing over a plain array; an insert is mostly one cache line. Imported only where there is enough to count
(Numba costs start-up).
"""

from __future__ import annotations

import numpy as np
from numba import njit

_FIRST = 1 << 10  # slots
_LOAD = 0.6  # share of the slots that may be used before the table doubles
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads ids that are no hashes


class IdTable:
    """Distinct ids of a stream, 13 to 27 bytes an id; half as much again for a moment when it grows."""

    def __init__(self) -> None:
        self._keys = np.zeros(_FIRST, np.int64)  # 0 is an empty slot; the id 0 is kept beside the table
        self._used, self._zero = 0, False

    def __len__(self) -> int:
        return self._used + self._zero

    def update(self, ids: np.ndarray) -> None:
        """Adds int64 [n]."""
        position = 0
        while position < len(ids):
            limit = int(_LOAD * len(self._keys))
            position, self._used, zero = _insert(self._keys, ids, position, self._used, limit, _shift(self._keys))
            self._zero |= zero
            if self._used >= limit:
                keys = np.zeros(2 * len(self._keys), np.int64)
                _insert(keys, self._keys, 0, 0, len(keys), _shift(keys))
                self._keys = keys


def _shift(keys: np.ndarray) -> np.uint64:
    return np.uint64(65 - len(keys).bit_length())


@njit(cache=True, nogil=True)
def _insert(keys, ids, position, used, limit, shift):  # type: ignore[no-untyped-def]
    """Inserts ids[position:] until the table is full: (where it stopped, slots used, whether it met a zero)."""
    zero, mask = False, keys.size - 1
    while position < ids.size and used < limit:
        key = ids[position]
        position += 1
        if key == 0:
            zero = True
            continue
        slot = np.int64((np.uint64(key) * _GOLDEN) >> shift)
        while keys[slot] != key and keys[slot] != 0:
            slot = (slot + 1) & mask
        if keys[slot] == 0:
            keys[slot] = key
            used += 1
    return position, used, zero
