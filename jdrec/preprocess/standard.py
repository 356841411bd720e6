"""Numbers that stay numbers: standardised by the training rows' mean and standard deviation."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.features.types import SqlType
from jdrec.preprocess import values
from jdrec.preprocess.arrow import null_mask, numbers

if TYPE_CHECKING:
    import pyarrow as pa

_FLOAT = struct.Struct("<f")
_DOUBLE, _WORD = struct.Struct("<d"), struct.Struct("<q")
_GREATEST = float(np.finfo(np.float32).max)


class Moments:
    """Count, mean, variance, least and greatest value of the finite values of a stream (Chan et al. 1979: pairwise update)."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0
        self.min, self.max = math.inf, -math.inf

    def update(self, sample: np.ndarray) -> None:
        """Adds float64 [n]; NaN and infinities do not count."""
        known = sample[np.isfinite(sample)]
        if not len(known):
            return
        mean, count = float(known.mean()), len(known)
        difference, total = mean - self.mean, self.count + count
        self.squares += float(np.square(known - mean).sum()) + difference * difference * self.count * count / total
        self.mean += difference * count / total
        self.count = total
        self.min, self.max = min(self.min, float(known.min())), max(self.max, float(known.max()))

    @property
    def std(self) -> float:
        """Standard deviation of the population."""
        return math.sqrt(self.squares / self.count) if self.count else 0.0


class Standard:
    """One field as (value - mean) / std, rounded to binary32. NULL and NaN are 0, the mean; infinities the least and greatest training value.

    In an id matrix the number travels as the bit pattern of a binary64, which holds the rounded number exactly.
    """

    def __init__(self, name: str, sql_type: SqlType, mean: float, std: float, least: float, greatest: float):
        self.name, self.type = name, sql_type
        self.mean, self.std, self.least, self.greatest = mean, std, least, greatest
        self._scale = std if std > 0 else 1.0

    def column(self, array: pa.Array) -> np.ndarray:
        """int64 [n]: bit patterns of the standardised numbers."""
        array = values.column(array, self.type, self.name)
        doubles = numbers(array).astype(np.float64)
        doubles[np.isposinf(doubles)] = self.greatest
        doubles[np.isneginf(doubles)] = self.least
        with np.errstate(over="ignore", invalid="ignore"):
            result = np.clip((doubles - self.mean) / self._scale, -_GREATEST, _GREATEST).astype(np.float32).astype(np.float64)
        unknown = np.isnan(result)
        nulls = null_mask(array)
        if nulls is not None:
            unknown |= nulls
        result[unknown] = 0.0
        return result.view(np.int64)

    def value(self, value: Any) -> int:
        """The bit pattern for one value; the same as in a column."""
        plain = values.scalar(value, self.type, self.name)
        if plain is None or plain != plain:
            return 0
        number = float(plain)
        if math.isinf(number):
            number = self.greatest if number > 0 else self.least
        number = min(max((number - self.mean) / self._scale, -_GREATEST), _GREATEST)
        return _WORD.unpack(_DOUBLE.pack(_FLOAT.unpack(_FLOAT.pack(number))[0]))[0]
