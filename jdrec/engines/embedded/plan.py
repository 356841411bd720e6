"""From a `FeatureSet` to what the engine has to do: stores of sorted rows, windows and aggregates over them, joins, output expressions.

A plan hangs on the definition alone, so whatever this engine cannot do is refused here, before data are read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import pyarrow as pa

from jdrec.engines.embedded import casts, expressions
from jdrec.engines.embedded.derived import closure
from jdrec.engines.embedded.layout import MOST_TOP_VALUES, Function
from jdrec.engines.embedded.limits import check_limits
from jdrec.errors import CheckError
from jdrec.features import expression as ast
from jdrec.features.functions import FUNCTIONS
from jdrec.features.infer import Inference
from jdrec.features.spec import Block, Feature, FeatureSet, Join, RowColumn, Window
from jdrec.features.types import SqlType

T = SqlType
Item = TypeVar("Item")
OTHER_ENGINES = "OpenMLDB itself (engine=openmldb or engine=spark) may have it."

_TALLIED = {
    "distinct_count": Function.DISTINCT_COUNT,
    "topn_frequency": Function.TOPN_FREQUENCY,
    "top1_ratio": Function.TOP1_RATIO,
}
_SCANNED = {
    "sum": Function.SUM,
    "avg": Function.AVG,
    "min": Function.MIN,
    "max": Function.MAX,
    "at": Function.AT,  # or FRAME_AT
    "first_value": Function.FIRST_VALUE,
}
_MASKED = {"sum_where": Function.SUM, "avg_where": Function.AVG, "min_where": Function.MIN, "max_where": Function.MAX}
_WALKED = frozenset(
    {
        *("median", "stddev", "stddev_pop", "var_samp", "var_pop", "ew_avg", "drawdown", "entropy", "top", "nth_value_where"),
        *(f"{statistic}_{shape}" for statistic in ("count", "sum", "avg", "min", "max") for shape in ("cate", "cate_where")),
        *(f"top_n_{choice}_{statistic}_cate_where" for statistic in ("count", "sum", "avg", "min", "max") for choice in ("key", "value")),
        *("top_n_key_ratio_cate", "top_n_value_ratio_cate"),
    }
)
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
        """The table's columns that are needed, and whether each is best read as codes (keys and windowed values)."""
        result: dict[str, bool] = {}

        def need(name: str, encoded: bool) -> None:
            result[name] = result.get(name, False) or encoded

        is_request = table == self.feature_set.request_table
        if is_request:
            need(self.feature_set.request_time, False)
        for store in self.stores:
            sources = {column.name: column.source for column in store.row}
            if is_request:
                for name in store.request_keys:
                    need(name, True)
            if table in store.tables:
                for name in (*store.keys, store.time):
                    need(name, True)
            for column in store.columns:
                for name in names_in(column.node):
                    if table in store.tables:
                        need(name, True)
                    if is_request and sources.get(name, None if store.row else name) is not None:
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


def make_plan(feature_set: FeatureSet) -> Plan:
    """Plans a feature set for the embedded engine.

    Raises:
        CheckError: a function, cast or condition that this engine lacks, naming the feature and the engines that may have it.
    """
    check_limits(feature_set)
    return _Planner(feature_set).plan()


class _Planner:
    def __init__(self, feature_set: FeatureSet):
        self.feature_set = feature_set
        self.stores: list[Store] = []

    def plan(self) -> Plan:
        outputs = [self.output(block, feature) for block in self.feature_set.blocks for feature in block.features]
        plan = Plan(self.feature_set, tuple(self.stores), self.joins(), tuple(outputs))
        for join in plan.joins:
            if join.condition is not None:
                self.check(join.condition, f"features.joins.{join.name}.where", Inference(self.type_in(join.table), windowed=False))
        for name, table in self.feature_set.tables.items():
            for column in closure(table, plan.columns_read(name)) & table.derived.keys():
                inference = Inference(self.type_in(name), windowed=False)
                self.check(table.derived[column].node, f"features.derived.{name}.{column}", inference)
        return plan

    def joins(self) -> tuple[Join, ...]:
        """The joins that features read, and those that these need, each after what it needs."""
        used: set[str] = set()
        waiting = [column.table for block in self.feature_set.blocks for feature in block.features for column in feature.columns]
        while waiting:
            name = waiting.pop()
            if name is not None and name not in used:
                used.add(name)
                waiting += self.feature_set.joins[name].needs
        return tuple(join for name, join in self.feature_set.joins.items() if name in used)

    def type_in(self, table: str) -> Callable[[ast.Column], SqlType]:
        """The types of columns in a derived column of a table, or in the condition of a join."""

        def type_of(column: ast.Column) -> SqlType:
            if column.table is not None:
                return self.feature_set.tables[self.feature_set.joins[column.table].table].types[column.name]
            own = self.feature_set.tables[table].types
            return own[column.name] if column.name in own else self.feature_set.request.types[column.name]

        return type_of

    def output(self, block: Block, feature: Feature) -> Output:
        if feature.is_block_key:  # the request's key, whatever the union's rows are like
            return Output(feature, ast.Column(0, 0, self.feature_set.request_key), ())
        node = self.inlined(feature.node, block)
        if feature.window is not None:
            node = _Windowed(self, block, feature, node).lifted()
        self.check(node, feature.path, Inference(lambda column: self.type_of(column, block), windowed=True))
        return Output(feature, node, block.row)

    def inlined(self, node: ast.Node, block: Block) -> ast.Node:
        """The expression with derived columns of a union's table that are no columns of the row replaced by what they are made of."""
        if not block.row:
            return node
        columns, derived = {item.name for item in block.row}, self.feature_set.tables[block.union[0]].derived

        def expand(part: ast.Node) -> ast.Node:
            if isinstance(part, ast.Column) and part.table is None and part.name not in columns and part.name in derived:
                return ast.transform(derived[part.name].node, expand)
            return part

        return ast.transform(node, expand)

    def type_of(self, column: ast.Column, block: Block) -> SqlType:
        tables = self.feature_set.tables
        if column.table is not None:
            return tables[self.feature_set.joins[column.table].table].types[column.name]
        row = {item.name: item.type for item in block.row}
        rows_of = block.union[0] if block.union else self.feature_set.request_table
        return row.get(column.name) or tables[rows_of].types[column.name]

    def check(self, node: ast.Node, where: str, inference: Inference) -> None:
        """Refuses what the row expressions of this engine lack."""
        if isinstance(node, Result):
            return
        reason = expressions.supports(node)
        if reason is None and isinstance(node, ast.Cast) and not _has_result(node.operand):
            source = inference.type_of(node.operand)
            if not casts.supports(source, node.type):
                reason = f"the cast from {source.value if source else 'null'} to {node.type.value}"
        if reason is not None:
            raise refuse(where, reason)
        for child in ast.children(node):
            self.check(child, where, inference)

    def store(self, window: Window, block: Block) -> int:
        """The number of the store that the window's rows lie in."""
        has_requests = not window.instance_not_in_window
        found = Store(window.union, has_requests, window.partition_by, window.request_keys, window.order_by, block.row)
        for number, store in enumerate(self.stores):
            same = (store.tables, store.has_requests, store.keys, store.request_keys, store.time, store.row)
            if same == (found.tables, found.has_requests, found.keys, found.request_keys, found.time, found.row):
                return number
        self.stores.append(found)
        return len(self.stores) - 1


class _Windowed:
    """Puts one feature's aggregates into its window's store."""

    def __init__(self, planner: _Planner, block: Block, feature: Feature, node: ast.Node):
        assert feature.window is not None
        self.node = node
        self.planner, self.block, self.feature = planner, block, feature
        window = planner.feature_set.windows[feature.window]
        self.number = planner.store(window, block)
        self.store = planner.stores[self.number]
        if window not in self.store.windows:
            self.store.windows.append(window)
        self.window = self.store.windows.index(window)
        self.inference = Inference(lambda column: planner.type_of(column, block), windowed=True)

    def lifted(self) -> ast.Node:
        """The expression with each aggregate call replaced by its `Result`."""
        return _replace_outermost(self.node, self._lift)

    def _lift(self, node: ast.Node) -> ast.Node | None:
        if not isinstance(node, ast.Call) or not FUNCTIONS[node.name].is_aggregate:
            return None
        if node.name in _WALKED or (node.name.endswith("_where") and self.looks_around(node)):
            walk = self.walk(node)
            return Result(node.start, node.end, self.number, _place(self.store.walks, walk), True)
        return Result(node.start, node.end, self.number, _place(self.store.aggregates, self.aggregate(node)))

    def looks_around(self, call: ast.Call) -> bool:
        """Whether the condition reads other rows of the frame, in a way that no kernel has."""
        if not _has_at(call):
            return False
        if call.name != "count_where":
            return True
        parts = [part for part in _conjuncts(call.args[-1]) if _has_at(part)]
        return len(parts) != 1 or _same_as_current(parts[0]) is None

    def walk(self, call: ast.Call) -> Walk:
        type_ = self.inference.type_of(call)
        assert type_ is not None
        rules = FUNCTIONS[call.name].rules_for(len(call.args))
        given = {rule.name: arg for rule, arg in zip(rules, call.args, strict=True)}
        columns = tuple(self.column(given[name]) for name in ("x", "category") if name in given and not isinstance(given[name], ast.Star))
        condition = self.condition(given["condition"]) if "condition" in given else None
        number = given.get("n") or given.get("alpha")
        n = ast.constant(number) if number is not None else 0
        assert n is not None
        frame = _place(self.store.aggregates, Aggregate(Function.FRAME, self.window, None, SqlType.BIGINT))
        return Walk(call.name, self.window, columns, type_, frame, condition, n)

    def condition(self, node: ast.Node) -> ast.Node:
        """A condition over the values of a frame's rows."""

        def lift(part: ast.Node) -> ast.Node | None:
            if isinstance(part, ast.Literal):
                return part
            if not _has_at(part):
                return Cell(0, 0, self.column(part))
            if isinstance(part, ast.Call) and part.name == "at":
                return Nth(0, 0, self.column(part.args[0]), self.number_in(part.args[1]))
            reason = expressions.supports(part)
            if reason is not None:
                raise refuse(self.feature.path, reason)
            return None

        return _replace_outermost(node, lift)

    def aggregate(self, call: ast.Call) -> Aggregate:
        type_ = self.inference.type_of(call)
        assert type_ is not None
        if call.name in ("count", "count_where"):
            return self.count(call, type_)
        if call.name in _MASKED:
            return Aggregate(_MASKED[call.name], self.window, self.column(_masked(call)), type_)
        if call.name in _TALLIED:
            column = self.column(self.filled(call.args[0]) if call.name == "distinct_count" else call.args[0])
            function, n = _TALLIED[call.name], 0
            if function is Function.TOPN_FREQUENCY:
                n = self.number_in(call.args[1])
                if not 1 <= n <= MOST_TOP_VALUES:
                    raise refuse(self.feature.path, f"topn_frequency with n = {n}")
            return Aggregate(function, self.window, column, type_, n, tally=self.tally(column))
        if call.name in _SCANNED:
            if call.name != "at":
                return Aggregate(_SCANNED[call.name], self.window, self.column(call.args[0]), type_)
            # OpenMLDB gives at a window of its own only where it is the whole feature; within an expression it looks into the frame.
            function = Function.AT if call is self.node else Function.FRAME_AT
            return Aggregate(function, self.window, self.column(call.args[0]), type_, self.number_in(call.args[1]))
        raise refuse(self.feature.path, f"the aggregate {call.name}")

    def count(self, call: ast.Call, type_: SqlType) -> Aggregate:
        column = None if isinstance(call.args[0], ast.Star) else self.column(call.args[0])
        count = Aggregate(Function.COUNT, self.window, column, type_)
        if call.name == "count":
            return count
        rows, match = self.split(call.args[1])
        if rows is None and match is not None and column in (None, match):
            return Aggregate(Function.COUNT_SAME, self.window, match, type_, tally=self.tally(match))
        return replace(count, condition=None if rows is None else self.column(rows), match=match)

    def split(self, condition: ast.Node) -> tuple[ast.Node | None, int | None]:
        """A condition as one over the row alone and a column that must equal the frame's newest row's.

        Raises:
            CheckError: it looks at the current row in another way.
        """
        rows: ast.Node | None = None
        match: int | None = None
        for part in _conjuncts(condition):
            if not _has_at(part):
                rows = part if rows is None else ast.Binary(rows.start, part.end, "and", rows, part)
                continue
            same = _same_as_current(part)
            if same is None or match is not None:
                raise refuse(self.feature.path, f"the condition {self.text(part)!r} (it has x = at(x, 0), once)")
            match = self.column(same)
        return rows, match

    def filled(self, node: ast.Node) -> ast.Node:
        """What distinct_count inserts: where an expression is NULL, what it gives with zeros in the NULL columns' places."""
        if isinstance(node, ast.Column | ast.Literal):
            return node
        plain = (ast.Column, ast.Literal, ast.Binary, ast.Unary)
        numbers = all(
            isinstance(part, plain) and ((type_ := self.inference.type_of(part)) is None or type_.is_number) for part in ast.walk(node)
        )
        if not numbers:
            raise refuse(
                self.feature.path, "distinct_count of such an expression, of which OpenMLDB counts NULLs as what it computes of zeros"
            )

        def fill(part: ast.Node) -> ast.Node:
            if not isinstance(part, ast.Column):
                return part
            return ast.Call(0, 0, "if_null", (part, ast.Cast(0, 0, ast.Literal(0, 0, 0, T.INT), self.inference.type_of(part) or T.INT)))

        return ast.Call(0, 0, "if_null", (node, ast.transform(node, fill)))

    def column(self, node: ast.Node) -> int:
        """The number of the store's column that holds this value of each row."""
        type_ = self.inference.type_of(node)
        if type_ is None:
            raise refuse(self.feature.path, "an aggregate of null")
        if _has_at(node):
            raise refuse(self.feature.path, f"at within an aggregate's argument {self.text(node)!r}")
        self.planner.check(node, self.feature.path, self.inference)
        plain = ast.transform(node, lambda item: replace(item, start=0, end=0))
        column = StoreColumn(plain, type_)
        return _place(self.store.columns, column)

    def tally(self, column: int) -> int:
        return _place(self.store.tallies, (self.window, column))

    def number_in(self, node: ast.Node) -> int:
        value = ast.constant(node)
        assert isinstance(value, int)
        return value

    def text(self, node: ast.Node) -> str:
        return self.feature.text[node.start : node.end]


def refuse(where: str, what: str) -> CheckError:
    """The error for something that this engine does not compute."""
    return CheckError(f"the embedded engine has not {what}.", where=where, hint=OTHER_ENGINES)


def _place(items: list[Item], item: Item) -> int:
    """Where an item is in a list; it is added if need be."""
    if item not in items:
        items.append(item)
    return items.index(item)


def _masked(call: ast.Call) -> ast.Node:
    """x where the condition holds, else NULL. For sum and avg OpenMLDB takes `x and condition`: a zero is as if it were not there."""
    x, condition = call.args
    if call.name in ("sum_where", "avg_where"):
        condition = ast.Binary(0, 0, "and", ast.Binary(0, 0, "!=", x, ast.Literal(0, 0, 0, T.INT)), condition)
    return ast.Case(0, 0, None, ((condition, x),), None)


def _replace_outermost(node: ast.Node, change: Callable[[ast.Node], ast.Node | None]) -> ast.Node:
    """A copy in which the topmost nodes that `change` answers for are replaced."""
    changed = change(node)
    if changed is not None:
        return changed
    updates: dict[str, Any] = {}
    for name in node.__dataclass_fields__:
        value = getattr(node, name)
        if isinstance(value, ast.Node):
            updates[name] = _replace_outermost(value, change)
        elif isinstance(value, tuple):
            updates[name] = tuple(
                tuple(_replace_outermost(part, change) for part in item) if isinstance(item, tuple) else _replace_outermost(item, change)
                for item in value
            )
    return replace(node, **updates) if updates else node


def _conjuncts(node: ast.Node) -> list[ast.Node]:
    if isinstance(node, ast.Binary) and node.op == "and":
        return _conjuncts(node.left) + _conjuncts(node.right)
    return [node]


def _has_at(node: ast.Node) -> bool:
    return any(isinstance(item, ast.Call) and item.name == "at" for item in ast.walk(node))


def _has_result(node: ast.Node) -> bool:
    return any(isinstance(item, Result) for item in ast.walk(node))


def _same_as_current(node: ast.Node) -> ast.Node | None:
    """x of `x = at(x, 0)`, either way round."""
    if not isinstance(node, ast.Binary) or node.op != "=":
        return None
    for one, other in ((node.left, node.right), (node.right, node.left)):
        if isinstance(other, ast.Call) and other.name == "at" and isinstance(other.args[1], ast.Literal) and other.args[1].value == 0:
            plain = [ast.transform(item, lambda part: replace(part, start=0, end=0)) for item in (one, other.args[0])]
            return one if plain[0] == plain[1] else None
    return None
