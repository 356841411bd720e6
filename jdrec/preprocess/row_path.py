"""The encoder for a few rows of plain values, as fast as Python goes: no Arrow, a function made for each field.

`Encoder.encode_row` takes any value that stands for one of the declared type (text for a number, a datetime for an instant). This takes only
what the online store hands out, and gives the same ids.
"""

from __future__ import annotations

import datetime
import math
import struct
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from jdrec.errors import DataError
from jdrec.features.types import SqlType
from jdrec.preprocess.bucket import Bucket
from jdrec.preprocess.canonical import Canonical
from jdrec.preprocess.csv_text import NULL, SPACE
from jdrec.preprocess.pandas_types import MISSING
from jdrec.preprocess.standard import Standard
from jdrec.preprocess.tutorial import Tutorial

if TYPE_CHECKING:
    from jdrec.preprocess.encoder import Codec, Encoder

_hash = xxhash.xxh64_intdigest
_MASK = (1 << 64) - 1
_INTEGER, _DOUBLE, _FLOAT = struct.Struct("<q"), struct.Struct("<d"), struct.Struct("<f")
_WORD_OF_DOUBLE = struct.Struct("<Q")
_NAN = struct.pack("<Q", 0x7FF8000000000000)
_GREATEST = float(np.finfo(np.float32).max)
_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
_REMEMBERED = 1 << 12  # values a field whose ids are kept
_MANY = 8  # rows from which on fields are encoded one after the other
Value = Callable[[Any], int]  # a value to its unsigned 64-bit id


class RowEncoder:
    """Encodes rows whose values lie in a fixed order. Threads may share it.

    Args:
        encoder: the fitted encoder.
        columns: feature names in the order of a row's values; more than the encoder's fields may be there.

    Raises:
        DataError: a field is not among the columns.
    """

    def __init__(self, encoder: Encoder, columns: Sequence[str]):
        places = {name: place for place, name in enumerate(columns)}
        missing = [field.feature for field in encoder.fields if field.feature not in places]
        if missing:
            raise DataError(f"the column of feature {missing[0]!r} is missing.")
        self._plan = [(places[field.feature], _value(codec)) for field, codec in zip(encoder.fields, encoder.codecs, strict=True)]

    def encode(self, rows: Sequence[Sequence[Any]]) -> np.ndarray:
        """int64 [rows, fields], C-contiguous, equal to `Encoder.encode` of the same values.

        Args:
            rows: str, int, float (those of a 32-bit column already rounded), bool; a timestamp in epoch milliseconds, a date as
                `datetime.date`; None is NULL.
        """
        plan = self._plan
        if len(rows) < _MANY:
            words = array("Q", [value(row[place]) for row in rows for place, value in plan])
            return np.frombuffer(words, np.int64).reshape(len(rows), len(plan))
        columns = list(zip(*rows, strict=True))
        by_field = array("Q")
        for place, value in plan:
            by_field.extend(map(value, columns[place]))
        return np.ascontiguousarray(np.frombuffer(by_field, np.int64).reshape(len(plan), len(rows)).T)


class _Remembering(dict):  # type: ignore[type-arg]
    """Ids of recent values; a value that is not among them is computed."""

    def __init__(self, compute: Value):
        self._compute = compute

    def __missing__(self, value: Any) -> int:
        if len(self) >= _REMEMBERED:
            self.clear()
        identity = self[value] = self._compute(value)
        return identity


def _value(codec: Codec) -> Value:
    if isinstance(codec, Canonical):
        value = _canonical(codec)
    elif isinstance(codec, Standard):
        value = _standard(codec)
    elif isinstance(codec, Bucket):
        value = _bucket(codec)
    elif isinstance(codec, Tutorial) and codec.type is SqlType.STRING and codec.column_type == "object":
        value = _tutorial_text(codec)
    else:
        value = lambda value: codec.value(value) & _MASK  # noqa: E731
    if isinstance(codec, Canonical | Standard | Bucket | Tutorial) and codec.type.is_float:
        return _float(value) if isinstance(codec, Tutorial) else value  # zeros of both signs are one key and may be two ids
    return _Remembering(value).__getitem__


def _float(value: Value) -> Value:
    """Remembers the ids of floats other than zero and NaN."""
    zero, minus_zero, known = value(0.0), value(-0.0), _Remembering(value).__getitem__

    def number(number: Any) -> int:
        if number == 0:
            return minus_zero if math.copysign(1.0, number) < 0 else zero
        return known(number) if number == number else value(number)

    return number


def _canonical(codec: Canonical) -> Value:
    seed, null, pack = codec.seed, codec.null_id & _MASK, _INTEGER.pack
    if codec.type is SqlType.STRING:
        return lambda value: null if value is None else _hash(value.encode(), seed)
    if codec.type.is_float:
        nan = _hash(_NAN, seed)

        def number(value: Any) -> int:
            if value is None:
                return null
            return nan if value != value else _hash(_DOUBLE.pack(value + 0.0), seed)

        return number
    if codec.type is SqlType.DATE:
        return lambda value: null if value is None else _hash(pack(value.toordinal() - _EPOCH_DAY), seed)
    return lambda value: null if value is None else _hash(pack(value), seed)


def _tutorial_text(codec: Tutorial) -> Value:
    """A text that pandas leaves as it is."""
    seed, null = codec.hash_seed, codec.null_id & _MASK

    def text(value: str | None) -> int:
        stripped = value.strip(SPACE) if value is not None else NULL
        return null if stripped in MISSING else _hash(stripped.encode(), seed)

    return text


def _standard(codec: Standard) -> Value:
    mean, scale, least, greatest = codec.mean, codec.std if codec.std > 0 else 1.0, codec.least, codec.greatest

    def standardised(value: Any) -> int:
        if value is None or value != value:
            return 0
        number = float(value)
        if math.isinf(number):
            number = greatest if number > 0 else least
        number = min(max((number - mean) / scale, -_GREATEST), _GREATEST)
        return _WORD_OF_DOUBLE.unpack(_DOUBLE.pack(_FLOAT.unpack(_FLOAT.pack(number))[0]))[0]

    return standardised


def _bucket(codec: Bucket) -> Value:
    null, bounds = codec.null_id & _MASK, codec.bounds
    ids = [identity & _MASK for identity in codec.ids.tolist()]
    return lambda value: null if value is None or value != value else ids[bisect_right(bounds, value)]
