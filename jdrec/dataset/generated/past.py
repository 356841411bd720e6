"""Sums over what happened before a moment, as a window with a range, a MAXSIZE and the end `0s open` sees them."""

from __future__ import annotations

import numpy as np

MAX_SIZE = 100  # newest rows that a window holds


class Past:
    """Events by group and time.

    Args:
        group: codes int64 [events]; small, since a group and a time share one integer.
        time: seconds int64 [events], not negative.
        values: what is added up, integers [events, n]; sums have its dtype, and are exact.
        span: more than any time, of events and of moments asked for.
    """

    def __init__(self, group: np.ndarray, time: np.ndarray, values: np.ndarray, span: int):
        self._span = span
        key = group * span + time
        order = np.argsort(key, kind="stable")
        self._key = key[order]
        self._before = np.zeros((len(key) + 1, values.shape[1]), values.dtype)  # [i]: sums of the first i events
        np.cumsum(values[order], axis=0, out=self._before[1:], dtype=values.dtype)

    def sums(self, group: np.ndarray, time: np.ndarray, length: int) -> np.ndarray:
        """Sums [moments, n] over time - length <= t < time, of the newest rows that MAXSIZE keeps; group and time are int64 [moments]."""
        end = np.searchsorted(self._key, group * self._span + time)
        start = np.searchsorted(self._key, group * self._span + np.maximum(time - length, 0))
        return self._before[end] - self._before[np.maximum(start, end - MAX_SIZE)]


def common_codes(*columns: np.ndarray) -> list[np.ndarray]:
    """Small codes int64 of the same values in several columns."""
    codes = np.unique(np.concatenate(columns), return_inverse=True)[1].astype(np.int64)
    return np.split(codes, np.cumsum([len(column) for column in columns])[:-1])


def span(*times: np.ndarray) -> int:
    """More than any of the times."""
    return 1 + max(int(time.max(initial=0)) for time in times)
