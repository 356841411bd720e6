"""LAST JOIN: for each request one row of another table, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from jdrec.engines.embedded.keys import Groups
from jdrec.engines.embedded.vector import Vector
from jdrec.features.spec import Join


def last_join(join: Join, request: Mapping[str, Vector], table: Mapping[str, Vector], rows: int) -> np.ndarray:
    """int64 [rows]: the joined table's row for each request, -1 for none.

    Of several rows with the key the last one in the table's order, or the one with the largest `order_by`, the last of equals; a NULL
    there is smaller than all. A key that is NULL, or has a NULL part, matches nothing.
    """
    groups = Groups([request[left] for left, _ in join.on], rows)
    keys = [table[right] for _, right in join.on]
    group = np.where(known(keys), groups.find(keys), np.int32(-1))
    return last_rows(group, groups.count, table[join.order_by] if join.order_by else None)[groups.numbers]


def known(keys: Sequence[Vector]) -> np.ndarray:
    """bool [rows]: where no part of a key is NULL."""
    return np.logical_and.reduce([key.is_valid for key in keys])


def last_rows(group: np.ndarray, groups: int, order_by: Vector | None) -> np.ndarray:
    """int64 [groups]: the row that each group's join takes, -1 for none.

    Args:
        group: the group of each row, -1 for none.
    """
    candidates = np.flatnonzero(group >= 0)
    if order_by is not None:
        valid = order_by.is_valid[candidates]
        candidates = candidates[np.lexsort((np.where(valid, order_by.data[candidates], 0), valid))]
    chosen = np.full(groups, -1, np.int64)
    chosen[group[candidates]] = candidates  # the last one assigned stays
    return chosen
