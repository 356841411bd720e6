"""Lists of values in one text, as topn_frequency gives them: one column of ids a place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.features.spec import NO_VALUE
from jdrec.features.types import SqlType
from jdrec.preprocess import values
from jdrec.preprocess.arrow import one_array
from jdrec.preprocess.canonical import Canonical

if TYPE_CHECKING:
    import pyarrow as pa

_MISSING = ("", "NULL")  # what OpenMLDB puts where there are fewer values than places


class Listed:
    """The ids of one place of a field's lists.

    Values move up where one is missing, so that place 0 has one if any has. A value's id is that of its text under the field's name, whatever its
    place. A list without any value is NULL: its place 0 has NULL's id. All other places without a value have `NO_VALUE`.
    """

    def __init__(self, name: str, place: int, hash_seed: int):
        self.name, self.place = name, place
        self._text = Canonical(name, SqlType.STRING, hash_seed)

    def column(self, array: pa.Array) -> np.ndarray:
        """int64 [n] ids."""
        import pyarrow as pa

        array = values.column(array, SqlType.STRING, self.name)
        encoded = array.dictionary_encode("encode")  # lists repeat: each distinct one is taken apart once
        ids = np.array([self.value(text) for text in encoded.dictionary.to_pylist()], np.int64)
        codes = one_array(encoded.indices.cast(pa.int64())).to_numpy()
        return ids[codes] if len(codes) else np.empty(0, np.int64)

    def value(self, value: Any) -> int:
        """The id in one text; the same as in a column."""
        plain = values.scalar(value, SqlType.STRING, self.name)
        found = [part for part in str(plain).split(",") if part not in _MISSING] if plain is not None else []
        if self.place < len(found):
            return self._text.value(found[self.place])
        return self._text.null_id if self.place == 0 else NO_VALUE
