"""Numbers ids by their first appearance and counts them: one visit of a hash table an id.

Frequent ids appear early, so their numbers are small: whatever is looked up by number afterwards lies close together.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

_FIRST = 1 << 10  # slots
_LOAD = 0.6  # share of the slots that may be used before the table doubles
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads ids that are no hashes
_CHUNK = 256  # ids whose slots are fetched before any is looked at: independent loads wait for memory together
_LOW = 0xFFFFFFFF


class HostCoder:
    """Codes of a stream of ids, 27 to 54 bytes a distinct id; twice that for a moment when the table doubles. At most 2^31 of each id."""

    def __init__(self) -> None:
        # A slot is a key and, in one word, how often it came (upper half) and its code (lower half). The id 0 marks an empty slot and is kept beside the table.
        self._table: Any = np.zeros((_FIRST, 2), np.int64)
        self._state = np.array([0, 0, -1], np.int64)  # distinct ids, zeros, code of zero

    def __len__(self) -> int:
        return int(self._state[0])

    def update(self, ids: np.ndarray, out: np.ndarray) -> None:
        """Adds int64 [n] and writes the code of each into `out`, int32 [n] of any strides."""
        position = 0
        while position < len(ids):
            limit = int(_LOAD * len(self._table))
            position = _code(self._table, ids, out, position, limit, _shift(self._table), self._state)
            if self._state[0] >= limit:
                table = np.zeros((2 * len(self._table), 2), np.int64)
                _move(self._table, table, _shift(table))
                self._table = table

    def items(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(distinct ids int64 [k] ascending, how often each came int64 [k], its code int64 [k])."""
        used = self._table[:, 0] != 0
        ids, words = self._table[used].T
        if self._state[1]:
            ids, words = np.append(ids, 0), np.append(words, self._state[1] << 32 | self._state[2])
        order = np.argsort(ids)
        ids, words = ids[order], words[order]
        return ids, words >> 32, words & _LOW


def _shift(table: np.ndarray) -> np.uint64:
    return np.uint64(65 - len(table).bit_length())


@numba.njit(cache=True, nogil=True)
def _code(table, ids, out, position, limit, shift, state):  # type: ignore[no-untyped-def]
    """Codes ids[position:] until the table is full; where it stopped."""
    distinct, mask, touched = state[0], table.shape[0] - 1, np.int64(0)
    slots = np.empty(_CHUNK, np.int64)
    while position < ids.size and distinct < limit:
        size = min(_CHUNK, ids.size - position, limit - distinct)
        for j in range(size):
            slot = np.int64((np.uint64(ids[position + j]) * _GOLDEN) >> shift)
            slots[j] = slot
            touched ^= table[slot, 0]
        for j in range(size):
            key, slot = ids[position + j], slots[j]
            if key == 0:
                if state[2] < 0:
                    state[2] = distinct
                    distinct += 1
                state[1] += 1
                out[position + j] = state[2]
                continue
            while table[slot, 0] != key and table[slot, 0] != 0:
                slot = (slot + 1) & mask
            if table[slot, 0] == 0:
                table[slot, 0], table[slot, 1] = key, distinct
                distinct += 1
            out[position + j] = table[slot, 1] & _LOW
            table[slot, 1] += np.int64(1) << 32
        position += size
    slots[0] = touched  # the compiler must not leave the fetching out
    state[0] = distinct
    return position


@numba.njit(cache=True, nogil=True)
def _move(old, new, shift):  # type: ignore[no-untyped-def]
    mask = new.shape[0] - 1
    for i in range(old.shape[0]):
        key = old[i, 0]
        if key != 0:
            slot = np.int64((np.uint64(key) * _GOLDEN) >> shift)
            while new[slot, 0] != 0:
                slot = (slot + 1) & mask
            new[slot, 0], new[slot, 1] = key, old[i, 1]


@numba.njit(cache=True, nogil=True)
def translate(rows, firsts, table):  # type: ignore[no-untyped-def]
    """rows[i, c] = table[firsts[c] + rows[i, c]], in place.

    Args:
        rows: int32 [n, columns], codes. firsts: int64 [columns], where a column's codes begin. table: int32.
    """
    for i in range(rows.shape[0]):
        for c in range(rows.shape[1]):
            rows[i, c] = table[firsts[c] + rows[i, c]]
