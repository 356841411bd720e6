"""Counts ids: one visit of a hash table an id, or an id of a row group where the file has it once there."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

_FIRST = 1 << 10  # slots
_LOAD = 0.6  # share of the slots that may be used before the table doubles
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads ids that are no hashes
_CHUNK = 256  # ids whose slots are fetched before any is looked at: independent loads wait for memory together
_FEW = 32  # ids of a bucket that are sorted by insertion


class HostCounter:
    """How often each id of a stream came, 27 to 54 bytes a distinct id; half as much again for a moment when the table doubles."""

    def __init__(self) -> None:
        self._table = _slots(_FIRST)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def update(self, ids: np.ndarray, counts: np.ndarray) -> None:
        """Adds int64 [n] ids and how often each came, int64 [n]; one that came 0 times is none."""
        position = 0
        while position < len(ids):
            limit = int(_LOAD * len(self._table))
            position, self._used = _add(self._table, ids, counts, position, self._used, limit, _shift(self._table))
            if self._used >= limit:
                table = _slots(2 * len(self._table))
                _move(self._table, table, _shift(table))
                self._table = table

    def items(self) -> tuple[np.ndarray, np.ndarray]:
        """(distinct ids int64 [k] ascending, how often each came int64 [k])."""
        ids, counts = np.empty(self._used, np.int64), np.empty(self._used, np.int64)
        if self._used:
            _sort(self._table, np.empty((self._used, 2), np.int64), ids, counts)
        return ids, counts


def _slots(count: int) -> Any:
    """int64 [count, 2]: the id of a slot, and how often it came; 0: nothing is there."""
    result = np.empty(
        (count, 2), np.int64
    )  # not zeros: NumPy asks for large pages here alone, which a table much larger than the caches needs
    result.fill(0)
    return result


def _shift(table: np.ndarray) -> np.uint64:
    return np.uint64(65 - len(table).bit_length())


@numba.njit(cache=True, nogil=True)
def _add(table, ids, counts, position, used, limit, shift):  # type: ignore[no-untyped-def]
    """Adds ids[position:] until the table is full: (where it stopped, slots used)."""
    mask, touched = table.shape[0] - 1, np.int64(0)
    slots = np.empty(_CHUNK, np.int64)
    while position < ids.size and used < limit:
        size = min(_CHUNK, ids.size - position, limit - used)
        for j in range(size):
            slot = np.int64((np.uint64(ids[position + j]) * _GOLDEN) >> shift)
            slots[j] = slot
            touched ^= table[slot, 0]
        for j in range(size):
            key, slot, count = ids[position + j], slots[j], counts[position + j]
            if count == 0:
                continue
            while table[slot, 0] != key and table[slot, 1] != 0:
                slot = (slot + 1) & mask
            if table[slot, 1] == 0:
                table[slot, 0] = key
                used += 1
            table[slot, 1] += count
        position += size
    slots[0] = touched  # the compiler must not leave the fetching out
    return position, used


@numba.njit(cache=True, nogil=True)
def _move(old, new, shift):  # type: ignore[no-untyped-def]
    mask = new.shape[0] - 1
    for i in range(old.shape[0]):
        if old[i, 1] != 0:
            slot = np.int64((np.uint64(old[i, 0]) * _GOLDEN) >> shift)
            while new[slot, 1] != 0:
                slot = (slot + 1) & mask
            new[slot] = old[i]


@numba.njit(cache=True, nogil=True)
def _sort(table, pairs, ids, counts):  # type: ignore[no-untyped-def]
    """Writes what is in the table in ascending order of the ids. Hashes are spread evenly, so a few of them share each of many equal parts of their range."""
    least, greatest = np.int64(0x7FFFFFFFFFFFFFFF), np.int64(-0x8000000000000000)
    for slot in range(table.shape[0]):
        if table[slot, 1] != 0:
            least, greatest = min(least, table[slot, 0]), max(greatest, table[slot, 0])
    low, span = np.uint64(least), np.uint64(greatest) - np.uint64(least)
    shift = np.uint64(0)
    while np.int64(span >> shift >> np.uint64(1)) > ids.size // 2:
        shift += np.uint64(1)
    ends = np.zeros(np.int64(span >> shift) + 1, np.int64)
    for slot in range(table.shape[0]):
        if table[slot, 1] != 0:
            ends[np.int64((np.uint64(table[slot, 0]) - low) >> shift)] += 1
    total = 0
    for part in range(ends.size):  # where it begins; once all ids are in their parts, where it ends
        size = ends[part]
        ends[part] = total
        total += size
    for slot in range(table.shape[0]):
        if table[slot, 1] != 0:
            part = np.int64((np.uint64(table[slot, 0]) - low) >> shift)
            pairs[ends[part], 0], pairs[ends[part], 1] = table[slot, 0], table[slot, 1]
            ends[part] += 1
    begin = 0
    for end in ends:
        if end - begin > _FEW:
            pairs[begin:end] = pairs[begin:end][np.argsort(pairs[begin:end, 0])]
        else:
            for i in range(begin + 1, end):
                key, count, place = pairs[i, 0], pairs[i, 1], i
                while place > begin and pairs[place - 1, 0] > key:
                    pairs[place, 0], pairs[place, 1] = pairs[place - 1, 0], pairs[place - 1, 1]
                    place -= 1
                pairs[place, 0], pairs[place, 1] = key, count
        begin = end
    for i in range(ids.size):
        ids[i], counts[i] = pairs[i, 0], pairs[i, 1]
