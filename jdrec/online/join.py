"""LAST JOIN at request time: the row of each key that a join would take, kept up to date."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jdrec.engines.embedded.joins import in_order, known, last_satisfying, left_keys
from jdrec.engines.embedded.vector import Vector, concatenate
from jdrec.features.spec import Join
from jdrec.online.store import key_names


class OnlineJoin:
    """The joined table's newest row for each key; with a condition all of them. A key with a NULL has none. Not safe for several threads.

    Args:
        columns: the joined table's columns that are read.
        table: its first rows.
    """

    def __init__(self, join: Join, columns: list[str], table: Mapping[str, Vector]):
        self.join = join
        self._columns = {name: table[name].plain() for name in columns}
        self._rows = 0
        self._rows_of: dict[Any, list[int]] = {}  # by key, the preferred row last; without a condition it alone
        self._order: list[float] = []
        self._new: list[dict[str, Vector]] = []
        self._add(table, len(table[join.on[0][1]]))

    def insert(self, columns: Mapping[str, Vector], rows: int) -> None:
        """Adds rows in order of arrival."""
        self._add(columns, rows)
        self._new.append({name: columns[name] for name in self._columns})

    def look_up(self, request: Mapping[str, Vector], joins: Mapping[str, Mapping[str, Vector]], rows: int) -> dict[str, Vector]:
        """The joined columns for requests, NULL where there is no such row.

        Args:
            joins: what earlier joins gave for the requests.
        """
        self._merge()
        found = [self._rows_of.get(name, []) for name in key_names(left_keys(self.join, request, joins), rows)]
        if self.join.condition is None:
            chosen = np.array([candidates[-1] if candidates else -1 for candidates in found], np.int64)
        else:
            counts = np.array([len(candidates) for candidates in found], np.int64)
            every = np.array([row for candidates in found for row in candidates], np.int64)
            begins = np.cumsum(counts) - counts
            chosen = last_satisfying(self.join, request, joins, self._columns, every, begins, counts)
        return {name: vector.take(chosen) for name, vector in self._columns.items()}

    def _add(self, columns: Mapping[str, Vector], rows: int) -> None:
        keys = [columns[right] for _, right in self.join.on]
        names, matchable = key_names(keys, rows), known(keys)
        order = columns[self.join.order_by] if self.join.order_by else None
        if order is not None:
            self._order += _order_values(order)
        for row in in_order(np.flatnonzero(matchable), order).tolist():
            self._place(self._rows_of.setdefault(names[row], []), self._rows + row)
        self._rows += rows

    def _place(self, candidates: list[int], row: int) -> None:
        if self.join.condition is None:
            if not candidates or not self._order or self._order[row] >= self._order[candidates[-1]]:
                candidates[:] = [row]
            return
        place = len(candidates)
        while self._order and place and self._order[candidates[place - 1]] > self._order[row]:
            place -= 1
        candidates.insert(place, row)

    def _merge(self) -> None:
        if self._new:
            self._columns = {name: concatenate([vector, *(part[name] for part in self._new)]) for name, vector in self._columns.items()}
            self._new = []


def _order_values(time: Vector) -> list[float]:
    """What rows are compared by; NULL is smaller than all."""
    return [value if valid else float("-inf") for value, valid in zip(time.data.tolist(), time.is_valid.tolist(), strict=True)]
