"""Ids of a column, kept once a distinct value where the column came with a dictionary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jdrec.preprocess.arrow import null_mask, numbers, one_array

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Coded:
    """A column's ids.

    Attributes:
        values: int64 [n] ids of the rows; with `codes`, [k] ids of values.
        codes: of each row the place of its id in `values`, [n].
    """

    values: np.ndarray
    codes: np.ndarray | None = None

    def ids(self) -> np.ndarray:
        """int64 [n], C-contiguous."""
        return self.values if self.codes is None else self.values[self.codes]

    def some(self, rows: np.ndarray) -> np.ndarray:
        """The ids of the rows where bool [n] is True."""
        return self.values[rows] if self.codes is None else self.values[self.codes[rows]]

    def seen(self, rows: np.ndarray | None) -> np.ndarray:
        """At least one of each distinct id in the rows where bool [n] is True; None: in all."""
        if self.codes is None:
            return self.values if rows is None else self.values[rows]
        there = np.zeros(len(self.values), bool)
        there[self.codes if rows is None else self.codes[rows]] = True
        return self.values[there]


def coded(column: pa.Array | pa.ChunkedArray, encode: Callable[[pa.Array], np.ndarray]) -> Coded:
    """Encodes a column; where it has a dictionary shorter than itself, the dictionary.

    Args:
        encode: ids int64 [n] of an array [n]; equal values have equal ids, whatever their row.
    """
    import pyarrow as pa

    if not isinstance(column, pa.DictionaryArray) or len(column.dictionary) >= len(column):
        return Coded(encode(one_array(column)))
    dictionary, codes, nulls = column.dictionary, numbers(column.indices), null_mask(column)
    if nulls is not None:
        codes = np.where(nulls, len(dictionary), codes)
        dictionary = pa.concat_arrays([dictionary, pa.nulls(1, dictionary.type)])
    return Coded(encode(dictionary), codes)
