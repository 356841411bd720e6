"""Quantile buckets: a number becomes the id of the bucket that it falls into."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.features.types import SqlType
from jdrec.preprocess import values
from jdrec.preprocess.arrow import null_mask, numbers

if TYPE_CHECKING:
    import pyarrow as pa


def quantile_bounds(sample: np.ndarray, buckets: int) -> list[float]:
    """Lower bounds of all buckets but the first, ascending.

    A number with at most `buckets` distinct values gets a bucket for each. Otherwise bounds are values at the quantiles i / buckets;
    equal ones fall together, so a frequent value may leave fewer buckets than asked for.

    Args:
        sample: float64 [n], training rows only. NaN and infinities do not count.
    """
    known = np.sort(sample[np.isfinite(sample)])
    if not len(known):
        return []
    distinct = np.unique(known)
    if len(distinct) > buckets:
        ranks = np.arange(1, buckets) * len(known) // buckets
        distinct = np.unique(np.concatenate([known[:1], known[ranks]]))
    return distinct[1:].tolist()


class Bucket:
    """Ids of one field's buckets: bucket b holds bounds[b - 1] <= value < bounds[b]. NULL and NaN have a bucket of their own."""

    def __init__(self, name: str, sql_type: SqlType, bounds: list[float], ids: np.ndarray, null_id: int):
        self.name, self.type, self.bounds, self.null_id = name, sql_type, bounds, null_id
        self.ids = ids
        self._ids = np.append(ids, null_id)

    def column(self, array: pa.Array) -> np.ndarray:
        """int64 [n] ids."""
        return self._ids[self.buckets(array)]

    def buckets(self, array: pa.Array) -> np.ndarray:
        """int64 [n]: the bucket of each value; the number of buckets for NULL and NaN."""
        array = values.column(array, self.type, self.name)
        doubles = numbers(array).astype(np.float64)
        index = np.searchsorted(np.array(self.bounds, np.float64), doubles, side="right")
        unknown = np.isnan(doubles)
        nulls = null_mask(array)
        if nulls is not None:
            unknown |= nulls
        index[unknown] = len(self._ids) - 1
        return index

    def value(self, value: Any) -> int:
        """The id of one value; the same as in a column."""
        plain = values.scalar(value, self.type, self.name)
        if plain is None or plain != plain:
            return self.null_id
        return int(self._ids[bisect_right(self.bounds, float(plain))])
