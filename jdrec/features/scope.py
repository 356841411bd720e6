"""Which columns an expression may name, and of what types they are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from jdrec.errors import ExpressionError, nearest
from jdrec.features import expression as ast
from jdrec.features import functions
from jdrec.features.infer import Inference
from jdrec.features.lexer import fail
from jdrec.features.types import SqlType


@dataclass(frozen=True)
class Rows:
    """Rows that columns are read from: what they are called, and their columns."""

    name: str
    types: dict[str, SqlType]


@dataclass(frozen=True)
class Scope:
    """Names of one expression.

    Attributes:
        own: the rows of the block at hand; their columns have no qualifier in the tree.
        joins: by name; their columns are qualified by it in the tree.
        default: the join that an unqualified name belongs to; None: own.
    """

    own: Rows
    joins: dict[str, Rows] = field(default_factory=dict)
    default: str | None = None

    def parse(self, text: str, *, windowed: bool = False) -> tuple[ast.Node, SqlType]:
        """The tree of an expression, with the registry's function names and qualifiers in their canonical form, and its type.

        Raises:
            ExpressionError: with the column and the reason.
        """
        node = ast.transform(ast.parse(text), self._canonical)
        type_ = Inference(self.type_of, windowed=windowed).type_of(node)
        if type_ is None:
            raise ExpressionError("the expression is always NULL.")
        return node, type_

    def type_of(self, column: ast.Column) -> SqlType:
        rows = self.own if column.table is None else self.joins[column.table]
        return rows.types[column.name]

    def _canonical(self, node: ast.Node) -> ast.Node:
        if isinstance(node, ast.Call) and (function := functions.find(node.name)) is not None:
            return replace(node, name=function.name)
        if not isinstance(node, ast.Column):
            return node
        table = node.table
        if table is None:
            table = self.default
        elif table == self.own.name and table not in self.joins:
            table = None
        elif table not in self.joins:
            error = fail(f"there is no {table!r} to read columns from here.", node.start)
            raise ExpressionError(error.reason, column=error.column, hint=nearest(table, [self.own.name, *self.joins]))
        rows = self.own if table is None else self.joins[table]
        if node.name not in rows.types:
            error = fail(no_column(rows.name, node.name), node.start)
            raise ExpressionError(error.reason, column=error.column, hint=nearest(node.name, rows.types))
        return replace(node, table=table)


def no_column(rows: str, column: str) -> str:
    """The message about a column that rows do not have; rows of a union are called "a and b"."""
    return f"tables {rows} share no column {column!r}." if " and " in rows else f"table {rows!r} has no column {column!r}."
