"""Counts ids: one visit of a hash table an id, or an id of a row group where the file has it once there.

Ids are hashes already, so the table needs no other: an id's slot is where it would lie if ids were spread evenly. So the table is nearly in order, and it doubles
and gives out its ids in order by going through it once. Ids that are not spread evenly are soon found out, by the way to a free slot; they are then multiplied.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

_FIRST = 1 << 10  # slots
_LOAD = 0.6  # share of the slots that may be used before the table doubles
_CHUNK = 256  # ids whose slots are fetched before any is looked at: independent loads wait for memory together
_FARTHEST = 512  # slots from where an id would lie; of ids that are spread evenly none of billions is as far
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads ids that are no hashes
_SIGN = np.uint64(1 << 63)  # so that negative ids come first


class HostCounter:
    """How often each id of a stream came, 41 to 81 bytes a distinct id of the largest stream: a table, and room to double it into."""

    def __init__(self) -> None:
        self._rooms = [_room(_FIRST), _room(0)]  # the table lies at the beginning of the first
        self.clear()

    def clear(self) -> None:
        """Forgets all ids, and keeps the memory: to write into fresh memory takes several times as long."""
        self._factor, self._used = np.uint64(1), 0
        self._table = self._rooms[0][:_FIRST]
        self._table.fill(0)

    def __len__(self) -> int:
        return self._used

    def update(self, ids: np.ndarray, counts: np.ndarray) -> None:
        """Adds int64 [n] ids and how often each came, int64 [n]; one that came 0 times is none."""
        position = 0
        while position < len(ids):
            limit = int(_LOAD * len(self._table))
            state = position, self._used, limit
            position, self._used, far = _add(self._table, ids, counts, *state, self._factor, _shift(self._table))
            if far and self._factor == 1:
                self._factor = _GOLDEN
                self._move_to(len(self._table))
            elif self._used >= limit:
                self._move_to(2 * len(self._table))

    def _move_to(self, slots: int) -> None:
        old, room = self._rooms
        if len(room) < slots:
            room = _room(slots)
        table = room[:slots]
        table.fill(0)
        _move(self._table, table, self._factor, _shift(table))
        self._rooms, self._table = [room, old], table

    def items(self) -> tuple[np.ndarray, np.ndarray]:
        """(distinct ids int64 [k] ascending, how often each came int64 [k])."""
        ids, counts = np.empty(self._used, np.int64), np.empty(self._used, np.int64)
        if self._factor == 1:
            _in_order(self._table, ids, counts, _shift(self._table))
            return ids, counts
        found = self._table[self._table[:, 1] != 0]
        return tuple(found[np.argsort(found[:, 0])].T.copy())


def _room(slots: int) -> Any:
    """int64 [slots, 2]: the id of a slot, and how often it came; 0: nothing is there. Not of zeros: NumPy asks for large pages for others alone."""
    return np.empty((slots, 2), np.int64)


def _shift(table: np.ndarray) -> np.uint64:
    return np.uint64(65 - len(table).bit_length())


@numba.njit(cache=True, nogil=True, inline="always")
def _slot(key, factor, shift):  # type: ignore[no-untyped-def]
    return np.int64(((np.uint64(key) ^ _SIGN) * factor) >> shift)


@numba.njit(cache=True, nogil=True)
def _add(table, ids, counts, position, used, limit, factor, shift):  # type: ignore[no-untyped-def]
    """Adds ids[position:] until the table is full or an id's way was far: (where it stopped, slots used, whether it was far)."""
    mask, touched, farthest = table.shape[0] - 1, np.int64(0), np.int64(0)
    slots = np.empty(_CHUNK, np.int64)
    while position < ids.size and used < limit and farthest < _FARTHEST:
        size = min(_CHUNK, ids.size - position, limit - used)
        for j in range(size):
            slot = _slot(ids[position + j], factor, shift)
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
                farthest = max(farthest, (slot - slots[j]) & mask)
            table[slot, 1] += count
        position += size
    slots[0] = touched  # the compiler must not leave the fetching out
    return position, used, farthest >= _FARTHEST


@numba.njit(cache=True, nogil=True)
def _move(old, new, factor, shift):  # type: ignore[no-untyped-def]
    mask = new.shape[0] - 1
    for i in range(old.shape[0]):
        if old[i, 1] != 0:
            slot = _slot(old[i, 0], factor, shift)
            while new[slot, 1] != 0:
                slot = (slot + 1) & mask
            new[slot, 0], new[slot, 1] = old[i, 0], old[i, 1]


@numba.njit(cache=True, nogil=True)
def _in_order(table, ids, counts, shift):  # type: ignore[no-untyped-def]
    """Writes what is in the table in ascending order of the ids, for a factor of 1: an id is at most a few slots after where it belongs."""
    first = 0
    while table[first, 1] != 0:  # what lies before the first free slot may have come around from the end
        first += 1
    size = 0
    for begin, end, around in ((0, first, False), (first, table.shape[0], False), (0, first, True)):
        for slot in range(begin, end):
            key, count, place = table[slot, 0], table[slot, 1], size
            if count == 0 or (_slot(key, np.uint64(1), shift) > slot) != around:
                continue
            while place > 0 and ids[place - 1] > key:
                ids[place], counts[place] = ids[place - 1], counts[place - 1]
                place -= 1
            ids[place], counts[place] = key, count
            size += 1
