"""LAST JOIN: for each request one row of another table, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from jdrec.engines.embedded.conditions import conjuncts
from jdrec.engines.embedded.expressions import evaluate
from jdrec.engines.embedded.keys import Groups
from jdrec.engines.embedded.vector import Vector
from jdrec.features import expression as ast
from jdrec.features.spec import Join

_MOST_PAIRS = 1 << 21  # requests and candidates that are compared at a time
_FIRST_LOOK, _LOOK_FURTHER = 16, 4  # candidates of a request that are looked at first, and how many times as many then


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
    left, keys = left_keys(join, request, joins), [table[right] for _, right in join.on]
    for one, other in equalities(join, request, joins, table):  # rows that are not equal cannot satisfy the condition
        left, keys = [*left, one], [*keys, other]
    groups = Groups(left, rows)
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


def equalities(
    join: Join, request: Mapping[str, Vector], joins: Mapping[str, Mapping[str, Vector]], table: Mapping[str, Vector]
) -> list[tuple[Vector, Vector]]:
    """Columns on the left and of the joined table that the condition wants to be equal, as far as they can be keys."""
    found = []
    for part in conjuncts(join.condition) if join.condition is not None else []:
        if not isinstance(part, ast.Binary) or part.op != "=":
            continue
        for own, other in ((part.left, part.right), (part.right, part.left)):
            if isinstance(own, ast.Column) and own.table == join.name and isinstance(other, ast.Column) and other.table != join.name:
                left, right = (request if other.table is None else joins[other.table])[other.name], table[own.name]
                if left.type is right.type and left.type is not None and not left.type.is_float:
                    found.append((left, right))
    return found


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

    def satisfy(self, condition: ast.Node) -> np.ndarray:
        """bool [pairs]: where a condition is true."""
        holds = evaluate(condition, self).spread(len(self.row))
        return holds.is_valid & (holds.data != 0)


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
    pairs = partial(_Pairs, join.name, request, joins, table)
    if join.order_by is not None and counts.max(initial=0) > _FIRST_LOOK:
        counts = _earlier(join, pairs, table[join.order_by], candidates, begins, counts)
    chosen, left, look = np.full(len(counts), -1, np.int64), counts.copy(), _FIRST_LOOK
    waiting = np.flatnonzero(left)
    while len(waiting):  # at more and more candidates, from the last one back, until one satisfies the condition
        looks = np.minimum(left[waiting], look)
        for start, stop in portions(looks, _MOST_PAIRS):
            sizes = looks[start:stop]
            row = np.repeat(waiting[start:stop], sizes)
            first = begins[row] + left[row] - np.repeat(sizes, sizes)
            candidate = candidates[first + np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)]
            kept = np.flatnonzero(pairs(row, candidate).satisfy(join.condition))
            chosen[row[kept]] = candidate[kept]  # the last one assigned stays
        left[waiting] -= looks
        waiting = waiting[(chosen[waiting] < 0) & (left[waiting] > 0)]
        look *= _LOOK_FURTHER
    return chosen


def _earlier(
    join: Join,
    pairs: Callable[[np.ndarray, np.ndarray], _Pairs],
    order_by: Vector,
    candidates: np.ndarray,
    begins: np.ndarray,
    counts: np.ndarray,
) -> np.ndarray:
    """int64 [requests]: how many candidates are left where a condition such as `since < request.at` bounds the column that orders them."""
    assert join.condition is not None
    missing = np.append(0, np.cumsum(~order_by.is_valid[candidates]))  # NULL comes first and satisfies nothing
    nulls = missing[begins + counts] - missing[begins]
    for bound in filter(lambda part: _bounds(part, join), conjuncts(join.condition)):
        low, high = nulls.copy(), counts.copy()
        open_ = np.flatnonzero(low < high)
        while len(open_):
            middle = (low[open_] + high[open_]) // 2
            holds = pairs(open_, candidates[begins[open_] + middle]).satisfy(bound)
            low[open_[holds]] = middle[holds] + 1
            high[open_[~holds]] = middle[~holds]
            open_ = open_[low[open_] < high[open_]]
        counts = np.where(low > nulls, low, 0)
    return counts


def _bounds(node: ast.Node, join: Join) -> bool:
    """Whether a condition compares what orders the candidates with something on the left, so that it holds up to some of them."""
    if not isinstance(node, ast.Binary) or node.op not in ("<", "<=", ">", ">="):
        return False
    own, other = (node.left, node.right) if node.op in ("<", "<=") else (node.right, node.left)
    is_own = isinstance(own, ast.Column) and (own.table, own.name) == (join.name, join.order_by)
    return is_own and not any(isinstance(part, ast.Column) and part.table == join.name for part in ast.walk(other))


def portions(sizes: np.ndarray, most: int) -> Iterator[tuple[int, int]]:
    """Ranges of requests, each of no more than so many items together, but of one request at least."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, before + most, "right")), start + 1)
        yield start, stop
        start = stop
