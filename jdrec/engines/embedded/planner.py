"""From a `FeatureSet` to a `Plan`. Whatever this engine cannot do is refused here, before data are read."""

from __future__ import annotations

from jdrec.engines.embedded import expressions
from jdrec.engines.embedded.derived import closure
from jdrec.engines.embedded.limits import check_limits, refuse
from jdrec.engines.embedded.plan import Output, Plan, Result, Store
from jdrec.engines.embedded.windowed import Windowed
from jdrec.features import expression as ast
from jdrec.features.spec import Block, Feature, FeatureSet, Join, Window
from jdrec.features.types import SqlType


def make_plan(feature_set: FeatureSet) -> Plan:
    """Plans a feature set for the embedded engine.

    Raises:
        CheckError: a function, cast or condition that this engine lacks, naming the feature and the engines that may have it.
    """
    check_limits(feature_set)
    return Planner(feature_set).plan()


class Planner:
    """Collects a feature set's stores while it plans one output after the other."""

    def __init__(self, feature_set: FeatureSet):
        self.feature_set = feature_set
        self.stores: list[Store] = []

    def plan(self) -> Plan:
        outputs = [self.output(block, feature) for block in self.feature_set.blocks for feature in block.features]
        plan = Plan(self.feature_set, tuple(self.stores), self.joins(), tuple(outputs))
        for join in plan.joins:
            if join.condition is not None:
                self.check(join.condition, f"features.joins.{join.name}.where")
        for name, table in self.feature_set.tables.items():
            for column in closure(table, plan.columns_read(name)) & table.derived.keys():
                self.check(table.derived[column].node, f"features.derived.{name}.{column}")
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

    def output(self, block: Block, feature: Feature) -> Output:
        if feature.is_block_key:  # the request's key, whatever the union's rows are like
            return Output(feature, ast.Column(0, 0, self.feature_set.request_key), ())
        node = self.inlined(feature.node, block)
        if feature.window is not None:
            node = Windowed(self, block, feature, node).lifted()
        self.check(node, feature.path)
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

    def check(self, node: ast.Node, where: str) -> None:
        """Refuses what the row expressions of this engine lack."""
        if isinstance(node, Result):
            return
        reason = expressions.supports(node)
        if reason is not None:
            raise refuse(where, reason)
        for child in ast.children(node):
            self.check(child, where)

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
