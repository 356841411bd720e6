"""Rows as plain Python values, checked against their table."""

from __future__ import annotations

import ctypes
import datetime
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from jdrec.engines.embedded.vector import Vector
from jdrec.errors import DataError, nearest
from jdrec.features.spec import Table
from jdrec.features.types import SqlType

T = SqlType
Row = Mapping[str, Any]
Cells = list[Any]
"""Storage values of one row: times in milliseconds, dates in days since 1970, floats rounded to their column's type; None is NULL."""

_BITS = {T.SMALLINT: 15, T.INT: 31, T.BIGINT: 63, T.TIMESTAMP: 63}
_EPOCH = datetime.date(1970, 1, 1)
_MOMENT = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_PLAIN: dict[T, type] = {T.STRING: str, T.BOOL: bool, T.DATE: datetime.date, T.FLOAT: float, T.DOUBLE: float} | dict.fromkeys(_BITS, int)


class RowReader:
    """Reads rows of one table.

    A row has every column of the table by name: str, int, float, bool; a timestamp is epoch milliseconds or an aware datetime, a date
    `datetime.date`; None is NULL.
    """

    def __init__(self, table: Table):
        self.table = table
        self._columns = list(table.columns.items())
        types = list(table.columns.values())
        self._get = itemgetter(*table.columns, *list(table.columns)[:1])  # one more, so that it is a tuple in any case
        self._types = tuple(_PLAIN[type_] for type_ in [*types, types[0]])
        self._texts = [place for place, type_ in enumerate(types) if type_ is T.STRING]
        self._wholes = [(place, 1 << _BITS[type_]) for place, type_ in enumerate(types) if type_ in _BITS]
        self._others = [(place, type_) for place, type_ in enumerate(types) if type_ in (T.FLOAT, T.DATE)]

    def read(self, row: Row, number: int = 0) -> Cells:
        """The row's storage values in the table's order of columns.

        Raises:
            DataError: a column is missing or unknown, or a value is not of its type; it names row and column.
        """
        try:
            values = self._get(row)
            if len(row) != len(self._columns):
                raise KeyError
            if tuple(map(type, values)) != self._types:  # a NULL, or a type that has to be converted
                return [None if row[name] is None else _read(row[name], type_) for name, type_ in self._columns]
            cells = list(values[:-1])
            if not "".join([values[place] for place in self._texts]).isascii():
                for place in self._texts:
                    values[place].encode()  # refuses half of a surrogate pair
            for place, limit in self._wholes:
                if not -limit <= values[place] < limit:
                    raise ValueError
            for place, type_ in self._others:
                cells[place] = _read(values[place], type_)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise self._explained(row, number) from None
        return cells

    def columns(self, rows: Sequence[Row]) -> dict[str, Sequence[Any]]:
        """The storage values of several rows by column.

        Raises:
            DataError: as `read`.
        """
        cells = [self.read(row, number) for number, row in enumerate(rows)]
        return dict(zip(self.table.columns, zip(*cells, strict=True) if cells else [()] * len(self._columns), strict=True))

    def _explained(self, row: Row, number: int) -> DataError:
        place = f"row {number} of {self.table.name!r}"
        if not isinstance(row, Mapping):
            return DataError(f"{place} is no mapping of columns to values.")
        for name in self.table.columns:
            if name not in row:
                return DataError(f"{place} has no column {name!r}.")
        for name in row:
            if name not in self.table.columns:
                return DataError(f"{place} has a column {name!r} that the table has not.", hint=nearest(name, self.table.columns))
        for name, type_ in self.table.columns.items():
            try:
                if row[name] is not None:
                    _read(row[name], type_)
            except (TypeError, ValueError, OverflowError):
                return DataError(f"{place}: {name} is {type_.value}, and {row[name]!r:.80} is not.")
        raise AssertionError(f"{place} can be read")


def vectors_of(table: Table, columns: Mapping[str, Sequence[Any]]) -> dict[str, Vector]:
    """Storage values as columns for the batch engine."""
    return {name: Vector.of_values(list(values), table.columns[name]) for name, values in columns.items()}


def single(value: float) -> float:
    """The nearest value that a float column holds."""
    return ctypes.c_float(value).value


def _read(value: Any, type_: SqlType) -> Any:
    """A value as storage takes it."""
    if type_ is T.STRING:
        if isinstance(value, str):
            value.encode()
            return str(value)
    elif type_ is T.BOOL:
        if isinstance(value, bool):
            return value
    elif type_ is T.DATE:
        if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
            return (value - _EPOCH).days
    elif type_ is T.TIMESTAMP and isinstance(value, datetime.datetime):
        return (value - _MOMENT) // datetime.timedelta(milliseconds=1)
    elif type_.is_float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return single(float(value)) if type_ is T.FLOAT else float(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        limit = 1 << _BITS[type_]
        if -limit <= value < limit:
            return int(value)
    raise TypeError


def date_of(days: int | None) -> datetime.date | None:
    """A date column's value as Python shows it."""
    return None if days is None else _EPOCH + datetime.timedelta(days=days)
