"""Where expressions find their columns: rows of a table, a request as a row of a union, or all that an output column may read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jdrec.engines.embedded import casts
from jdrec.engines.embedded.vector import Vector
from jdrec.features import expression as ast
from jdrec.features.spec import RowColumn
from jdrec.features.types import SqlType


@dataclass(frozen=True)
class TableRows:
    """The rows of one table, and of its joins."""

    columns: Mapping[str, Vector]
    joins: Mapping[str, Mapping[str, Vector]] = field(default_factory=dict)

    def column(self, node: ast.Column) -> Vector:
        if node.table is not None:
            return self.joins[node.table][node.name]
        return self.columns[node.name]

    def other(self, node: ast.Node) -> Vector:
        raise TypeError(f"{type(node).__name__} is not an expression over one row")


@dataclass(frozen=True)
class OutputRows:
    """What output columns are computed from.

    Attributes:
        request: the request table's columns.
        joins: each join's columns, for the same rows.
        row: how the request becomes the block's row; empty: it is one.
        results: gives the values of a `plan.Result`.
    """

    request: Mapping[str, Vector]
    joins: Mapping[str, Mapping[str, Vector]]
    row: tuple[RowColumn, ...]
    results: Callable[[Any], Vector]

    def column(self, node: ast.Column) -> Vector:
        if node.table is not None:
            return self.joins[node.table][node.name]
        return as_row(self.request, self.row)[node.name] if self.row else self.request[node.name]

    def other(self, node: ast.Node) -> Vector:
        return self.results(node)


def as_row(request: Mapping[str, Vector], row: tuple[RowColumn, ...]) -> Mapping[str, Vector]:
    """A request as a row of a union's schema; a constant stands for a column that the request does not fill."""
    if not row:
        return request
    return {
        column.name: zero(column.type) if column.source is None else casts.cast(request[column.source], column.type)
        for column in row
        if column.source is None or column.source in request
    }


def zero(type_: SqlType) -> Vector:
    """The type's zero value for every row: '', 0 or the epoch."""
    return Vector.of_value("" if type_ is SqlType.STRING else 0, type_)
