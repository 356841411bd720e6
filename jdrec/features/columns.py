"""Checks of single columns: that they exist and can be what the configuration wants them to be."""

from __future__ import annotations

from jdrec.errors import CheckError, nearest
from jdrec.features.scope import Rows, no_column
from jdrec.features.spec import Table
from jdrec.features.types import SqlType


def column_type(table: Table | Rows, column: str, where: str) -> SqlType:
    """The type of a table's column.

    Raises:
        CheckError: the table has no such column.
    """
    if column not in table.types:
        raise CheckError(no_column(table.name, column), where=where, hint=nearest(column, table.types))
    return table.types[column]


def check_key(request: Table | Rows, left: str, table: Table | Rows, right: str, where: str) -> None:
    """Checks that a request's column and a table's can be compared as keys.

    Raises:
        CheckError: they do not exist, differ in type, or are floats, which OpenMLDB does not index.
    """
    one, other = column_type(request, left, where), column_type(table, right, where)
    if one is not other:
        message = f"{request.name}.{left} is {one.value} but {table.name}.{right} is {other.value}: keys have the same type."
        raise CheckError(message, where=where)
    if one.is_float:
        raise CheckError(f"{right!r} is {one.value}: a key cannot be a float.", where=where)


def check_time(table: str, columns: dict[str, SqlType], column: str, where: str) -> None:
    """Checks that a column can order rows.

    Raises:
        CheckError: it does not exist, or is neither a timestamp nor a bigint.
    """
    if column not in columns:
        raise CheckError(no_column(table, column), where=where, hint=nearest(column, columns))
    if columns[column] not in (SqlType.TIMESTAMP, SqlType.BIGINT):
        message = f"{table}.{column} is {columns[column].value}: rows are ordered by a timestamp, or a bigint of milliseconds."
        raise CheckError(message, where=where)
