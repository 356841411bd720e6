"""The indexes, with their time to live, that a deployed query needs on its tables.

Rules: OpenMLDB documentation, "CREATE TABLE", and what its compiler derives from the same query (a test compares the two).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from jdrec.features import expression as ast
from jdrec.features.spec import FeatureSet, Window


@dataclass(frozen=True)
class Index:
    """An index: rows of equal `key` in order of `ts`.

    A row is kept as long as it is younger than `minutes` or among the newest `rows`; one that is 0 does not count. With neither, rows are
    kept for ever; `forever` says that one of the two is to count as endless.
    """

    key: tuple[str, ...]
    ts: str | None
    minutes: int = 0
    rows: int = 0
    forever: Literal["minutes", "rows"] | None = None

    @property
    def ttl_type(self) -> str:
        """absandlat: a row goes when neither its age nor its rank keeps it."""
        if self.forever:
            return "absolute" if self.forever == "minutes" else "latest"
        return "absandlat" if self.minutes and self.rows else "absolute" if self.minutes else "latest"

    @property
    def ttl(self) -> str:
        if self.forever:
            return "0m" if self.forever == "minutes" else "0"
        parts = ([f"{self.minutes}m"] if self.minutes else []) + ([str(self.rows)] if self.rows else [])
        return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def needed_indexes(feature_set: FeatureSet) -> dict[str, tuple[Index, ...]]:
    """For each table, the indexes that the features' windows and joins need, in order of first use."""
    found: dict[str, dict[tuple[frozenset[str], str | None], Index]] = {name: {} for name in feature_set.tables}
    for table, index in _uses(feature_set):
        if not set(feature_set.tables[table].columns) >= {*index.key, *([index.ts] if index.ts is not None else [])}:
            continue  # a derived column has no index
        known = found[table].get(slot := (frozenset(index.key), index.ts))
        merged = _merged(known, index) if known else index
        found[table][slot] = merged
    return {table: tuple(indexes.values()) for table, indexes in found.items()}


def _merged(one: Index, other: Index) -> Index:
    forever = "minutes" if "minutes" in (one.forever, other.forever) else one.forever or other.forever
    return replace(one, minutes=max(one.minutes, other.minutes), rows=max(one.rows, other.rows), forever=forever)


def _uses(feature_set: FeatureSet) -> Iterator[tuple[str, Index]]:
    for block in feature_set.blocks:
        for feature in block.features:
            if feature.window is not None:
                window = feature_set.windows[feature.window]
                for depth in _depths(feature.node, window):
                    yield from _window_indexes(feature_set, window, depth)
        for name in block.joins:
            join = feature_set.joins[name]
            yield join.table, Index(tuple(right for _, right in join.on), join.order_by, rows=1)


def _depths(node: ast.Node, window: Window) -> Iterator[Index]:
    """How far back the aggregates of an expression look, as an index without key. `at` looks by rows, past the frame."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and call.name == "at":
            offset = ast.constant(call.args[1])
            assert isinstance(offset, int)
            yield Index((), None, rows=max(offset, 1))
        elif isinstance(call, ast.Raw) or (isinstance(call, ast.Call) and _is_aggregate(call)):
            is_rows = window.frame == "rows"
            if window.start.unbounded:
                yield Index((), None, forever="rows" if is_rows else "minutes")
            elif is_rows:
                yield Index((), None, rows=max(window.start.value - window.start.open, 1))
            else:
                yield Index((), None, minutes=max(-(-window.start.value // 60_000), 1))


def _is_aggregate(call: ast.Call) -> bool:
    from jdrec.features.functions import FUNCTIONS

    return FUNCTIONS[call.name].is_aggregate


def _window_indexes(feature_set: FeatureSet, window: Window, depth: Index) -> Iterator[tuple[str, Index]]:
    if not window.instance_not_in_window:
        time = feature_set.request_time if window.union else window.order_by
        yield feature_set.request_table, replace(depth, key=window.request_keys, ts=time)
    for table in window.union:
        yield table, replace(depth, key=window.partition_by, ts=window.order_by)
