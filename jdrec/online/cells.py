"""What a request's cells hold, and where."""

from __future__ import annotations

from typing import Any

from jdrec.engines.embedded.plan import Result
from jdrec.engines.embedded.vector import Vector
from jdrec.features import expression as ast
from jdrec.features.spec import RowColumn
from jdrec.features.types import SqlType

Key = tuple[str | None, str] | Result
"""What a cell holds: a column of the request table (None) or of a join, or the result of an aggregate."""


class Cells:
    """Which cell holds what.

    Attributes:
        types: in the order of the cells.
    """

    def __init__(self) -> None:
        self._places: dict[Key, int] = {}
        self.types: list[SqlType] = []

    def __len__(self) -> int:
        return len(self.types)

    def add(self, key: Key, type_: SqlType) -> int:
        """Gives it the next cell."""
        self._places[key] = len(self.types)
        self.types.append(type_)
        return self._places[key]

    def place(self, key: Key) -> int:
        return self._places[key]

    def find(self, node: ast.Node, row: tuple[RowColumn, ...]) -> int | None:
        """The cell that holds an expression's value as it stands; None if it has to be computed."""
        if isinstance(node, Result):
            return self._places[key_of(node)]
        if isinstance(node, ast.Column) and node.table is None and row:
            column = next(column for column in row if column.name == node.name)
            place = self._places[(None, column.source)] if column.source is not None else None
            return place if place is not None and self.types[place] is column.type else None
        return self._places[(node.table, node.name)] if isinstance(node, ast.Column) else None


def key_of(node: Result) -> Result:
    """A result wherever it stands in an expression."""
    return Result(0, 0, node.store, node.aggregate, node.is_walk)


def scalar_of(vector: Vector) -> Any:
    """The value of a column of one row."""
    if vector.type is None:
        return None
    if vector.type is SqlType.STRING:
        return vector.plain().data[0].as_py()
    if not vector.is_valid[0]:
        return None
    value = vector.data[0].item()
    return bool(value) if vector.type is SqlType.BOOL else value
