"""From the words that kernels write to columns of OpenMLDB's types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jdrec.dataset import arrow
from jdrec.engines.embedded import text
from jdrec.engines.embedded.layout import EMPTY_WINDOW, Function
from jdrec.engines.embedded.plan import Aggregate
from jdrec.engines.embedded.stores import Codes
from jdrec.engines.embedded.vector import Vector
from jdrec.features.types import SqlType

T = SqlType
_FEW = 64  # rows that are sooner written one by one


def decode(aggregate: Aggregate, words: np.ndarray, column_type: SqlType | None, dictionary: Codes | None) -> Vector:
    """An aggregate's values.

    Args:
        words: int64 [rows, aggregate.words].
        column_type: type of the column that the keys are of.
        dictionary: what codes stand for, for a column of strings.
    """
    if aggregate.function is Function.TOPN_FREQUENCY:
        assert column_type is not None
        return Vector(T.STRING, top_values(words, column_type, dictionary))
    valid = words[:, 0] != 0
    if dictionary is not None and aggregate.type is T.STRING:
        return Vector(T.STRING, dictionary.decode(np.where(valid, words[:, 1], -1)))
    values = floats_of(words[:, 1]) if aggregate.type.is_float else words[:, 1]
    return Vector(aggregate.type, values.astype(arrow.STORAGE[aggregate.type]), None if valid.all() else valid.astype(np.uint8))


def floats_of(keys: np.ndarray) -> np.ndarray:
    """float64 values of the int64 keys that order as they do (see `kernels.cells.float_key`)."""
    return (keys ^ ((keys >> 63) & np.int64(0x7FFFFFFFFFFFFFFF))).view(np.float64)


def top_values(words: np.ndarray, type_: SqlType, dictionary: Codes | None) -> Any:
    """The strings of topn_frequency. Each distinct combination of keys is written once.

    Args:
        words: int64 [rows, 1 + n]: how many keys (EMPTY_WINDOW: the window has no rows), then the keys.
    """
    n = words.shape[1] - 1
    numbers = np.where(np.arange(n) < words[:, :1], words[:, 1:], 0)
    if len(words) <= _FEW:
        return arrow.strings_of(_lines(words[:, 0], numbers, type_, dictionary))
    code, size = words[:, 0] - EMPTY_WINDOW, n + 2
    for place in range(n):
        ids, count = _dense(numbers[:, place])
        if size * count >= 2**62:
            code, size = _dense(code)
        code, size = code * count + ids, size * count
    code, _ = _dense(code)
    # The first row of each combination: later assignments win, so go backwards.
    first = np.zeros(int(code.max(initial=-1)) + 1, np.int64)
    first[code[::-1]] = np.arange(len(code) - 1, -1, -1)
    return arrow.take(arrow.strings_of(_lines(words[first, 0], numbers[first], type_, dictionary)), code)


def _lines(found: np.ndarray, keys: np.ndarray, type_: SqlType, dictionary: Codes | None) -> list[str]:
    """What topn_frequency writes: the found keys' texts, and NULL for those that are missing."""
    n = keys.shape[1]
    return [
        "" if count == EMPTY_WINDOW else ",".join([*names[:count], *["NULL"] * (n - count)])
        for count, names in zip(found.tolist(), _spell(keys, type_, dictionary), strict=True)
    ]


def _dense(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Numbers the distinct values from 0."""
    encoded = arrow.call("dictionary_encode", arrow.array_of(values, None, T.BIGINT))
    ids = np.frombuffer(encoded.indices.buffers()[1], np.int32, len(values)) if len(values) else np.zeros(0, np.int32)
    return ids.astype(np.int64), max(len(encoded.dictionary), 1)


def _spell(keys: np.ndarray, type_: SqlType, dictionary: Codes | None) -> Sequence[list[str]]:
    """The text of each key."""
    if dictionary is not None:
        names = dictionary.decode(keys.ravel()).to_pylist() if len(dictionary) else [""] * keys.size
    else:
        values = floats_of(keys) if type_.is_float else keys
        names = [text.of(value, type_) for value in values.ravel().tolist()]
    width = keys.shape[1]
    return [names[start : start + width] for start in range(0, len(names), width)]
