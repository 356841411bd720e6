"""Categories in windows of very many rows: how often each is there and what its values add up to, kept while windows slide (see `kernels.sliding`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jdrec.engines.embedded import native
from jdrec.engines.embedded.large import Counted, Windows, address
from jdrec.engines.embedded.layout import ABSENT, Choice, Statistic
from jdrec.engines.embedded.layout import Categories as Task


@dataclass(frozen=True)
class Chosen:
    """Categories of windows, one window after the other, each in the order that was asked for.

    Attributes:
        sizes: int64 [windows], how many of each.
        window, place: int64 [categories]: which window, and where among its.
        category: int64 [categories], the key.
        counts, sums: int64 [categories].
    """

    sizes: np.ndarray
    window: np.ndarray
    place: np.ndarray
    category: np.ndarray
    counts: np.ndarray
    sums: np.ndarray


class Categories:
    """The categories of rows that count.

    Args:
        counted: the rows.
        keys: int64 [rows], each row's category; they order as categories do.
        is_one: bool [rows]: False for rows in no category.
        adds: int64 [rows], what each row adds to its category's sum.
    """

    def __init__(self, counted: Counted, keys: np.ndarray, is_one: np.ndarray | None = None, adds: np.ndarray | None = None):
        self._counted = counted
        self._known, number = np.unique(keys, return_inverse=True)
        pairs = counted.group * np.int64(len(self._known)) + number
        self._pairs = np.unique(pairs if is_one is None else pairs[is_one])
        groups = np.arange(len(counted.bases)) * np.int64(len(self._known))
        self._begins = np.searchsorted(self._pairs, groups)  # of each group among the pairs
        place = np.searchsorted(self._pairs, pairs) - self._begins[counted.group]
        leaves = 2 * place + 1  # between them is room for a request's own category that no row has
        self._leaves = np.where(True if is_one is None else is_one, leaves, -1).astype(np.int32)
        self._adds = np.zeros(len(keys), np.int64) if adds is None else np.ascontiguousarray(adds, np.int64)
        most = int(np.diff(self._begins).max(initial=0))
        self._room = 1 << (2 * most + 1).bit_length()
        self.most = most + 1

    def choose(
        self,
        windows: Windows,
        own: np.ndarray,
        has_own: np.ndarray,
        statistic: Statistic,
        choice: Choice,
        most: int,
        own_adds: np.ndarray | None = None,
        bits: int = 64,
    ) -> Chosen:
        """The categories of windows.

        Args:
            own: int64 [windows]: the requests' own categories; has_own: bool [windows], which of them count.
            most: how many of each window at most.
            own_adds: int64 [windows]: what the requests add to sums.
            bits: the width of sums, which wrap around.
        """
        low, high = self._counted.span(windows)
        group = self._counted.groups_of(windows)
        leaf = np.where(has_own, self._own_leaves(group, own), -1)
        adds = np.zeros(len(windows), np.int64) if own_adds is None else np.ascontiguousarray(own_adds, np.int64)
        most = min(most, self.most)
        sizes, out = self._run(low, high, leaf, adds, statistic, choice, most, bits)
        window = np.repeat(np.arange(len(windows)), sizes)
        place = np.arange(len(window)) - (np.cumsum(sizes) - sizes)[window]
        pair = (self._begins[group[window]] + out[:, 0] // 2).clip(max=max(len(self._pairs) - 1, 0))
        known = self._known[self._pairs[pair] % max(len(self._known), 1)] if len(self._pairs) else own[window]
        return Chosen(sizes, window, place, np.where(out[:, 0] % 2 == 1, known, own[window]), out[:, 1], out[:, 2])

    def _own_leaves(self, group: np.ndarray, own: np.ndarray) -> np.ndarray:
        number = np.searchsorted(self._known, own)
        pair = group * np.int64(len(self._known)) + number
        place = np.searchsorted(self._pairs, pair)
        if not len(self._pairs):
            return np.zeros(len(own), np.int64)
        same = (self._known[number.clip(max=len(self._known) - 1)] == own) & (self._pairs[place.clip(max=len(self._pairs) - 1)] == pair)
        return 2 * (place - self._begins[group]) + same

    def _run(
        self,
        low: np.ndarray,
        high: np.ndarray,
        leaf: np.ndarray,
        adds: np.ndarray,
        statistic: Statistic,
        choice: Choice,
        most: int,
        bits: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """int64 [windows], how many categories; int64 [categories, 3]: leaf, count, sum."""
        low, high, leaf, adds = (np.ascontiguousarray(array, np.int64) for array in (low, high, leaf, adds))
        state = np.zeros(4 * self._room, np.int64)
        state[2 * self._room :] = ABSENT
        found, out = np.zeros(len(low), np.int64), np.zeros((len(low), most, 3), np.int64)
        task = np.zeros(Task.WIDTH, np.int64)
        arrays: dict[Task, np.ndarray] = {Task.LEAVES: self._leaves, Task.ADDS: self._adds, Task.LOWS: low, Task.HIGHS: high}
        arrays |= {Task.OWN_LEAVES: leaf, Task.OWN_ADDS: adds, Task.STATE: state, Task.FOUND: found, Task.OUT: out}
        for word, array in arrays.items():
            task[word] = address(array)
        task[Task.COUNT], task[Task.STATISTIC], task[Task.CHOICE] = len(low), statistic, choice
        task[Task.SHIFT], task[Task.MOST], task[Task.ROOM] = 64 - bits, most, self._room
        native.bulk("categories")(address(task))
        return found, out[np.arange(most) < found[:, None]]
