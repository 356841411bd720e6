"""Canonical typed encoding: what a value is decides its id, not the file or wire format that it came in.

The id of a value is an int64, the two's complement of

    xxh64(bytes of the value, seed = xxh64(tag + field name in UTF-8, seed = preprocess.hash_seed))

| declared type           | tag | bytes of the value                                                                     |
|-------------------------|-----|----------------------------------------------------------------------------------------|
| smallint, int, bigint   | `i` | 8, two's complement, little-endian                                                     |
| float, double           | `f` | 8, IEEE 754 binary64 little-endian; a float is rounded to binary32 first; -0.0 as 0.0; every NaN as 0x7FF8000000000000 |
| bool                    | `b` | 8, the integer 0 or 1                                                                  |
| timestamp               | `t` | 8, the instant in whole milliseconds since the epoch UTC, floored, as an integer       |
| date                    | `d` | 8, days since the epoch as an integer                                                  |
| string                  | `s` | its UTF-8 text as it is: no trimming, no change of case, no normalisation              |
| quantile bucket         | `q` | 8, the bucket's number as an integer                                                   |
| NULL, of any type       | `n` | none                                                                                   |

So NULL differs from '' and from 0, "0" of two fields differs, an int and a bigint 5 are the same, and "5" is not 5. The field's
*name* salts it: inserting a feature changes no other feature's ids. Tag and name sit in the seed rather than before the bytes,
which lets a column be hashed where it lies in memory.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.features.types import SqlType
from jdrec.preprocess import values
from jdrec.preprocess.arrow import null_mask, numbers
from jdrec.preprocess.xxh64 import hash_bytes, hash_texts, hash_words, signed, word

if TYPE_CHECKING:
    import pyarrow as pa

_TAGS = {
    SqlType.SMALLINT: "i",
    SqlType.INT: "i",
    SqlType.BIGINT: "i",
    SqlType.FLOAT: "f",
    SqlType.DOUBLE: "f",
    SqlType.BOOL: "b",
    SqlType.TIMESTAMP: "t",
    SqlType.DATE: "d",
    SqlType.STRING: "s",
}
_BUCKET_TAG, _NULL_TAG = "q", "n"
_NAN = struct.pack("<Q", 0x7FF8000000000000)
_DOUBLE = struct.Struct("<d")


def salt(tag: str, name: str, hash_seed: int) -> int:
    """The seed under which a field's values are hashed."""
    return hash_bytes((tag + name).encode(), hash_seed)


class Canonical:
    """Ids of one field's values."""

    def __init__(self, name: str, sql_type: SqlType, hash_seed: int):
        self.name, self.type = name, sql_type
        self.seed = salt(_TAGS[sql_type], name, hash_seed)
        self.null_id = signed(hash_bytes(b"", salt(_NULL_TAG, name, hash_seed)))

    def column(self, array: pa.Array) -> np.ndarray:
        """int64 [n] ids. Raises DataError where a value is not of the declared type."""
        array = values.column(array, self.type, self.name)
        ids = hash_texts(array, self.seed) if self.type is SqlType.STRING else hash_words(words(array, self.type), self.seed)
        nulls = null_mask(array)
        if nulls is not None:
            ids[nulls] = self.null_id
        return ids

    def value(self, value: Any) -> int:
        """The id of one Python or JSON value; the same as in a column."""
        plain = values.scalar(value, self.type, self.name)
        if plain is None:
            return self.null_id
        if isinstance(plain, str):
            return signed(hash_bytes(plain.encode(), self.seed))
        if isinstance(plain, float):
            return signed(hash_bytes(_NAN if plain != plain else _DOUBLE.pack(plain + 0.0), self.seed))
        return signed(hash_bytes(word(plain), self.seed))


def words(array: pa.Array, sql_type: SqlType) -> np.ndarray:
    """int64 [n], C-contiguous: the 8 bytes of each value of a fixed-width type; anything where NULL."""
    plain = numbers(array)
    if not sql_type.is_float:
        return np.ascontiguousarray(plain, np.int64)
    doubles = plain.astype(np.float64) + 0.0  # -0.0 + 0.0 is 0.0
    result = doubles.view(np.int64)
    result[np.isnan(doubles)] = int.from_bytes(_NAN, "little")
    return result


def bucket_ids(name: str, count: int, hash_seed: int) -> tuple[np.ndarray, int]:
    """(int64 [count] ids of a field's quantile buckets, id of its NULL bucket)."""
    seed = salt(_BUCKET_TAG, name, hash_seed)
    ids = np.array([signed(hash_bytes(word(index), seed)) for index in range(count)], np.int64)
    return ids, signed(hash_bytes(b"", salt(_NULL_TAG, name, hash_seed)))
