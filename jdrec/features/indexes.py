"""The indexes, with their time to live, that a deployed query needs on its tables.

Rules: OpenMLDB documentation, "CREATE TABLE", and what its compiler derives from the same query (a test compares the two).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from jdrec.features import expression as ast
from jdrec.features.spec import FeatureSet, Window


@dataclass(frozen=True)
class Index:
    """An index: rows of equal `key` in order of `ts`.

    A row is kept as long as it is younger than `minutes` or among the newest `rows`; one that is 0 does not count.
    """

    key: tuple[str, ...]
    ts: str | None
    minutes: int = 0
    rows: int = 0

    @property
    def ttl_type(self) -> str:
        """absandlat: a row goes when neither its age nor its rank keeps it."""
        return "absandlat" if self.minutes and self.rows else "absolute" if self.minutes else "latest"

    @property
    def ttl(self) -> str:
        parts = ([f"{self.minutes}m"] if self.minutes else []) + ([str(self.rows)] if self.rows else [])
        return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def needed_indexes(feature_set: FeatureSet) -> dict[str, tuple[Index, ...]]:
    """For each table, the indexes that the features' windows and joins need, in order of first use."""
    found: dict[str, dict[tuple[frozenset[str], str | None], Index]] = {name: {} for name in feature_set.tables}
    for table, index in _uses(feature_set):
        known = found[table].get(slot := (frozenset(index.key), index.ts))
        merged = replace(known, minutes=max(known.minutes, index.minutes), rows=max(known.rows, index.rows)) if known else index
        found[table][slot] = merged
    return {table: tuple(indexes.values()) for table, indexes in found.items()}


def _uses(feature_set: FeatureSet) -> Iterator[tuple[str, Index]]:
    for block in feature_set.blocks:
        for feature in block.features:
            if feature.window is not None:
                for minutes, rows in _depths(feature.node, feature_set.windows[feature.window]):
                    yield from _window_indexes(feature_set, feature_set.windows[feature.window], minutes, rows)
        for name in block.joins:
            join = feature_set.joins[name]
            yield join.table, Index(tuple(right for _, right in join.on), join.order_by, rows=1)


def _depths(node: ast.Node, window: Window) -> Iterator[tuple[int, int]]:
    """How far back the aggregates of an expression look, in minutes or in rows. `at` looks by rows, past the frame."""
    for call in ast.walk(node):
        if not isinstance(call, ast.Call) or not _is_aggregate(call):
            continue
        if call.name == "at":
            offset = ast.constant(call.args[1])
            assert isinstance(offset, int)
            yield 0, max(offset, 1)
        elif window.frame == "rows":
            yield 0, max(window.start.value - window.start.open, 1)
        else:
            yield max(-(-window.start.value // 60_000), 1), 0


def _is_aggregate(call: ast.Call) -> bool:
    from jdrec.features.functions import FUNCTIONS

    return FUNCTIONS[call.name].is_aggregate


def _window_indexes(feature_set: FeatureSet, window: Window, minutes: int, rows: int) -> Iterator[tuple[str, Index]]:
    if not window.instance_not_in_window:
        time = feature_set.request_time if window.union else window.order_by
        yield feature_set.request_table, Index(window.request_keys, time, minutes, rows)
    for table in window.union:
        yield table, Index(window.partition_by, window.order_by, minutes, rows)
