"""LAST JOIN at request time: the row of each key that a join would take, kept up to date."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jdrec.engines.embedded.joins import known, last_rows
from jdrec.engines.embedded.keys import Groups
from jdrec.engines.embedded.vector import Vector, concatenate
from jdrec.features.spec import Join
from jdrec.online.store import key_names


class OnlineJoin:
    """The joined table's newest row for each key; none for a key with a NULL. Not safe for several threads at once.

    Args:
        columns: the joined table's columns that features read.
        table: its first rows.
    """

    def __init__(self, join: Join, columns: list[str], table: Mapping[str, Vector]):
        self.join = join
        self._columns = {name: table[name].plain() for name in columns}
        keys = [table[right] for _, right in join.on]
        self._rows = len(keys[0])
        groups = Groups(keys, self._rows)
        chosen = last_rows(
            np.where(known(keys), groups.numbers, np.int32(-1)), groups.count, table[join.order_by] if join.order_by else None
        )
        chosen = chosen[chosen >= 0]
        self._row_of: dict[Any, int] = dict(zip(key_names([key.take(chosen) for key in keys], len(chosen)), chosen.tolist(), strict=True))
        self._order = _order_values(table[join.order_by]) if join.order_by else []
        self._new: list[dict[str, Vector]] = []

    def insert(self, columns: Mapping[str, Vector], rows: int) -> None:
        """Adds rows in order of arrival."""
        keys = [columns[right] for _, right in self.join.on]
        names, matchable = key_names(keys, rows), known(keys)
        order = _order_values(columns[self.join.order_by]) if self.join.order_by else []
        for row, name in enumerate(names):
            last = self._row_of.get(name)
            if matchable[row] and (not order or last is None or order[row] >= self._order[last]):
                self._row_of[name] = self._rows + row
            if order:
                self._order.append(order[row])
        self._new.append({name: columns[name] for name in self._columns})
        self._rows += rows

    def look_up(self, request: Mapping[str, Vector], rows: int) -> dict[str, Vector]:
        """The joined columns for requests, NULL where there is no such key."""
        self._merge()
        names = key_names([request[left] for left, _ in self.join.on], rows)
        chosen = np.array([self._row_of.get(name, -1) for name in names], np.int64)
        return {name: vector.take(chosen) for name, vector in self._columns.items()}

    def _merge(self) -> None:
        if self._new:
            self._columns = {name: concatenate([vector, *(part[name] for part in self._new)]) for name, vector in self._columns.items()}
            self._new = []


def _order_values(time: Vector) -> list[float]:
    """What rows are compared by; NULL is smaller than all."""
    return [value if valid else float("-inf") for value, valid in zip(time.data.tolist(), time.is_valid.tolist(), strict=True)]
