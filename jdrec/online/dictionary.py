"""A dictionary of strings that grows as rows come in."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np

from jdrec.dataset import arrow
from jdrec.engines.embedded.vector import Vector

_LABELS = 2**62
_SPACING = 2**32
_MANY = 64  # new strings that are sooner sorted together with the others than one by one


class GrowingDictionary:
    """Codes of strings, in order of arrival; NULL is -1.

    Where values are compared (minimum, ties of the most frequent), each code also has a rank that orders as its string does. Ranks
    are spaced out, so that a new string mostly takes one between its neighbours' and no other rank changes.

    A string of a request that is not stored is a guest: it has a code and a rank as long as the request is at hand, and leaves no trace.

    Args:
        ordered: whether ranks are needed.

    Attributes:
        texts: by code; guests' last.
        get: the code of a string, or None.
        version: changes when `ranks` is another array.
    """

    def __init__(self, ordered: bool):
        self.texts: list[str] = []
        self._codes: dict[str, int] = {}
        self.get = self._codes.get
        self.ranks: np.ndarray | None = np.zeros(16, np.int64) if ordered else None
        self.version = 0
        self._sorted: list[str] = []
        self._guests = 0
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._codes)

    @property
    def memory_bytes(self) -> int:
        """About what it takes: the strings once, two references and a hash each."""
        return self._bytes + 130 * len(self) + (0 if self.ranks is None else self.ranks.nbytes + 8 * len(self))

    def find(self, text: str) -> int:
        """The code of a string, -1 if it has none."""
        return self._codes.get(text, -1)

    def add(self, text: str) -> int:
        """The code of a string, a new one if need be."""
        code = self._codes.get(text)
        if code is None:
            code = self._append(text)
            if self.ranks is not None:
                self._make_room()
                self._rank(text, code)
        return code

    def encode(self, texts: Sequence[str | None]) -> np.ndarray:
        """int32 codes, new ones for new strings."""
        get, add = self._codes.get, self.add
        codes = [-1 if text is None else get(text) for text in texts]
        if None in codes:
            codes = [add(text) if code is None and text is not None else code for text, code in zip(texts, codes, strict=True)]
        return np.array(codes, np.int32)

    def encode_column(self, vector: Vector) -> np.ndarray:
        """int32 codes of a whole column of strings, new ones for new strings."""
        values, codes = vector.encoded()
        return np.append(self._extend(values.to_pylist()), np.int32(-1))[codes]

    def decode(self, codes: np.ndarray) -> Any:
        """An Arrow array of the strings; NULL for a negative code."""
        return arrow.strings_of([self.texts[code] if code >= 0 else None for code in codes.tolist()])

    # --- guests ------------------------------------------------------------------------------------------------------------

    def invite(self) -> int:
        """A place for one guest at a time."""
        self._guests += 1
        self.texts.append("")
        self._make_room()
        return self._guests - 1

    def peek(self, text: str, place: int) -> int:
        """The code of a string; a guest's, until the next one of this place, if it has none."""
        code = self._codes.get(text)
        if code is not None:
            return code
        code = len(self._codes) + place
        self.texts[code] = text
        if self.ranks is not None:  # neighbours are never next to each other, so there is room after the one before
            before = bisect_left(self._sorted, text) - 1
            self.ranks[code] = self._rank_at(before) + 1 if before >= 0 else -_LABELS - 1
        return code

    # --- ranks -------------------------------------------------------------------------------------------------------------

    def _append(self, text: str) -> int:
        code = self._codes[text] = len(self._codes)
        self.texts.insert(code, text)
        self._bytes += len(text)
        return code

    def _extend(self, texts: Sequence[str]) -> np.ndarray:
        new = [text for text in texts if text not in self._codes]
        if self.ranks is None or len(new) < _MANY:
            return np.array([self.add(text) for text in texts], np.int32)
        for text in new:
            self._append(text)
        self._make_room()
        self._sorted = sorted(self._codes)
        self._space_out()
        return np.array([self._codes[text] for text in texts], np.int32)

    def _make_room(self) -> None:
        if self.ranks is not None and len(self.texts) > len(self.ranks):
            self.ranks = np.concatenate([self.ranks, np.zeros(len(self.texts), np.int64)])
            self.version += 1

    def _rank(self, text: str, code: int) -> None:
        assert self.ranks is not None
        place = bisect_left(self._sorted, text)
        low = self._rank_at(place - 1) if place > 0 else None
        high = self._rank_at(place) if place < len(self._sorted) else None
        self._sorted.insert(place, text)
        if low is None or high is None:
            rank = high - _SPACING if high is not None else low + _SPACING if low is not None else 0
        else:
            rank = (low + high) // 2
        if abs(rank) > _LABELS or (low is not None and rank - low < 2) or (high is not None and high - rank < 2):
            self._space_out()
        else:
            self.ranks[code] = rank

    def _rank_at(self, place: int) -> int:
        assert self.ranks is not None
        return int(self.ranks[self._codes[self._sorted[place]]])

    def _space_out(self) -> None:
        assert self.ranks is not None
        codes = np.array([self._codes[text] for text in self._sorted], np.int64)
        spacing = min(_SPACING, _LABELS // max(len(codes), 1))
        self.ranks[codes] = np.arange(len(codes), dtype=np.int64) * spacing
