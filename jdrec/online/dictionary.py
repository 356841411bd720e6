"""A dictionary of strings that grows as rows come in."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np

from jdrec.dataset import arrow

_LABELS = 2**62
_SPACING = 2**32


class GrowingDictionary:
    """Codes of strings, in order of arrival; NULL is -1.

    Where values are compared (minimum, ties of the most frequent), each code also has a rank that orders as its string does. Ranks
    are spaced out, so that a new string mostly takes one between its neighbours' and no other rank changes.

    Args:
        texts: the first strings, distinct.
        ordered: whether ranks are needed.
    """

    def __init__(self, texts: Sequence[str], ordered: bool):
        self._texts = list(texts)
        self._codes = {text: code for code, text in enumerate(self._texts)}
        self.ranks: np.ndarray | None = None
        self._sorted: list[str] = []
        if ordered:
            self._sorted = sorted(self._texts)
            self.ranks = np.zeros(max(16, 2 * len(self._texts)), np.int64)
            self._space_out()

    def __len__(self) -> int:
        return len(self._texts)

    def find(self, text: str) -> int:
        """The code of a string, -1 if it has none."""
        return self._codes.get(text, -1)

    def add(self, text: str) -> int:
        """The code of a string, a new one if need be. `ranks` may be another array afterwards."""
        code = self._codes.get(text)
        if code is None:
            code = self._codes[text] = len(self._texts)
            self._texts.append(text)
            if self.ranks is not None:
                self._rank(text, code)
        return code

    def forget(self, size: int) -> None:
        """Forgets the newest strings, so that `size` are left: those of requests that are not kept."""
        for text in self._texts[size:]:
            del self._codes[text]
            if self.ranks is not None:
                del self._sorted[bisect_left(self._sorted, text)]
        del self._texts[size:]

    def encode(self, texts: Sequence[str | None]) -> np.ndarray:
        """int32 codes, new ones for new strings."""
        return np.array([-1 if text is None else self.add(text) for text in texts], np.int32)

    def decode(self, codes: np.ndarray) -> Any:
        """An Arrow array of the strings; NULL for a negative code."""
        return arrow.strings_of([self._texts[code] if code >= 0 else None for code in codes.tolist()])

    def _rank(self, text: str, code: int) -> None:
        assert self.ranks is not None
        if code >= len(self.ranks):
            self.ranks = np.concatenate([self.ranks, np.zeros(len(self.ranks), np.int64)])
        place = bisect_left(self._sorted, text)
        low = self._rank_at(place - 1) if place > 0 else None
        high = self._rank_at(place) if place < len(self._sorted) else None
        self._sorted.insert(place, text)
        if low is None or high is None:
            rank = high - _SPACING if high is not None else low + _SPACING if low is not None else 0
        else:
            rank = (low + high) // 2
        if rank == low or abs(rank) > _LABELS:
            self._space_out()
        else:
            self.ranks[code] = rank

    def _rank_at(self, place: int) -> int:
        assert self.ranks is not None
        return int(self.ranks[self._codes[self._sorted[place]]])

    def _space_out(self) -> None:
        assert self.ranks is not None
        for place, text in enumerate(self._sorted):
            self.ranks[self._codes[text]] = place * _SPACING
