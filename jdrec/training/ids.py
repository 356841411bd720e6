"""Counting 64-bit ids and finding their places: the two operations that reading samples spends its time on, replaceable as one object."""

from __future__ import annotations

from typing import Any, Protocol

import numba
import numpy as np

from jdrec.training.counter import HostCounter

_CHUNK = 512  # ids whose first places are fetched before any is compared: independent loads wait for memory together
_SHOWN = 7  # ids in a line
_SHARE = 3  # ids that share a line in the mean: of four in a hundred ids more than seven share it
_GREATEST = np.int64(2**63 - 1)


class Counter(Protocol):
    """Which ids came, and how often."""

    def update(self, ids: np.ndarray, counts: np.ndarray) -> None:
        """Adds int64 [n] ids and how often each came, int64 [n]; one that came 0 times is none."""

    def items(self) -> tuple[np.ndarray, np.ndarray]:
        """(distinct ids int64 [k] ascending, how often each came int64 [k])."""

    def clear(self) -> None:
        """Forgets all, for another field."""


class Finder(Protocol):
    """Places of known ids."""

    def rows(self, ids: np.ndarray, first: int, out: np.ndarray) -> None:
        """Writes the row of each id: `first` for one that is not known, else first + 1 + its place among the known ones. Several threads may ask.

        Args:
            ids: int64 [n].
            out: int32 or int64 [n], any strides.
        """


class Ids(Protocol):
    """A way to count and to find ids."""

    def counter(self) -> Counter: ...

    def finder(self, known: np.ndarray) -> Finder:
        """Of `known`, int64 [k] ascending and distinct."""


class HostIds:
    """Compiled, on the processor."""

    def counter(self) -> Counter:
        return HostCounter()

    def finder(self, known: np.ndarray) -> Finder:
        return HostFinder(known)


class HostFinder:
    """A search that starts, and mostly ends, in the cache line where an id would lie if ids were spread evenly, as hashes are; about 21 bytes a known id.

    The range of the ids is cut into equal parts, three times fewer than ids. A part's line of 64 bytes holds the place of its first id, how many it has, and the
    first seven of them; where there are more, a binary search goes on among the known ids.
    """

    def __init__(self, known: np.ndarray):
        self._known = np.ascontiguousarray(known, np.int64)
        span = int(known[-1]) - int(known[0]) if len(known) else 0
        self._shift = np.uint64(max(0, span.bit_length() - 32))
        self._lines = _aligned(len(known) // _SHARE + 1)
        _begin(self._known, self._lines, self._shift)

    def rows(self, ids: np.ndarray, first: int, out: np.ndarray) -> None:
        if len(self._known):
            _rows(self._known, self._lines, self._shift, ids, first, out)
        else:
            out[...] = first


def _aligned(lines: int) -> Any:
    """int64 [lines, 8], each line of the array in one of the processor's."""
    room = np.empty(8 * (lines + 1), np.int64)
    start = -room.ctypes.data % 64 // 8
    return room[start : start + 8 * lines].reshape(lines, 8)


@numba.njit(cache=True, nogil=True, inline="always")
def _line(value, low, shift, lines):  # type: ignore[no-untyped-def]
    """The line of a value within the range: of 32 bits of its distance from the least one, `lines` equal parts."""
    return np.int64((((np.uint64(value) - low) >> shift) * np.uint64(lines)) >> np.uint64(32))


@numba.njit(cache=True, nogil=True)
def _begin(known, lines, shift):  # type: ignore[no-untyped-def]
    """A line's first number is place << 32 | count."""
    low, count, at = np.uint64(known[0]) if known.size else np.uint64(0), lines.shape[0], 0
    for line in range(count):
        first = at
        while at < known.size and _line(known[at], low, shift, count) == line:
            if at - first < _SHOWN:
                lines[line, 1 + at - first] = known[at]
            at += 1
        lines[line, 0] = first << 32 | (at - first)
        for k in range(at - first, _SHOWN):
            lines[line, 1 + k] = _GREATEST


@numba.njit(cache=True, nogil=True)
def _rows(known, lines, shift, ids, row, out):  # type: ignore[no-untyped-def]
    least, greatest, count = known[0], known[known.size - 1], lines.shape[0]
    low = np.uint64(least)
    heads, places = np.empty(_CHUNK, np.int64), np.empty(_CHUNK, np.int64)
    for begin in range(0, ids.size, _CHUNK):
        size = min(_CHUNK, ids.size - begin)
        for j in range(size):  # no step waits for another one
            line = _line(min(max(ids[begin + j], least), greatest), low, shift, count)
            places[j], heads[j] = line, lines[line, 0]
        for j in range(size):
            value, line, first, inside = ids[begin + j], places[j], heads[j] >> 32, heads[j] & 0xFFFFFFFF
            smaller = 0
            for k in range(_SHOWN):
                smaller += lines[line, 1 + k] < value
            if smaller < min(inside, _SHOWN):
                found = lines[line, 1 + smaller] == value
            elif inside > _SHOWN:
                smaller += np.searchsorted(known[first + _SHOWN : first + inside], value)
                found = smaller < inside and known[first + smaller] == value
            else:
                found = False
            out[begin + j] = row + 1 + first + smaller if found else row
