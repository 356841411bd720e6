"""LAST JOIN at request time: the row of each key that a join would take, kept up to date."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Protocol

import numpy as np

from jdrec.engines.embedded.joins import in_order, known, last_rows, last_satisfying, left_keys
from jdrec.engines.embedded.keys import Groups
from jdrec.engines.embedded.layout import TtlRule
from jdrec.engines.embedded.vector import Vector, concatenate
from jdrec.features import expression as ast
from jdrec.features.spec import Join
from jdrec.features.types import SqlType
from jdrec.online.cells import Cells, scalar_of
from jdrec.online.store import key_names
from jdrec.online.ttl import TimeToLive

_ENTRY_BYTES = 200  # about what a key and a tuple of a few values take


class OnlineJoin(Protocol):
    """The joined table's rows as far as a request may need them. Not safe for several threads."""

    join: Join
    expires: bool

    def insert(self, columns: Mapping[str, Sequence[Any]], rows: int, now_ms: int) -> None:
        """Adds rows in order of arrival: storage values of the table's columns."""

    def look_up(self, cells: list[Any], now_ms: int) -> None:
        """Appends the joined columns for a request, NULL where there is no such row."""

    def look_up_all(
        self, request: Mapping[str, Vector], joins: Mapping[str, Mapping[str, Vector]], rows: int, now_ms: int
    ) -> dict[str, Vector]:
        """The joined columns for several rows of the request table; `joins` is what earlier joins gave for them."""

    @property
    def memory_bytes(self) -> int: ...

    @property
    def keys(self) -> int: ...


def make_join(
    join: Join, columns: list[str], types: Mapping[str, SqlType], table: Mapping[str, Vector], cells: Cells, ttl: TimeToLive, now_ms: int
) -> OnlineJoin:
    """The join over its table's first rows; its columns get the next cells.

    Args:
        columns: the joined table's columns that are read.
        types: of the joined table's columns.
    """
    if join.condition is None and join.order_by is not None and join.order_by not in columns:
        columns = [*columns, join.order_by]  # kept, to be compared with
    start = Start(join, columns, types, table, ttl, now_ms)
    result: OnlineJoin
    if join.condition is None:
        result = LastJoin(start, [cells.place((via, left)) for via, left, _ in join.keys])
    else:
        result = ConditionalJoin(start, cells)
    for name in columns:
        cells.add((join.name, name), types[name])
    return result


@dataclass(frozen=True)
class Start:
    """What a join begins with.

    Attributes:
        columns: of the joined table that are kept. types: of its columns. table: its first rows, which came at `now_ms`.
    """

    join: Join
    columns: list[str]
    types: Mapping[str, SqlType]
    table: Mapping[str, Vector]
    ttl: TimeToLive
    now_ms: int


class LastJoin:
    """The newest row of each key. A key with a NULL has none."""

    def __init__(self, start: Start, keys: list[int]):
        join, columns, table, ttl = start.join, start.columns, start.table, start.ttl
        self.join, self._columns = join, columns
        self._types = [start.types[name] for name in columns]
        self._key: Callable[[Sequence[Any]], Any] = itemgetter(*keys)
        self._nulls: tuple[Any, ...] = (None,) * len(columns)
        self._order = columns.index(join.order_by) if join.order_by is not None else None
        # The newest row is never surplus, so only its age can make it expire; without an order that of its arrival.
        self._age_ms = ttl.age_ms if ttl.rule in (TtlRule.ABSOLUTE, TtlRule.ABSORLAT) else 0
        self.expires = self._age_ms > 0
        self._arrived: dict[Any, int] = {}
        keys_of = [table[right] for _, right in join.on]
        rows = len(keys_of[0])
        groups = Groups(keys_of, rows)
        group = np.where(known(keys_of), groups.numbers, np.int32(-1))
        chosen = last_rows(group, groups.count, table[join.order_by] if join.order_by is not None else None)
        chosen = chosen[chosen >= 0]
        names = key_names([key.take(chosen) for key in keys_of], len(chosen))
        values = [_shared(table[name].take(chosen)) for name in columns]
        self._rows: dict[Any, tuple[Any, ...]] = dict(zip(names, zip(*values, strict=True) if values else [()] * len(names), strict=True))
        if self._age_ms and self._order is None:
            self._arrived = dict.fromkeys(names, start.now_ms)

    def insert(self, columns: Mapping[str, Sequence[Any]], rows: int, now_ms: int) -> None:
        keys = [columns[right] for _, right in self.join.on]
        names = keys[0] if len(keys) == 1 else list(zip(*keys, strict=True))
        values = [columns[name] for name in self._columns]
        for row, name in enumerate(names):
            if name is None or (len(keys) > 1 and None in name):
                continue
            new = tuple([column[row] for column in values])
            if self._order is not None:
                old = self._rows.get(name)
                if old is not None and not _not_before(new[self._order], old[self._order]):
                    continue
            elif self._age_ms:
                self._arrived[name] = now_ms
            self._rows[name] = new

    def look_up(self, cells: list[Any], now_ms: int) -> None:
        key = self._key(cells)
        found = self._rows.get(key, self._nulls)
        cells += found if not self._age_ms or self._is_young(key, found, now_ms) else self._nulls

    def look_up_all(
        self, request: Mapping[str, Vector], joins: Mapping[str, Mapping[str, Vector]], rows: int, now_ms: int
    ) -> dict[str, Vector]:
        found = []
        for key in key_names(left_keys(self.join, request, joins), rows):
            values = self._rows.get(key, self._nulls)
            found.append(values if not self._age_ms or self._is_young(key, values, now_ms) else self._nulls)
        columns = zip(*found, strict=True) if found else [()] * len(self._columns)
        return {
            name: Vector.of_values(list(values), type_) for name, type_, values in zip(self._columns, self._types, columns, strict=True)
        }

    def _is_young(self, key: Any, values: tuple[Any, ...], now_ms: int) -> bool:
        moment = self._arrived.get(key) if self._order is None else values[self._order]
        return moment is None or moment > now_ms - self._age_ms

    @property
    def keys(self) -> int:
        return len(self._rows)

    @property
    def memory_bytes(self) -> int:
        return sys.getsizeof(self._rows) + (_ENTRY_BYTES + 8 * len(self._columns)) * len(self._rows)


class ConditionalJoin:
    """All rows of each key, in the order in which a condition is tried, the preferred one last."""

    def __init__(self, start: Start, cells: Cells):
        join, columns, table, ttl = start.join, start.columns, start.table, start.ttl
        self.join, self._cells, self._ttl, self.expires = join, cells, ttl, not ttl.forever
        assert join.condition is not None
        read = [node for node in ast.walk(join.condition) if isinstance(node, ast.Column) and node.table != join.name]
        self._read = dict.fromkeys([*((via, left) for via, left, _ in join.keys), *((node.table, node.name) for node in read)])
        self._own = {node.name for node in ast.walk(join.condition) if isinstance(node, ast.Column) and node.table == join.name}
        self._names = columns
        self._types = start.types
        self._columns = {name: table[name].plain() for name in {*columns, *self._own}}
        self._rows = 0
        self._rows_of: dict[Any, list[int]] = {}
        self._moments: list[float] = []  # what orders rows, or when they arrived
        self._new: list[dict[str, Vector]] = []
        order = table[join.order_by] if join.order_by else None
        self._place_all([table[right] for _, right in join.on], order, start.now_ms)

    def insert(self, columns: Mapping[str, Sequence[Any]], rows: int, now_ms: int) -> None:
        def vector(name: str) -> Vector:
            return Vector.of_values(list(columns[name]), self._types[name])

        self._new.append({name: vector(name) for name in self._columns})
        order = vector(self.join.order_by) if self.join.order_by else None
        self._place_all([vector(right) for _, right in self.join.on], order, now_ms)

    def look_up(self, cells: list[Any], now_ms: int) -> None:
        request: dict[str, Vector] = {}
        joins: dict[str, dict[str, Vector]] = {}
        for table, name in self._read:
            place = self._cells.place((table, name))
            (request if table is None else joins.setdefault(table, {}))[name] = Vector.of_values([cells[place]], self._cells.types[place])
        found = self.look_up_all(request, joins, 1, now_ms)
        cells += [scalar_of(found[name]) for name in self._names]

    def look_up_all(
        self, request: Mapping[str, Vector], joins: Mapping[str, Mapping[str, Vector]], rows: int, now_ms: int
    ) -> dict[str, Vector]:
        self._merge()
        found = [self._kept(self._rows_of.get(name, []), now_ms) for name in key_names(left_keys(self.join, request, joins), rows)]
        counts = np.array([len(candidates) for candidates in found], np.int64)
        every = np.array([row for candidates in found for row in candidates], np.int64)
        begins = np.cumsum(counts) - counts
        chosen = last_satisfying(self.join, request, joins, self._columns, every, begins, counts)
        return {name: self._columns[name].take(chosen) for name in self._names}

    def _kept(self, candidates: list[int], now_ms: int) -> list[int]:
        """The candidates that have not expired."""
        if self._ttl.forever:
            return candidates
        kept = []
        for rank, row in enumerate(reversed(candidates), 1):
            old = self._ttl.age_ms > 0 and self._moments[row] <= now_ms - self._ttl.age_ms
            surplus = 0 < self._ttl.rows < rank
            if not ((old and surplus) if self._ttl.rule is TtlRule.ABSANDLAT else (old or surplus)):
                kept.append(row)
        return kept[::-1]

    def _place_all(self, keys: list[Vector], order: Vector | None, now_ms: int) -> None:
        rows = len(keys[0])
        names, matchable = key_names(keys, rows), known(keys)
        self._moments += [float(now_ms)] * rows if order is None else _order_values(order)
        for row in in_order(np.flatnonzero(matchable), order).tolist():
            self._place(self._rows_of.setdefault(names[row], []), self._rows + row, order is not None)
        self._rows += rows

    def _place(self, candidates: list[int], row: int, ordered: bool) -> None:
        place = len(candidates)
        while ordered and place and self._moments[candidates[place - 1]] > self._moments[row]:
            place -= 1
        candidates.insert(place, row)

    def _merge(self) -> None:
        if self._new:
            self._columns = {name: concatenate([vector, *(part[name] for part in self._new)]) for name, vector in self._columns.items()}
            self._new = []

    @property
    def keys(self) -> int:
        return len(self._rows_of)

    @property
    def memory_bytes(self) -> int:
        return sys.getsizeof(self._rows_of) + _ENTRY_BYTES * len(self._rows_of) + (60 + 40 * len(self._columns)) * self._rows


def _shared(values: Vector) -> list[Any]:
    """Storage values, equal strings as one object."""
    known_: dict[str, str] = {}
    if values.type is SqlType.STRING:
        return [None if value is None else known_.setdefault(value, value) for value in values.plain().data.to_pylist()]
    plain = values.data.astype(bool).tolist() if values.type is SqlType.BOOL else values.data.tolist()
    return plain if values.valid is None else [value if valid else None for value, valid in zip(plain, values.is_valid, strict=True)]


def _not_before(new: Any, old: Any) -> bool:
    """Whether it comes last of the two; NULL is smaller than all."""
    return old is None or (new is not None and new >= old)


def _order_values(time: Vector) -> list[float]:
    """What rows are compared by; NULL is smaller than all."""
    return [value if valid else float("-inf") for value, valid in zip(time.data.tolist(), time.is_valid.tolist(), strict=True)]
