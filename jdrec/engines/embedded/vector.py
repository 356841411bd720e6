"""A column of values with SQL's NULLs: what expressions and windows are computed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jdrec.dataset import arrow
from jdrec.features.types import SqlType

T = SqlType
_MANY = 1 << 14  # strings that are sooner numbered by the kernels


@dataclass(frozen=True)
class Vector:
    """One value a row, or one for all rows.

    Attributes:
        type: None is the type of null.
        data: numbers, times and booleans as NumPy's storage type (`arrow.STORAGE`), anything where NULL; strings as an Arrow
            string array, or a dictionary array of strings.
        valid: uint8 [rows], 0 where NULL; None where nothing is. Strings keep it in Arrow.
        constant: the single value stands for every row.
    """

    type: SqlType | None
    data: Any
    valid: np.ndarray | None = None
    constant: bool = False

    def __len__(self) -> int:
        return len(self.data)

    @property
    def is_valid(self) -> np.ndarray:
        """bool [rows]."""
        valid = arrow.valid_of(self.data) if self.type is T.STRING else self.valid
        return np.ones(len(self), bool) if valid is None else valid != 0

    @classmethod
    def of_arrow(cls, array: Any, type_: SqlType) -> Vector:
        """A column as `dataset.tables` gives it."""
        if type_ is T.STRING:
            return cls(type_, array)
        return cls(type_, arrow.values_of(array, type_), arrow.valid_of(array))

    @classmethod
    def of_value(cls, value: Any, type_: SqlType | None) -> Vector:
        """One value for all rows; None is NULL."""
        if type_ is T.STRING:
            return cls(type_, arrow.strings_of([value]), constant=True)
        dtype = arrow.STORAGE[type_] if type_ is not None else np.uint8
        return cls(type_, np.array([value or 0], dtype), np.zeros(1, np.uint8) if value is None else None, constant=True)

    @classmethod
    def of_values(cls, values: Sequence[Any], type_: SqlType) -> Vector:
        """Python values, None for NULL; times are milliseconds, dates days."""
        if type_ is T.STRING:
            return cls(type_, arrow.strings_of(list(values)))
        valid = np.array([value is not None for value in values], np.uint8)
        data = np.array([0 if value is None else value for value in values], arrow.STORAGE[type_])
        return cls(type_, data, None if valid.all() else valid)

    def spread(self, rows: int) -> Vector:
        """The same values with one entry a row."""
        return replace(self.take(np.zeros(rows, np.int32)), constant=False) if self.constant else self

    def plain(self) -> Vector:
        """Strings as a plain string array."""
        if self.type is T.STRING and hasattr(self.data, "dictionary"):
            return replace(self, data=arrow.decoded(self.data))
        return self

    def take(self, rows: np.ndarray) -> Vector:
        """The values at these positions; a negative position gives NULL."""
        if self.type is T.STRING:
            if hasattr(self.data, "dictionary"):
                codes = np.append(codes_of(self.data), np.int32(-1))[rows]
                return replace(self, data=arrow.take(self.data.dictionary, codes))
            return replace(self, data=arrow.take(self.data, rows))
        missing = rows < 0
        if not len(self):
            return replace(self, data=np.zeros(len(rows), self.data.dtype), valid=np.zeros(len(rows), np.uint8))
        valid = None if self.valid is None else self.valid[rows]
        if missing.any():
            valid = (~missing if valid is None else (valid != 0) & ~missing).astype(np.uint8)
        return replace(self, data=self.data[rows], valid=valid)

    def slice(self, start: int, stop: int) -> Vector:
        """Rows start to stop, sharing memory."""
        if self.constant:
            return self
        if self.type is T.STRING:
            return replace(self, data=self.data.slice(start, stop - start))
        return replace(self, data=self.data[start:stop], valid=None if self.valid is None else self.valid[start:stop])

    def to_arrow(self, rows: int) -> Any:
        """An Arrow array of `type.arrow` with one entry a row."""
        vector = self.spread(rows).plain()
        assert vector.type is not None
        return vector.data if vector.type is T.STRING else arrow.array_of(vector.data, vector.valid, vector.type)

    def encoded(self) -> tuple[Any, np.ndarray]:
        """The distinct values as an Arrow array, and int32 codes into it, -1 for NULL."""
        array = self.data if self.type is T.STRING else self.to_arrow(len(self))
        if self.type is T.STRING and len(array) >= _MANY and not hasattr(array, "dictionary"):
            from jdrec.engines.embedded.lookup import number

            values, codes, _ = number(array)
            return values, codes
        if not hasattr(array, "dictionary"):
            array = arrow.call("dictionary_encode", array)
        return array.dictionary, codes_of(array)


def codes_of(array: Any) -> np.ndarray:
    """int32 indices of a dictionary array, -1 for NULL."""
    codes = (
        np.frombuffer(array.indices.buffers()[1], np.int32, len(array), array.indices.offset * 4) if len(array) else np.zeros(0, np.int32)
    )
    valid = arrow.valid_of(array.indices)
    return codes if valid is None else np.where(valid != 0, codes, np.int32(-1))


def concatenate(parts: Sequence[Vector]) -> Vector:
    """One column of several parts of the same type."""
    first = parts[0]
    if len(parts) == 1:
        return first
    if first.type is T.STRING:
        import pyarrow as pa

        arrays = [part.data for part in parts]
        if len({array.type for array in arrays}) > 1:
            arrays = [part.plain().data for part in parts]
        return replace(first, data=arrow.one_chunk(pa.chunked_array(arrays)))
    valid = None
    if any(part.valid is not None for part in parts):
        valid = np.concatenate([part.is_valid.astype(np.uint8) for part in parts])
    return replace(first, data=np.concatenate([part.data for part in parts]), valid=valid)
