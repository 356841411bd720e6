"""Builds the store of a batch of requests while its tables stream in, part by part.

Rows whose key no request has, or without a time, are dropped at once. Of the others 12 bytes and their narrowed values are kept until all
have come; then they are scattered by key and put in order of time.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from jdrec.engines.embedded import native, plan
from jdrec.engines.embedded.expressions import evaluate
from jdrec.engines.embedded.gather import Column, Layout, Numbers, Texts, Values
from jdrec.engines.embedded.keys import Groups
from jdrec.engines.embedded.rows import TableRows, as_row
from jdrec.engines.embedded.stores import Encoded, Rows, Store, refuse_early
from jdrec.engines.embedded.turns import in_turn
from jdrec.engines.embedded.vector import Vector
from jdrec.features.types import SqlType

log = logging.getLogger(__name__)
_EXAMPLES = 3
_AHEAD = 3  # parts that are packed before they are scattered
_SHARES = 16  # portions of the sorting, so that threads end together


@dataclass
class Part:
    """What a store keeps of a part of a table.

    Attributes:
        group: int32 [rows]; times: int64 [rows], milliseconds.
        values: one a column of the store.
        untimed: how many rows have no time.
        early, examples: how many times are before 1970, and some of them.
    """

    group: np.ndarray
    times: np.ndarray
    values: list[Values]
    untimed: int = 0
    early: int = 0
    examples: Sequence[int] = ()


class StoreBuilder:
    """Builds one store.

    Args:
        store: its plan.
        request, time: the request table's columns, and its time column in milliseconds.
    """

    def __init__(self, store: plan.Store, request: Mapping[str, Vector], time: np.ndarray):
        self.plan = store
        self._request, self._time = request, time
        self._groups = Groups([request[name] for name in store.request_keys], len(time))
        self._parts: dict[str, list[Part]] = {table: [] for table in store.tables}

    def part(self, columns: Mapping[str, Vector]) -> Part:
        """What the store keeps of a part of one of its tables; any thread may ask."""
        group = self._groups.find([columns[key] for key in self.plan.keys])
        time = columns[self.plan.time]
        valid = time.is_valid
        early = time.data[valid & (time.data < 0)]
        wanted = (group >= 0) & valid
        kept = None if wanted.all() else np.flatnonzero(wanted)
        rows = TableRows(columns)
        values = [Values(evaluate(column.node, rows), len(group), kept) for column in self.plan.columns]
        times = time.data.astype(np.int64) if kept is None else time.data[kept].astype(np.int64)
        untimed = len(valid) - int(np.count_nonzero(valid))
        return Part(group if kept is None else group[kept], times, values, untimed, len(early), early[:_EXAMPLES].tolist())

    def add(self, table: str, part: Part) -> None:
        """Adds a part of a table; parts come in the order of its rows."""
        self._parts[table].append(part)

    def build(self, joins: Mapping[str, Mapping[str, Vector]], pool: ThreadPoolExecutor) -> tuple[Store, Rows]:
        """The store, and the requests as its rows see them.

        Args:
            joins: columns of the requests' joined rows.

        Raises:
            DataError: a row's time is before 1970.
        """
        for table, found in self._parts.items():
            self._check(table, found)
        # Where times are equal, the first table's rows are newer than the second's, and the requests' are the newest.
        parts = [part for table in reversed(self.plan.tables) for part in self._parts.pop(table, [])]
        current = TableRows(as_row(self._request, self.plan.row), joins)
        own = [evaluate(column.node, current) for column in self.plan.columns]
        mine = Part(self._groups.numbers, self._time, [Values(vector, len(self._time), None) for vector in own])
        whole = [*parts, mine]
        columns = list(pool.map(lambda number: self._column(number, whole), range(len(own))))
        currents = [self._current(column, len(parts), mine.values[number], own[number]) for number, column in enumerate(columns)]
        if self.plan.has_requests:
            parts.append(mine)
        layout = Layout(columns)
        times, words, rows, begins, ends, place = in_order(parts, layout, self._groups.count, pool, self.plan.has_requests)
        unpacked = list(pool.map(lambda number: layout.unpack(number, words, rows), range(len(own))))
        longest = int((ends - begins).max(initial=0))
        store = Store(self.plan, times, begins, ends, unpacked, [column.dictionary for column in columns], longest)
        return store, Rows(self._groups.numbers, self._time, place, currents)

    def _column(self, number: int, parts: Sequence[Part]) -> Column:
        type_, values = self.plan.columns[number].type, [part.values[number] for part in parts]
        return Texts(values, self.plan.is_ordered(number)) if type_ is SqlType.STRING else Numbers(type_, values)

    @staticmethod
    def _current(column: Column, number: int, values: Values, own: Vector) -> Encoded:
        """The requests' own values; `number` is theirs among the column's parts."""
        rows = slice(0, 1) if own.constant else slice(None)
        valid = None if values.valid is None else np.ascontiguousarray(values.valid[rows])
        return column.encoded(np.ascontiguousarray(column.data_of(number, values)[rows]), valid, own.constant)

    def _check(self, table: str, parts: list[Part]) -> None:
        what = f"{table}.{self.plan.time}"
        refuse_early(what, sum(part.early for part in parts), [time for part in parts for time in part.examples][:_EXAMPLES])
        if untimed := sum(part.untimed for part in parts):
            log.warning("%s: %s rows without a %s are in no window", table, f"{untimed:,}", self.plan.time)


def in_order(
    parts: list[Part], layout: Layout, groups: int, pool: ThreadPoolExecutor, wants_places: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Rows by group, and their order of time within it, equal ones as they come. The parts are given up.

    Args:
        wants_places: where the last part's rows come to lie.

    Returns:
        times: int64 [rows], in order.
        words: int64 [rows, layout.width], by group.
        rows: int32 [rows], the row of words that comes at each place.
        begins, ends: int64 [groups].
        places: int64 [rows of the last part], or None.
    """
    count = sum(len(part.group) for part in parts)
    if count >= 2**31:
        raise OverflowError("more than 2**31 rows in the windows of one table")
    sizes = np.zeros(groups, np.int64)
    for part in parts:
        sizes += np.bincount(part.group, minlength=groups)
    ends = np.cumsum(sizes)
    begins = ends - sizes
    times, words, next_ = np.empty(count, np.int64), np.empty((count, layout.width), np.int64), begins.copy()
    places = np.zeros(len(parts[-1].group) if wants_places else 0, np.int64)
    scatter, last = native.bulk("scatter_rows"), len(parts) - 1

    def pack(number: int) -> np.ndarray:
        return layout.pack(number, parts[number].values, len(parts[number].group))

    for number, packed in enumerate(in_turn(pool, pack, range(len(parts)), _AHEAD)):
        part = parts[number]
        group, time = np.ascontiguousarray(part.group, np.int32), np.ascontiguousarray(part.times, np.int64)
        went = _address(places) if wants_places and number == last else 0
        source = _address(group), _address(time), _address(packed), layout.width, len(group)
        scatter(*source, _address(next_), _address(times), _address(words), went)
        part.group, part.times = part.group[:0], part.times[:0]
    rows = _sort(times, begins, ends, pool)
    if not wants_places:
        return times, words, rows, begins, ends, None
    order = np.empty(count, np.int64)
    order[rows] = np.arange(count)
    return times, words, rows, begins, ends, order[places]


def _sort(times: np.ndarray, begins: np.ndarray, ends: np.ndarray, pool: ThreadPoolExecutor) -> np.ndarray:
    """Puts the times of each group in order; int32 [rows], where each was."""
    rows = np.arange(len(times), dtype=np.int32)
    sort, of = native.bulk("sort_groups"), [_address(array) for array in (begins, ends, times, rows)]

    def sort_some(start: int, stop: int) -> None:
        longest = int((ends[start:stop] - begins[start:stop]).max(initial=0))
        spare, spare_rows = np.empty(longest, np.int64), np.empty(longest, np.int32)
        sort(of[0], of[1], start, stop, of[2], of[3], _address(spare), _address(spare_rows))

    shares = _SHARES if len(times) > _SHARES * 1000 else 1
    bounds = [0, *np.searchsorted(ends, len(times) * np.arange(1, shares) // shares).tolist(), len(ends)]
    list(pool.map(sort_some, bounds[:-1], bounds[1:]))
    return rows


def _address(array: np.ndarray) -> int:
    return array.ctypes.data
