"""A table's rows as plain values, out of Arrow columns in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.features.spec import Table
from jdrec.features.types import SqlType

if TYPE_CHECKING:
    from jdrec.dataset.tables import TableFiles

Row = dict[str, Any]
_ALWAYS = -1  # the time of a row that has none: no window sees it, whenever it comes


class StoredRows:
    """A table in memory as Arrow columns, given out as rows of plain values."""

    def __init__(self, files: TableFiles):
        from jdrec.dataset import arrow

        self.table: Table = files.table
        parts: dict[str, list[Any]] = {name: [] for name in self.table.columns}
        for part in files.read(list(parts)):
            for name, array in part.items():
                parts[name].append(array)
        self._columns = {name: _joined(arrays, self.table.columns[name]) for name, arrays in parts.items()}
        for name, type_ in self.table.columns.items():
            if type_ is SqlType.TIMESTAMP:
                self._columns[name] = arrow.cast(self._columns[name], SqlType.BIGINT.arrow)

    @classmethod
    def of(cls, table: Table, columns: dict[str, Any]) -> StoredRows:
        """Rows that are in memory already: one Arrow array a column, times as int64 milliseconds."""
        result = cls.__new__(cls)
        result.table, result._columns = table, columns
        return result

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def times(self, columns: Sequence[str]) -> np.ndarray:
        """int64 [rows]: milliseconds; of several columns the earliest."""
        from jdrec.dataset import arrow

        result = np.full(len(self), np.iinfo(np.int64).max)
        for name in columns:
            array = self._columns[name]
            values, valid = arrow.values_of(array, SqlType.BIGINT), arrow.valid_of(array)
            result = np.minimum(result, values if valid is None else np.where(valid != 0, values, _ALWAYS))
        return result

    def values(self, column: str) -> list[Any]:
        """A whole column as plain values."""
        return self._columns[column].to_pylist()

    def rows(self, numbers: np.ndarray) -> list[Row]:
        """The rows at these places: every column of the table; times are epoch milliseconds, dates `datetime.date`, None is NULL."""
        from jdrec.dataset import arrow

        taken = [arrow.take(column, numbers).to_pylist() for column in self._columns.values()]
        names = list(self._columns)
        return [dict(zip(names, values, strict=True)) for values in zip(*taken, strict=True)]


def _joined(arrays: list[Any], type_: SqlType) -> Any:
    import pyarrow as pa

    from jdrec.dataset import arrow

    return arrow.one_chunk(pa.chunked_array(arrays)) if arrays else arrow.empty(type_.arrow)
