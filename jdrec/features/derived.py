"""Derived columns: expressions over one row of a table, given a name."""

from __future__ import annotations

from dataclasses import replace

from jdrec.errors import CheckError, ExpressionError
from jdrec.features.scope import Rows, Scope
from jdrec.features.spec import Derived, Table


def with_derived(table: Table, expressions: dict[str, str]) -> Table:
    """The table with derived columns; each may read the stored columns and the derived ones before it.

    Raises:
        CheckError: a name is taken.
        ExpressionError: an expression is not right.
    """
    for name, text in expressions.items():
        where = f"features.derived.{table.name}.{name}"
        if name.lower() in {column.lower() for column in table.types}:
            raise CheckError(f"table {table.name!r} has a column of that name.", where=where)
        try:
            node, type_ = Scope(Rows(table.name, table.types)).parse(text)
        except ExpressionError as error:
            raise ExpressionError(error.reason, column=error.column, where=where, hint=error.hint) from None
        table = replace(table, derived={**table.derived, name: Derived(name, text, node, type_)})
    return table
