"""LAST JOIN: for each request one row of another table, or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jdrec.engines.embedded.expressions import evaluate
from jdrec.engines.embedded.keys import Groups
from jdrec.engines.embedded.vector import Vector
from jdrec.features import expression as ast
from jdrec.features.spec import Join

_MOST_PAIRS = 1 << 21  # requests and candidates that are compared at a time


def last_join(
    join: Join, request: Mapping[str, Vector], joins: Mapping[str, Mapping[str, Vector]], table: Mapping[str, Vector], rows: int
) -> np.ndarray:
    """int64 [rows]: the joined table's row for each request, -1 for none.

    Of several rows with the key the last one in the table's order, or the one with the largest `order_by`, the last of equals; a NULL
    there is smaller than all. With a condition, the first in that order that satisfies it. A key that is NULL, or has a NULL part, matches
    nothing.

    Args:
        joins: columns of the earlier joins.
    """
    groups = Groups(left_keys(join, request, joins), rows)
    keys = [table[right] for _, right in join.on]
    group = np.where(known(keys), groups.find(keys), np.int32(-1))
    order_by = table[join.order_by] if join.order_by else None
    if join.condition is None:
        return last_rows(group, groups.count, order_by)[groups.numbers]
    candidates = in_order(np.flatnonzero(group >= 0), order_by)
    candidates = candidates[np.argsort(group[candidates], kind="stable")]
    counts = np.bincount(group[candidates], minlength=groups.count)
    begins = np.cumsum(counts) - counts
    return last_satisfying(join, request, joins, table, candidates, begins[groups.numbers], counts[groups.numbers])


def left_keys(join: Join, request: Mapping[str, Vector], joins: Mapping[str, Mapping[str, Vector]]) -> list[Vector]:
    """The key columns on the left: the request's, or an earlier join's."""
    return [request[left] if via is None else joins[via][left] for via, left, _ in join.keys]


def known(keys: Sequence[Vector]) -> np.ndarray:
    """bool [rows]: where no part of a key is NULL."""
    return np.logical_and.reduce([key.is_valid for key in keys])


def in_order(rows: np.ndarray, order_by: Vector | None) -> np.ndarray:
    """The rows in ascending order of a column, NULL first; equal ones as they were."""
    if order_by is None:
        return rows
    valid = order_by.is_valid[rows]
    return rows[np.lexsort((np.where(valid, order_by.data[rows], 0), valid))]


def last_rows(group: np.ndarray, groups: int, order_by: Vector | None) -> np.ndarray:
    """int64 [groups]: the row that each group's join takes, -1 for none.

    Args:
        group: the group of each row, -1 for none.
    """
    candidates = in_order(np.flatnonzero(group >= 0), order_by)
    chosen = np.full(groups, -1, np.int64)
    chosen[group[candidates]] = candidates  # the last one assigned stays
    return chosen


@dataclass(frozen=True)
class _Pairs:
    """Requests beside candidates: the columns that a join's condition reads."""

    join: str
    request: Mapping[str, Vector]
    joins: Mapping[str, Mapping[str, Vector]]
    table: Mapping[str, Vector]
    row: np.ndarray
    candidate: np.ndarray

    def column(self, node: ast.Column) -> Vector:
        if node.table == self.join:
            return self.table[node.name].take(self.candidate)
        return (self.request if node.table is None else self.joins[node.table])[node.name].take(self.row)

    def other(self, node: ast.Node) -> Vector:
        raise TypeError(f"{type(node).__name__} is not an expression over one row")


def last_satisfying(
    join: Join,
    request: Mapping[str, Vector],
    joins: Mapping[str, Mapping[str, Vector]],
    table: Mapping[str, Vector],
    candidates: np.ndarray,
    begins: np.ndarray,
    counts: np.ndarray,
) -> np.ndarray:
    """int64 [requests]: the last of each request's candidates that satisfies the join's condition, -1 for none.

    Args:
        candidates: rows of the table; each request's are those from `begins` on, `counts` of them, the preferred one last.
    """
    assert join.condition is not None
    chosen = np.full(len(counts), -1, np.int64)
    for start, stop in portions(counts, _MOST_PAIRS):
        sizes = counts[start:stop]
        row = np.repeat(np.arange(start, stop), sizes)
        place = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + begins[row]
        candidate = candidates[place]
        holds = evaluate(join.condition, _Pairs(join.name, request, joins, table, row, candidate)).spread(len(row))
        kept = np.flatnonzero(holds.is_valid & (holds.data != 0))
        chosen[row[kept]] = candidate[kept]  # the last one assigned stays
    return chosen


def portions(sizes: np.ndarray, most: int) -> Iterator[tuple[int, int]]:
    """Ranges of requests, each of no more than so many items together, but of one request at least."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, before + most, "right")), start + 1)
        yield start, stop
        start = stop
