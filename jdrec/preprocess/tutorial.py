"""The tutorial's encoding: xxh64 of the text of each cell as pandas would have read it from OpenMLDB's CSV output.

id = xxh64(str(cell), seed = preprocess.hash_seed) as int64, where the cell went through CSV (`csv_text`) and `pandas.read_csv`
(`pandas_types`). A column's type is learnt over all rows and kept, so that one request is typed as its training column was: an online
`"3"` of a column that pandas read as float becomes "3.0", as in training. (The tutorial's own server hashes the text of the JSON value
instead, so it gives other ids than its training for every column that pandas had turned into floats.)
Fields are not salted, and NULL, '' and the text "NULL" are all `nan`. Use the canonical encoding unless you need these very ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from jdrec.features.types import SqlType
from jdrec.preprocess import values
from jdrec.preprocess.arrow import from_numbers, null_mask, numbers
from jdrec.preprocess.csv_text import NULL, csv_text
from jdrec.preprocess.pandas_types import ColumnType, TypeGuess, typed_text
from jdrec.preprocess.xxh64 import hash_bytes, signed

if TYPE_CHECKING:
    import pyarrow as pa


class Tutorial:
    """Ids of one field's values."""

    def __init__(self, name: str, sql_type: SqlType, column_type: ColumnType, hash_seed: int, timezone: str):
        self.name, self.type, self.column_type, self.hash_seed = name, sql_type, column_type, hash_seed
        self.zone = ZoneInfo(timezone)
        self.null_id = self._id(NULL)

    def _id(self, text: str) -> int:
        return signed(hash_bytes(typed_text(text, self.column_type).encode(), self.hash_seed))

    def column(self, array: pa.Array) -> np.ndarray:
        """int64 [n] ids. Raises DataError where a value is not of the declared type."""
        array = values.column(array, self.type, self.name)
        texts, codes = _texts(array, self.type, self.zone)
        ids = np.array([self._id(text) for text in texts] + [self.null_id], np.int64)[codes]
        return ids

    def value(self, value: Any) -> int:
        """The id of one Python or JSON value; the same as in a column."""
        plain = values.scalar(value, self.type, self.name)
        return self._id(csv_text(plain, self.type, self.zone))


class ColumnTypeFitter:
    """Learns how pandas would type a column, batch by batch."""

    def __init__(self, name: str, sql_type: SqlType, timezone: str):
        self.name, self.sql_type, self.zone = name, sql_type, ZoneInfo(timezone)
        self.guess = TypeGuess()

    def update(self, array: pa.Array) -> None:
        if self.guess.settled:
            return
        array = values.column(array, self.sql_type, self.name)
        texts, _ = _texts(array, self.sql_type, self.zone)
        self.guess.update(texts)
        if array.null_count:
            self.guess.update([NULL])

    def type(self) -> ColumnType:
        return self.guess.type()


def _texts(array: pa.Array, sql_type: SqlType, zone: ZoneInfo) -> tuple[Iterator[str], np.ndarray]:
    """(CSV texts of the distinct values in order of first appearance, code of each row); a NULL row's code is the number of texts."""
    nulls = null_mask(array)
    if sql_type in (SqlType.TIMESTAMP, SqlType.DATE, SqlType.BOOL):
        array = from_numbers(numbers(array).astype(np.int64), nulls)
    encoded = array.dictionary_encode()
    codes = numbers(encoded.indices).astype(np.int64)
    if nulls is not None:
        codes[nulls] = len(encoded.dictionary)
    return (csv_text(value, sql_type, zone) for value in encoded.dictionary.to_pylist()), codes
