"""From the words that kernels write for one request to Python values: what `engines.embedded.results` does for columns."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jdrec.engines.embedded import text
from jdrec.engines.embedded.layout import EMPTY_WINDOW, Function
from jdrec.engines.embedded.plan import Aggregate
from jdrec.features.types import SqlType
from jdrec.online.dictionary import GrowingDictionary

T = SqlType
Decoder = Callable[[Sequence[int]], Any]
_REMEMBERED = 1 << 14  # texts of topn_frequency that a decoder keeps
_NEVER_NULL = (Function.COUNT, Function.COUNT_SAME, Function.DISTINCT_COUNT)
_BITS = {T.SMALLINT: 16, T.INT: 32, T.DATE: 32}


def is_word(aggregate: Aggregate) -> bool:
    """Whether its value is the word after its first one as it stands."""
    return aggregate.function in _NEVER_NULL


def decoder(
    aggregate: Aggregate, offset: int, column_type: SqlType | None, dictionary: GrowingDictionary | None, out: np.ndarray, guests: bool
) -> Decoder:
    """A function from a request's words, a tuple, to the aggregate's storage value.

    Args:
        offset: its first word.
        column_type: type of the column that the keys are of.
        dictionary: what codes stand for, for a column of strings.
        out: int64, where the words are.
        guests: whether a code may be a guest's (see `GrowingDictionary`), which stands for another string the next time.
    """
    if aggregate.function is Function.TOPN_FREQUENCY:
        assert column_type is not None
        return _top_values(offset, aggregate.n, column_type, dictionary, guests)
    place = offset + 1
    if aggregate.type is T.STRING:
        assert dictionary is not None
        texts = dictionary.texts
        return lambda words: texts[words[place]] if words[offset] and words[place] >= 0 else None
    if aggregate.type.is_float:
        doubles = memoryview(out.data).cast("B").cast("d")
        return lambda words: (doubles[place] if words[place] >= 0 else _double_of(words[place])) if words[offset] else None
    if aggregate.type is T.BOOL:
        return lambda words: (words[place] & 255) != 0 if words[offset] else None
    if aggregate.type in _BITS:
        half = 1 << (_BITS[aggregate.type] - 1)
        return lambda words: ((words[place] + half) & (2 * half - 1)) - half if words[offset] else None
    return lambda words: words[place] if words[offset] else None


def _top_values(offset: int, n: int, type_: SqlType, dictionary: GrowingDictionary | None, guests: bool) -> Decoder:
    """What topn_frequency writes: the keys' texts, and NULL for those that are missing. The same keys are mostly asked for again and again."""
    first, last = offset + 1, offset + 1 + n
    missing = [["NULL"] * (n - count) for count in range(n + 1)]
    if dictionary is not None:
        spell: Callable[[int], str] = dictionary.texts.__getitem__
    elif type_.is_integer:
        spell = str
    elif type_.is_float:
        spell = lambda key: text.of(_double_of(key), type_)  # noqa: E731
    else:
        spell = lambda key: text.of(key, type_)  # noqa: E731

    def decode(words: Sequence[int]) -> str:
        count = words[offset]
        if count == EMPTY_WINDOW:
            return ""
        if count == n:
            return ",".join(map(spell, words[first:last]))
        return ",".join([*map(spell, words[first : first + count]), *missing[count]])

    known: dict[Any, str] = {}

    def remembered(words: Sequence[int]) -> str:
        found = words[offset:last]
        result = known.get(found)
        if result is None:
            if len(known) >= _REMEMBERED:
                known.clear()
            result = known[found] = decode(words)
        return result

    return decode if guests else remembered


def _double_of(key: int) -> float:
    """The float64 of an int64 key that orders as it does (see `kernels.float_key`)."""
    return struct.unpack("<d", struct.pack("<q", key ^ 0x7FFFFFFFFFFFFFFF if key < 0 else key))[0]
