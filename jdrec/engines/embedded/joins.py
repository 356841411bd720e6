"""LAST JOIN: for each request one row of another table, or none."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jdrec.engines.embedded.keys import Groups
from jdrec.engines.embedded.vector import Vector
from jdrec.features.spec import Join


def last_join(join: Join, request: Mapping[str, Vector], table: Mapping[str, Vector], rows: int) -> np.ndarray:
    """int64 [rows]: the joined table's row for each request, -1 for none.

    Of several rows with the key the last one in the table's order, or the one with the largest `order_by`, the last of equals; a NULL
    there is smaller than all. NULL keys match each other.
    """
    groups = Groups([request[left] for left, _ in join.on], rows)
    group = groups.find([table[right] for _, right in join.on])
    candidates = np.flatnonzero(group >= 0)
    if join.order_by is not None:
        by = table[join.order_by]
        valid = by.is_valid[candidates]
        candidates = candidates[np.lexsort((np.where(valid, by.data[candidates], 0), valid))]
    chosen = np.full(groups.count, -1, np.int64)
    chosen[group[candidates]] = candidates  # the last one assigned stays
    return chosen[groups.numbers]
