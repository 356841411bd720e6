"""Windows, aggregates and joins as OpenMLDB defines them, written down as plainly as possible: one row after the other.

It knows columns as arguments only, no expressions; it shares nothing with the engine but the `FeatureSet`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from jdrec.features import expression as ast
from jdrec.features.spec import Block, Feature, FeatureSet, Window
from jdrec.features.types import SqlType

Row = dict[str, Any]
Tables = dict[str, list[Row]]

_BITS = {SqlType.SMALLINT: 16, SqlType.INT: 32, SqlType.BIGINT: 64}
_ZERO = {SqlType.STRING: "", SqlType.BOOL: False, SqlType.FLOAT: 0.0, SqlType.DOUBLE: 0.0}


def features(feature_set: FeatureSet, tables: Tables) -> list[Row]:
    """The output row of each request. Times are milliseconds."""
    result = []
    for number, request in enumerate(tables[feature_set.request_table]):
        row: Row = {}
        for block in feature_set.blocks:
            for feature in block.features:
                row[feature.name] = _feature(feature_set, tables, number, request, block, feature)
        result.append(row)
    return result


def _feature(feature_set: FeatureSet, tables: Tables, number: int, request: Row, block: Block, feature: Feature) -> Any:
    if feature.window is None:
        assert isinstance(feature.node, ast.Column)
        if feature.node.table is None:
            return request[feature.node.name]
        joined = last_join(feature_set, tables, request, feature.node.table)
        return joined[feature.node.name] if joined is not None else None
    window = feature_set.windows[feature.window]
    current = as_row(block, request)
    before = history(feature_set, tables, number, request, block, window)
    assert isinstance(feature.node, ast.Call)
    types = feature_set.tables[block.union[0]].columns if block.union else feature_set.request.columns
    return aggregate(feature.node, frame(window, current, before), current, before, types)


def as_row(block: Block, request: Row) -> Row:
    """The request as a row of the block's schema."""
    if not block.row:
        return request
    return {c.name: request[c.source] if c.source is not None else _ZERO.get(c.type, 0) for c in block.row}


def last_join(feature_set: FeatureSet, tables: Tables, request: Row, name: str) -> Row | None:
    """The last inserted row with the key, or the one with the largest value, the last of equals."""
    join = feature_set.joins[name]
    found = [row for row in tables[join.table] if all(request[left] is not None and request[left] == row[right] for left, right in join.on)]
    if join.order_by is not None:
        found = sorted(found, key=lambda row: float("-inf") if row[join.order_by] is None else row[join.order_by])
    return found[-1] if found else None


def history(feature_set: FeatureSet, tables: Tables, number: int, request: Row, block: Block, window: Window) -> list[tuple[int, Row]]:
    """(time, row) of all rows that came before the request's in its partition, newest first."""
    now = request[feature_set.request_time]
    rows: list[tuple[tuple[int, int, int], int, Row]] = []
    if not window.instance_not_in_window:
        keys = window.request_keys
        for place, other in enumerate(tables[feature_set.request_table]):
            time = other[feature_set.request_time]
            if all(other[key] == request[key] for key in keys) and (time < now or (time == now and place < number)):
                rows.append(((-time, 0, -place), time, as_row(block, other)))
    for age, table in enumerate(window.union, start=1):
        for place, other in enumerate(tables[table]):
            time = other[window.order_by]
            same = all(other[key] == request[own] for key, own in zip(window.partition_by, window.request_keys, strict=True))
            if same and time is not None and time <= now:
                rows.append(((-time, age, -place), time, other))
    if window.exclude_current_time:
        rows = [item for item in rows if item[1] != now]
    return [(time, row) for _, time, row in sorted(rows, key=lambda item: item[0])]


def frame(window: Window, current: Row, before: list[tuple[int, Row]]) -> list[Row]:
    """The window's rows, newest first."""
    start = window.start.value - window.start.open
    end = window.end.value + window.end.open
    has_current = end == 0 and not window.exclude_current_row
    if window.frame == "rows":
        rows = [row for place, (_, row) in enumerate(before, start=1) if end <= place <= start]
    else:
        now = current[window.order_by]
        latest, earliest = max(now - end, 0) if end else now, max(now - start, 0)
        rows = [row for time, row in before if earliest <= time <= latest]
        if window.max_size is not None:
            rows = rows[: window.max_size - has_current]
    return [current, *rows] if has_current else rows


def aggregate(call: ast.Call, rows: list[Row], current: Row, before: list[tuple[int, Row]], types: dict[str, SqlType]) -> Any:
    """One aggregate of columns over the frame."""
    first = call.args[0]
    if call.name == "at":
        return _at(first.name, call.args[1].value, current, before)
    if isinstance(first, ast.Star):
        return len(rows) if call.name == "count" else sum(_holds(call.args[1], row, rows[0]) for row in rows)
    type_ = types[first.name]
    column = [row[first.name] for row in rows]
    values = [value for value in column if value is not None]
    if call.name == "count_where":
        return sum(row[first.name] is not None and _holds(call.args[1], row, rows[0]) for row in rows)
    if call.name == "topn_frequency":
        return topn_frequency(column, values, call.args[1].value)
    return _SIMPLE[call.name](column, values, type_)


def _at(name: str, n: int, current: Row, before: list[tuple[int, Row]]) -> Any:
    if n == 0:
        return current[name]
    return before[n - 1][1][name] if 0 < n <= len(before) else None


def _holds(condition: ast.Node, row: Row, newest: Row) -> bool:
    """x = constant, x = at(x, 0), or both; at looks at the frame's newest row."""
    assert isinstance(condition, ast.Binary)
    if condition.op == "and":
        return _holds(condition.left, row, newest) and _holds(condition.right, row, newest)
    left, right = condition.left, condition.right
    assert isinstance(left, ast.Column)
    other = right.value if isinstance(right, ast.Literal) else newest[left.name]
    return row[left.name] is not None and other is not None and row[left.name] == other


def topn_frequency(column: list[Any], values: list[Any], n: int) -> str:
    if not column:
        return ""
    ranked = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0].encode() if isinstance(item[0], str) else item[0]))
    texts = [f"{key:f}" if isinstance(key, float) else str(key) for key, _ in ranked[:n]]
    return ",".join(texts + ["NULL"] * (n - len(texts)))


def _sum(column: list[Any], values: list[Any], type_: SqlType) -> Any:
    if not values:
        return None
    if type_ in _BITS:
        half = 1 << (_BITS[type_] - 1)
        return (sum(values) + half) % (2 * half) - half
    total = np.float32(0) if type_ is SqlType.FLOAT else 0.0
    with np.errstate(over="ignore"):
        for value in values:
            total = total + (np.float32(value) if type_ is SqlType.FLOAT else value)
    return float(total)


def _avg(column: list[Any], values: list[Any], type_: SqlType) -> Any:
    total = 0.0
    for value in values:
        total += value
    return total / len(values) if values else None


def _extreme(pick: Callable[..., Any]) -> Callable[..., Any]:
    def apply(column: list[Any], values: list[Any], type_: SqlType) -> Any:
        return pick(values, key=lambda value: value.encode() if isinstance(value, str) else value) if values else None

    return apply


_SIMPLE: dict[str, Callable[[list[Any], list[Any], SqlType], Any]] = {
    "count": lambda column, values, type_: len(values),
    "distinct_count": lambda column, values, type_: len({_ZERO.get(type_, 0) if value is None else value for value in column}),
    "top1_ratio": lambda column, values, type_: max(Counter(values).values()) / len(values) if values else 0.0,
    "sum": _sum,
    "avg": _avg,
    "min": _extreme(min),
    "max": _extreme(max),
    "first_value": lambda column, values, type_: column[-1] if column else None,
}
