"""Windows over the columns of joins: the joined rows of stored requests change, so they are looked up anew for each request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

import numpy as np

from jdrec.engines.embedded import plan
from jdrec.engines.embedded.expressions import evaluate
from jdrec.engines.embedded.extract import walked
from jdrec.engines.embedded.layout import Function
from jdrec.engines.embedded.program import StoreProgram, most_rows
from jdrec.engines.embedded.results import decode
from jdrec.engines.embedded.rows import TableRows
from jdrec.engines.embedded.stores import Rows, Store, encode
from jdrec.engines.embedded.vector import Vector, concatenate
from jdrec.features import expression as ast
from jdrec.features.spec import FeatureSet, Join
from jdrec.features.types import SqlType
from jdrec.online.cells import Cells, scalar_of
from jdrec.online.join import OnlineJoin
from jdrec.online.store import OnlineStore


def reads_joins(store: plan.Store) -> bool:
    """Whether its columns are of joined rows."""
    return any(isinstance(part, ast.Column) and part.table is not None for column in store.columns for part in ast.walk(column.node))


def stored_columns(store: plan.Store, joins: Sequence[Join], feature_set: FeatureSet) -> plan.Store:
    """The store to keep: the same rows with the request table's own columns that the joins and the values are made of."""
    names = [name for column in store.columns for name in plan.names_in(column.node)]
    for join in joins:
        names += [left for via, left, _ in join.keys if via is None]
        names += plan.names_in(join.condition) if join.condition is not None else []
    types = feature_set.request.types
    columns = [plan.StoreColumn(ast.Column(0, 0, name), types[name]) for name in dict.fromkeys(names)]
    return replace(store, columns=columns, windows=[], tallies=[], aggregates=[], walks=[])


class JoinedWindows:
    """One plan's store whose windows are over joined columns.

    Args:
        store: the plan.
        rows: the stored requests (see `stored_columns`).
        joins: all joins, each after what it needs.
        time: the cell of a request's time.
    """

    def __init__(self, store: plan.Store, rows: OnlineStore, joins: Mapping[str, OnlineJoin], cells: Cells, time: int):
        self._plan, self._rows, self._joins, self._cells, self._time = store, rows, joins, cells, time
        self._key = itemgetter(*[cells.place((None, name)) for name in store.request_keys])
        self._names = [column.node.name for column in rows.plan.columns if isinstance(column.node, ast.Column)]
        self._places = [cells.place((None, name)) for name in self._names]
        self.results = [plan.Result(0, 0, 0, number) for number in range(len(store.aggregates))]

    def compute(self, request: Sequence[Any], now_ms: int) -> tuple[list[Any], list[Any]]:
        """Storage values of the plan's aggregates and of its walks."""
        slabs = self._rows.slabs
        group, time = self._rows.group(self._key(request), -1), request[self._time]
        if self._rows.expires_by_age and group >= 0:
            slabs.expire(group, group + 1, now_ms)
        low, high = self._range(group, time)
        table: dict[str, Vector] = {}
        for name, kept, words, place in zip(self._names, slabs.columns, self._rows.dictionaries, self._places, strict=True):
            own = Vector.of_values([request[place]], kept.type)
            values = kept.values[low:high]
            if words is not None:
                stored = Vector(SqlType.STRING, words.decode(values))
            else:
                stored = Vector(kept.type, values, None if kept.valid is None else kept.valid[low:high])
            table[name] = concatenate([stored, own])
        count = high - low
        joins: dict[str, dict[str, Vector]] = {}
        for name, join in self._joins.items():
            joins[name] = join.look_up_all(table, joins, count + 1, now_ms)
        columns, own_columns, dictionaries = [], [], []
        everything, last = np.arange(count), np.array([count])
        for number, column in enumerate(self._plan.columns):
            vector = evaluate(column.node, TableRows(table, joins)).spread(count + 1)
            (encoded,), dictionary = encode([vector], column.type, self._plan.is_ordered(number))
            columns.append(encoded.take(everything))
            own_columns.append(encoded.take(last))
            dictionaries.append(dictionary)
        times, begins, ends = slabs.times[low:high].copy(), np.zeros(1, np.int64), np.array([count], np.int64)
        store = Store(self._plan, times, begins, ends, columns, dictionaries, count)
        rows = Rows(np.zeros(1, np.int32), np.array([time], np.int64), None, own_columns)
        return self._results(StoreProgram(store), rows)

    def _results(self, program: StoreProgram, rows: Rows) -> tuple[list[Any], list[Any]]:
        store, out = program.store, np.zeros((1, program.width), np.int64)
        program.evaluate(rows, np.zeros(1, np.int64), out)
        aggregates: list[Any] = []
        for aggregate, offset in zip(store.plan.aggregates, store.plan.offsets, strict=True):
            words = out[:, offset : offset + aggregate.words]
            if aggregate.function is Function.FRAME:
                aggregates.append(None)
            elif aggregate.column is None:
                aggregates.append(scalar_of(decode(aggregate, words, None, None)))
            else:
                column = aggregate.column
                aggregates.append(scalar_of(decode(aggregate, words, store.columns[column].type, store.dictionaries[column])))
        return aggregates, [scalar_of(walked(walk, program, rows, out, 0)) for walk in store.plan.walks]

    def _range(self, group: int, time: int) -> tuple[int, int]:
        """The stored rows that a window can reach, as positions in the slabs."""
        if group < 0:
            return 0, 0
        slabs = self._rows.slabs
        begin, end = int(slabs.begins[group]), int(slabs.ends[group])
        times = slabs.times[begin:end]
        high = int(np.searchsorted(times, time, "right"))
        low = high
        for number, window in enumerate(self._plan.windows):
            base = int(np.searchsorted(times, time, "left")) if window.exclude_current_time else high
            depth = max((item.n for item in self._plan.aggregates if item.window == number and item.function is Function.AT), default=0)
            first = base - depth
            if window.frame == "rows":
                first = min(first, base - most_rows(window))
            else:
                first = min(first, int(np.searchsorted(times, max(time - window.start.value, 0), "left")))
            low = min(low, max(first, 0))
        return begin + low, begin + high
