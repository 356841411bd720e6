"""Numbers for different keys, and indexes that many more rows are looked up in, part after part. Threads may share an index."""

from __future__ import annotations

from typing import Any

import numpy as np

from jdrec.dataset import arrow
from jdrec.engines.embedded import native

_EMPTY = -1
_BLOCK = 64  # as of `kernels.bulk`


class TextIndex:
    """Where each of some different strings stands.

    Args:
        texts: an Arrow string array without NULL.
        slots: the index, if it has been made.
    """

    def __init__(self, texts: Any, slots: np.ndarray | None = None):
        self._texts = texts
        if slots is None:
            slots = _slots(len(texts))
            if len(texts):
                native.bulk("index_texts")(*_text_addresses(texts), len(texts), _address(slots), len(slots) - 1)
        self._slots = slots

    def find(self, texts: Any) -> np.ndarray:
        """int32: the place of each string of an Arrow array, -1 where it is not known; anything where it is NULL."""
        found = np.full(len(texts), -1, np.int32)
        if len(texts) and len(self._texts):
            index = *_text_addresses(self._texts), _address(self._slots), len(self._slots) - 1
            spare = np.empty(3 * _BLOCK, np.int64)
            native.bulk("find_texts")(*_text_addresses(texts), len(texts), *index, _address(found), _address(spare))
        return found


def number(texts: Any) -> tuple[Any, np.ndarray, TextIndex]:
    """The distinct strings of an Arrow array in the order in which they come, int32 codes into them (-1 for NULL), and their index."""
    codes, firsts, slots = np.empty(len(texts), np.int32), np.empty(len(texts), np.int32), _slots(len(texts))
    valid, count = arrow.valid_of(texts), 0
    plain = texts if valid is None else arrow.call("drop_null", texts)
    if len(plain):
        spare = np.empty(2 * _BLOCK, np.int64)
        index = _address(slots), len(slots) - 1
        count = native.bulk("number_texts")(*_text_addresses(plain), len(plain), *index, _address(firsts), _address(codes), _address(spare))
    if valid is not None:
        of_all = np.full(len(texts), -1, np.int32)
        of_all[valid != 0] = codes[: len(plain)]
        codes = of_all
    known = arrow.take(plain, firsts[:count])
    return known, codes, TextIndex(known, slots)


class WordIndex:
    """The same of different int64 words."""

    def __init__(self, words: np.ndarray):
        self._words = np.ascontiguousarray(words, np.int64)
        self._slots = _slots(len(words))
        native.bulk("index_words")(_address(self._words), len(words), _address(self._slots), len(self._slots) - 1)

    def find(self, words: np.ndarray) -> np.ndarray:
        """int32: the place of each word, -1 where it is not known."""
        words = np.ascontiguousarray(words, np.int64)
        found = np.empty(len(words), np.int32)
        slots = _address(self._slots), len(self._slots) - 1
        native.bulk("find_words")(_address(words), len(words), _address(self._words), *slots, _address(found))
        return found


def _slots(count: int) -> np.ndarray:
    return np.full(2 << max(count, 1).bit_length(), _EMPTY, np.int64)


def _text_addresses(texts: Any) -> tuple[int, int]:
    """Of the first offset, and of the bytes."""
    _, offsets, data = texts.buffers()
    return offsets.address + 4 * texts.offset, data.address if data is not None else 0


def _address(array: np.ndarray) -> int:
    return array.ctypes.data
