"""Counting 64-bit ids and finding their places: the two operations that reading samples spends its time on, replaceable as one object."""

from __future__ import annotations

from typing import Any, Protocol

import numba
import numpy as np

from jdrec.training.counter import HostCounter

_CHUNK = 512  # ids whose first places are fetched before any is compared: independent loads wait for memory together
_FEW = 8  # ids of a bucket that are compared one by one


class Counter(Protocol):
    """Which ids came, and how often."""

    def update(self, ids: np.ndarray, counts: np.ndarray) -> None:
        """Adds int64 [n] ids and how often each came, int64 [n]; one that came 0 times is none."""

    def items(self) -> tuple[np.ndarray, np.ndarray]:
        """(distinct ids int64 [k] ascending, how often each came int64 [k])."""


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
    """A search that starts where an id would lie if ids were spread evenly, as hashes are; 8 to 16 bytes a known id.

    The range of the ids is cut into two to four times as many equal buckets as there are ids; `starts` says where each bucket begins. Few ids
    share a bucket, or, where ids are not spread evenly, a binary search goes on inside it.
    """

    def __init__(self, known: np.ndarray):
        self._known = np.ascontiguousarray(known, np.int64)
        count = len(known)
        span = int(known[-1]) - int(known[0]) if count else 0
        self._shift = np.uint64(max(0, span.bit_length() - count.bit_length() - 1))
        self._starts: Any = np.empty((span >> int(self._shift)) + 2, np.int32)  # NumPy asks for large pages here, and not for zeros
        self._starts.fill(0)
        _begin(self._known, self._starts, self._shift)

    def rows(self, ids: np.ndarray, first: int, out: np.ndarray) -> None:
        if len(self._known):
            _rows(self._known, self._starts, self._shift, ids, first, out)
        else:
            out[...] = first


@numba.njit(cache=True, nogil=True)
def _begin(known, starts, shift):  # type: ignore[no-untyped-def]
    low, bucket = np.uint64(known[0]) if known.size else np.uint64(0), 0
    for i in range(known.size):
        own = np.int64((np.uint64(known[i]) - low) >> shift)
        while bucket < own:
            bucket += 1
            starts[bucket] = i
    for rest in range(bucket + 1, starts.size):
        starts[rest] = known.size


@numba.njit(cache=True, nogil=True)
def _rows(known, starts, shift, ids, row, out):  # type: ignore[no-untyped-def]
    least, greatest, last = known[0], known[known.size - 1], known.size - 1
    low = np.uint64(least)
    first, end = np.empty(_CHUNK, np.int32), np.empty(_CHUNK, np.int32)
    slow = np.empty(_CHUNK + 1, np.int32)
    for begin in range(0, ids.size, _CHUNK):
        size = min(_CHUNK, ids.size - begin)
        for j in range(size):  # where a search begins; no step waits for another one
            value = min(max(ids[begin + j], least), greatest)
            bucket = np.int64((np.uint64(value) - low) >> shift)
            first[j], end[j] = starts[bucket], starts[bucket + 1]
        rest = 0
        for j in range(size):  # most are the first of their bucket
            at = first[j]
            found = known[min(at, last)] == ids[begin + j]
            out[begin + j] = row + 1 + at if found else row
            slow[rest] = j
            rest += (not found) & (end[j] > at)
        for k in range(rest):
            j = slow[k]
            value, at, stop = ids[begin + j], first[j] + 1, end[j]
            if stop - at > _FEW:
                at += np.searchsorted(known[at:stop], value)
            else:
                while at < stop and known[at] < value:
                    at += 1
            if at < stop and known[at] == value:
                out[begin + j] = row + 1 + at
