"""The order of values in windows of very many rows, kept while windows slide (see `kernels.sliding`)."""

from __future__ import annotations

import numpy as np

from jdrec.engines.embedded import native
from jdrec.engines.embedded.large import Counted, Windows, address


class Ranked:
    """Rows that count, by their values; of equal ones the newer row comes first. NaN is larger than all numbers.

    Args:
        counted: the rows.
        values: of each row, numbers that order as the values do.
    """

    def __init__(self, counted: Counted, values: np.ndarray):
        self._counted = counted
        self._known, number = np.unique(values, return_inverse=True)
        pairs = counted.group * np.int64(len(self._known)) + number
        self._rows = len(pairs) - 1 - np.argsort(pairs[::-1], kind="stable")
        self._pairs = pairs[self._rows]
        self._ranks = np.empty(len(pairs), np.int32)
        self._ranks[self._rows] = np.arange(len(pairs)) - counted.bases[counted.group]
        self._room = 1 << int(np.diff(counted.bases).max(initial=1)).bit_length()

    def select(
        self, windows: Windows, own: np.ndarray, has_own: np.ndarray, first: np.ndarray, step: np.ndarray, wanted: np.ndarray
    ) -> np.ndarray:
        """Rows by their place in the order of a window.

        Args:
            own: the requests' own values; has_own: bool [windows], which of them count.
            first, step, wanted: int64 [windows]: of each window the places first, first + step, ..., so many.

        Returns:
            int64 [windows, the most wanted]: numbers of rows that count, -1 for the request's own value.
        """
        low, high = self._counted.span(windows)
        group = self._counted.groups_of(windows)
        pair = group * np.int64(len(self._known)) + np.searchsorted(self._known, own)
        bases = self._counted.bases[group]
        before = np.where(has_own, np.searchsorted(self._pairs, pair) - bases, -1)
        width = int(wanted.max(initial=1))
        tree, out = np.zeros(self._room + 1, np.int64), np.empty((len(windows), width), np.int64)
        words = [np.ascontiguousarray(array, np.int64) for array in (low, high, bases, before, first, step, wanted)]
        rows = np.ascontiguousarray(self._rows, np.int64)
        of_windows = [address(array) for array in words]
        arguments = address(self._ranks), address(rows), *of_windows[:4], len(windows), *of_windows[4:]
        native.bulk("select")(*arguments, width, address(tree), self._room, address(out))
        return out
