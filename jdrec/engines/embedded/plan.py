"""What the engine has to do for a feature set: stores of sorted rows, windows and aggregates over them, joins, output expressions.

`planner` makes it from the definition alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa

from jdrec.engines.embedded.layout import Function
from jdrec.features import expression as ast
from jdrec.features.spec import Feature, FeatureSet, Join, RowColumn, Window
from jdrec.features.types import SqlType

_ORDERED = (Function.TOPN_FREQUENCY, Function.MIN, Function.MAX)  # these compare values


@dataclass(frozen=True)
class Result(ast.Node):
    """Stands in an output expression for the result of an aggregate, or of a walk."""

    store: int
    aggregate: int
    is_walk: bool = False


@dataclass(frozen=True)
class Cell(ast.Node):
    """Stands in a walk's condition for a value of the row at hand."""

    column: int


@dataclass(frozen=True)
class Nth(ast.Node):
    """Stands in a walk's condition for the value of the n-th newest row of the frame, counted from 0."""

    column: int
    n: int


@dataclass(frozen=True)
class StoreColumn:
    """A value that aggregates read from each row of a store."""

    node: ast.Node
    type: SqlType


@dataclass(frozen=True)
class Aggregate:
    """One aggregate over one window of a store; numbers are positions in the store's lists."""

    function: Function
    window: int
    column: int | None
    type: SqlType
    n: int = 0
    condition: int | None = None
    match: int | None = None
    tally: int | None = None

    @property
    def words(self) -> int:
        """Words of its result: a status and the values."""
        if self.function is Function.FRAME:
            return 3
        return 1 + (self.n if self.function is Function.TOPN_FREQUENCY else 1)


@dataclass(frozen=True)
class Walk:
    """An aggregate over all rows of a frame at once (see `frames`); numbers are positions in the store's lists.

    Attributes:
        columns: x, then the category if there is one; empty for `*`.
        condition: over `Cell` and `Nth`.
        frame: the aggregate that says where frames lie.
    """

    name: str
    window: int
    columns: tuple[int, ...]
    type: SqlType
    frame: int
    condition: ast.Node | None = None
    n: float = 0


@dataclass
class Store:
    """Rows of some tables, merged and sorted by (key, time), and what is computed over them.

    Attributes:
        tables: the union's tables, the newest first where times are equal; empty: the request table's rows only.
        has_requests: the request table's rows are in it, newer than others of the same time.
        keys, time: the key and time columns of the windowed rows; request_keys: the request table's key columns.
        row: how a request becomes a row of the union's schema; empty: it is one as it stands.
    """

    tables: tuple[str, ...]
    has_requests: bool
    keys: tuple[str, ...]
    request_keys: tuple[str, ...]
    time: str
    row: tuple[RowColumn, ...]
    windows: list[Window] = field(default_factory=list)
    columns: list[StoreColumn] = field(default_factory=list)
    tallies: list[tuple[int, int]] = field(default_factory=list)  # (window, column)
    aggregates: list[Aggregate] = field(default_factory=list)
    walks: list[Walk] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Words of one row's results."""
        return sum(aggregate.words for aggregate in self.aggregates)

    @property
    def offsets(self) -> list[int]:
        """First word of each aggregate's result."""
        result, total = [], 0
        for aggregate in self.aggregates:
            result.append(total)
            total += aggregate.words
        return result

    def is_ordered(self, column: int) -> bool:
        """Whether its values are compared, so that codes must be in order."""
        return any(aggregate.column == column and aggregate.function in _ORDERED for aggregate in self.aggregates) or any(
            column in walk.columns for walk in self.walks
        )


@dataclass(frozen=True)
class Output:
    """One output column: an expression over the request, its joins and the results of aggregates.

    row: how columns of the block's rows come from the request; empty: they are the request table's own.
    """

    feature: Feature
    node: ast.Node
    row: tuple[RowColumn, ...]


@dataclass(frozen=True)
class Plan:
    """What to do for a feature set."""

    feature_set: FeatureSet
    stores: tuple[Store, ...]
    joins: tuple[Join, ...]
    outputs: tuple[Output, ...]

    @cached_property
    def schema(self) -> pa.Schema:
        """The output's columns."""
        return pa.schema([(output.feature.name, output.feature.type.arrow) for output in self.outputs])

    def columns_read(self, table: str) -> dict[str, bool]:
        """The columns of a table that the engine needs, and whether their strings are best read as codes (keys and windowed values)."""
        result = self.whole_columns(table)
        for name, encoded in self.window_columns(table).items():
            result[name] = result.get(name, False) or encoded
        return result

    def window_columns(self, table: str) -> dict[str, bool]:
        """As `columns_read`, of what windows over the table read of its rows."""
        result: dict[str, bool] = {}
        for store in self.stores:
            if table in store.tables:
                result.update(dict.fromkeys((*store.keys, store.time), True))
                for column in store.columns:
                    result.update(dict.fromkeys(names_in(column.node), True))
        return result

    def whole_columns(self, table: str) -> dict[str, bool]:
        """As `columns_read`, of what requests and joins read, which look at rows in no order."""
        result: dict[str, bool] = {}

        def need(name: str, encoded: bool) -> None:
            result[name] = result.get(name, False) or encoded

        is_request = table == self.feature_set.request_table
        if is_request:
            need(self.feature_set.request_time, False)
            for store in self.stores:
                sources = {column.name: column.source for column in store.row}
                for name in store.request_keys:
                    need(name, True)
                for column in store.columns:
                    for name in names_in(column.node):
                        if sources.get(name, None if store.row else name) is not None:
                            need(sources.get(name) or name, True)
        for join in self.joins:
            for via, left, right in join.keys:
                if is_request and via is None:
                    need(left, True)
                if table == join.table:
                    need(right, True)
            if table == join.table and join.order_by:
                need(join.order_by, False)
            if is_request and join.condition is not None:
                for name in names_in(join.condition):
                    need(name, False)
            if table == join.table:
                for name in self.joined_columns(join.name):
                    need(name, False)
        for output in self.outputs:
            sources = {column.name: column.source for column in output.row}
            for name in names_in(output.node):
                if is_request and sources.get(name, None if output.row else name) is not None:
                    need(sources.get(name) or name, False)
        return result

    def joined_columns(self, name: str) -> set[str]:
        """The columns of a join that features, other joins' keys and conditions read."""
        columns = [column for output in self.outputs for column in output.feature.columns]
        for join in self.joins:
            columns += [ast.Column(0, 0, left, via) for via, left, _ in join.keys]
            columns += [node for node in ast.walk(join.condition) if isinstance(node, ast.Column)] if join.condition is not None else []
        return {column.name for column in columns if column.table == name}

    @property
    def has_windows_over_joins(self) -> bool:
        """Whether an aggregate reads the joined rows of the rows in its window."""
        nodes = [column.node for store in self.stores for column in store.columns]
        return any(isinstance(part, ast.Column) and part.table is not None for node in nodes for part in ast.walk(node))


def names_in(node: ast.Node) -> list[str]:
    """Names of an expression's columns that are no join's."""
    return [item.name for item in ast.walk(node) if isinstance(item, ast.Column) and item.table is None]
