"""The aggregates of one feature: what they are to the kernels, and where their columns lie in the window's store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from jdrec.engines.embedded import expressions
from jdrec.engines.embedded.conditions import conjuncts, has_at, masked, replace_outermost, same_as_current
from jdrec.engines.embedded.layout import MOST_TOP_VALUES, Function
from jdrec.engines.embedded.limits import refuse
from jdrec.engines.embedded.plan import Aggregate, Cell, Nth, Result, StoreColumn, Walk
from jdrec.engines.embedded.zeros import Undefined, filled
from jdrec.features import expression as ast
from jdrec.features.functions import FUNCTIONS
from jdrec.features.infer import Inference
from jdrec.features.spec import Block, Feature
from jdrec.features.types import SqlType

if TYPE_CHECKING:
    from jdrec.engines.embedded.planner import Planner

Item = TypeVar("Item")

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


class Windowed:
    """Puts one feature's aggregates into its window's store."""

    def __init__(self, planner: Planner, block: Block, feature: Feature, node: ast.Node):
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
        return replace_outermost(self.node, self._lift)

    def _lift(self, node: ast.Node) -> ast.Node | None:
        if not isinstance(node, ast.Call) or not FUNCTIONS[node.name].is_aggregate:
            return None
        if node.name in _WALKED or (node.name.endswith("_where") and self.looks_around(node)):
            walk = self.walk(node)
            return Result(node.start, node.end, self.number, _place(self.store.walks, walk), True)
        return Result(node.start, node.end, self.number, _place(self.store.aggregates, self.aggregate(node)))

    def looks_around(self, call: ast.Call) -> bool:
        """Whether the condition reads other rows of the frame, in a way that no kernel has."""
        if not has_at(call):
            return False
        if call.name != "count_where":
            return True
        parts = [part for part in conjuncts(call.args[-1]) if has_at(part)]
        return len(parts) != 1 or same_as_current(parts[0]) is None

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
            if not has_at(part):
                return Cell(0, 0, self.column(part))
            if isinstance(part, ast.Call) and part.name == "at":
                return Nth(0, 0, self.column(part.args[0]), self.number_in(part.args[1]))
            reason = expressions.supports(part)
            if reason is not None:
                raise refuse(self.feature.path, reason)
            return None

        return replace_outermost(node, lift)

    def aggregate(self, call: ast.Call) -> Aggregate:
        type_ = self.inference.type_of(call)
        assert type_ is not None
        if call.name in ("count", "count_where"):
            return self.count(call, type_)
        if call.name in _MASKED:
            return Aggregate(_MASKED[call.name], self.window, self.column(masked(call)), type_, n=1)
        if call.name in _TALLIED:
            column = self.column(self.counted(call) if call.name == "distinct_count" else call.args[0])
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
        for part in conjuncts(condition):
            if not has_at(part):
                rows = part if rows is None else ast.Binary(rows.start, part.end, "and", rows, part)
                continue
            same = same_as_current(part)
            if same is None or match is not None:
                raise refuse(self.feature.path, f"the condition {self.text(part)!r} (it has x = at(x, 0), once)")
            match = self.column(same)
        return rows, match

    def counted(self, call: ast.Call) -> ast.Node:
        """What distinct_count counts of each row.

        Raises:
            CheckError: OpenMLDB's value of its NULLs is not defined.
        """
        try:
            return filled(call.args[0], self.inference)
        except Undefined:
            what = f"{self.text(call)!r}, for what OpenMLDB counts where its argument is NULL is not defined: put if_null around that"
            raise refuse(self.feature.path, what) from None

    def column(self, node: ast.Node) -> int:
        """The number of the store's column that holds this value of each row."""
        type_ = self.inference.type_of(node)
        if type_ is None:
            raise refuse(self.feature.path, "an aggregate of null")
        if has_at(node):
            raise refuse(self.feature.path, f"at within an aggregate's argument {self.text(node)!r}")
        self.planner.check(node, self.feature.path)
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


def _place(items: list[Item], item: Item) -> int:
    """Where an item is in a list; it is added if need be."""
    if item not in items:
        items.append(item)
    return items.index(item)
