"""A store that takes rows as they come: each key's rows lie together, sorted by time, in a slab with room to grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jdrec.engines.embedded import plan
from jdrec.engines.embedded.expressions import evaluate
from jdrec.engines.embedded.keys import Groups
from jdrec.engines.embedded.program import StoreProgram
from jdrec.engines.embedded.rows import TableRows, as_row
from jdrec.engines.embedded.stores import Encoded, Rows, Store, check_times
from jdrec.engines.embedded.vector import Vector, concatenate
from jdrec.features.types import SqlType
from jdrec.online.dictionary import GrowingDictionary

T = SqlType
_FIRST_ROOM = 4


class OnlineStore:
    """Rows of one plan's store. Not safe for several threads at once.

    Args:
        store: the plan.
        request_table, request_time: where its request rows come from.
        tables: what it holds at first: the columns of each of its tables.
    """

    def __init__(self, store: plan.Store, request_table: str, request_time: str, tables: Mapping[str, Mapping[str, Vector]]):
        self.plan = store
        self._request_time = request_time
        # Its tables, and whether their rows are requests'; where times are equal, rows of a later one are newer.
        self._roles = [(name, False) for name in reversed(store.tables)] + ([(request_table, True)] if store.has_requests else [])
        self._numbers: dict[Any, int] = {}
        self._program: StoreProgram | None = None
        self._planned = 0  # longest group that the program has memory for
        self._load([self._as_members(is_request, tables[name]) for name, is_request in self._roles])

    # --- rows in -------------------------------------------------------------------------------------------------------

    def insert(self, table: str, columns: Mapping[str, Vector], rows: int) -> None:
        """Adds rows of a table, in order of arrival; of rows with equal times the last one is the newest."""
        for rank, (name, is_request) in enumerate(self._roles):
            if name == table:
                self._insert(rank, *self._as_members(is_request, columns), rows)

    def check(self, table: str, columns: Mapping[str, Vector]) -> None:
        """Refuses rows whose time cannot order them.

        Raises:
            DataError: a time before 1970.
        """
        if (table, False) in self._roles:
            check_times(columns[self.plan.time], f"{table}.{self.plan.time}")

    def _insert(self, rank: int, keys: list[Vector], time: Vector, members: Mapping[str, Vector], rows: int) -> None:
        values = [
            self._encode(number, evaluate(column.node, TableRows(members)).spread(rows)) for number, column in enumerate(self.plan.columns)
        ]
        names = key_names(keys, rows)
        valid = time.is_valid
        for row in range(rows):
            if valid[row]:
                place = self._make_place(names[row], int(time.data[row]), rank)
                for column, value in zip(self._columns, values, strict=True):
                    column.values[place] = value.values[row]
                    if column.valid is not None:
                        column.valid[place] = 1 if value.valid is None else value.valid[row]

    # --- windows out ---------------------------------------------------------------------------------------------------

    def program(self) -> StoreProgram:
        """Evaluates over the rows as they are now."""
        if self._program is None or self._longest > self._planned:
            self._planned = max(2 * self._longest, 64)
            store = Store(self.plan, self._times, self._begins, self._ends, self._columns, self._dictionaries, self._planned)
            ranks: list[np.ndarray | None] = [None if dictionary is None else dictionary.ranks for dictionary in self._dictionaries]
            self._program = StoreProgram(store, ranks)
        return self._program

    def look_up(self, request: Mapping[str, Vector], time: np.ndarray) -> Rows:
        """Requests as its windows see them; new strings get codes until `forget`."""
        names = key_names([request[name] for name in self.plan.request_keys], len(time))
        group = np.array([self._numbers.get(name, -1) for name in names], np.int32)
        current = TableRows(as_row(request, self.plan.row))
        columns = [self._encode(number, evaluate(column.node, current)) for number, column in enumerate(self.plan.columns)]
        return Rows(group, time, None, columns)

    def sizes(self) -> list[int]:
        """How many strings each dictionary has; for `forget`."""
        return [0 if dictionary is None else len(dictionary) for dictionary in self._dictionaries]

    def forget(self, sizes: list[int]) -> None:
        """Forgets the strings that came since."""
        for dictionary, size in zip(self._dictionaries, sizes, strict=True):
            if dictionary is not None and len(dictionary) > size:
                dictionary.forget(size)

    # --- memory --------------------------------------------------------------------------------------------------------

    def _as_members(self, is_request: bool, columns: Mapping[str, Vector]) -> tuple[list[Vector], Vector, Mapping[str, Vector]]:
        """Keys, time and columns of a table's rows as rows of the store."""
        if is_request:
            time = columns[self._request_time]
            return [columns[name] for name in self.plan.request_keys], time, as_row(columns, self.plan.row)
        return [columns[name] for name in self.plan.keys], columns[self.plan.time], columns

    def _load(self, members: Sequence[tuple[list[Vector], Vector, Mapping[str, Vector]]]) -> None:
        """Fills the store: one slab a key, in order of time."""
        sizes = [len(time) for _, time, _ in members]
        total = sum(sizes)
        keys = [concatenate([member[0][number] for member in members]) for number in range(len(self.plan.keys))] if members else []
        groups = Groups(keys, total) if members else None
        count = groups.count if groups is not None else 0
        group = groups.numbers if groups is not None else np.zeros(0, np.int32)
        times = np.concatenate([time.data.astype(np.int64) for _, time, _ in members] or [np.zeros(0, np.int64)])
        timed = np.concatenate([time.is_valid for _, time, _ in members] or [np.zeros(0, bool)])
        for (name, is_request), (_, time, _) in zip(self._roles, members, strict=True):
            check_times(time, f"{name}.{self._request_time if is_request else self.plan.time}")
        order = np.lexsort((times, group))
        order = order[timed[order]]
        rank = np.repeat(np.arange(len(members), dtype=np.uint8), sizes) if members else np.zeros(0, np.uint8)
        lengths = np.bincount(group[order], minlength=count).astype(np.int64)
        self._groups = count
        self._ends = np.cumsum(lengths)
        self._begins = self._ends - lengths
        self._room = lengths.copy()
        self._times = np.ascontiguousarray(times[order])
        self._ranks = rank[order]
        self._used = len(order)
        self._free: dict[int, list[int]] = {}
        self._longest = int(lengths.max(initial=0))
        self._number_groups(keys, group, count)
        self._dictionaries: list[GrowingDictionary | None] = []
        self._columns: list[Encoded] = []
        for number, column in enumerate(self.plan.columns):
            parts = [evaluate(column.node, TableRows(columns)).spread(size) for (_, _, columns), size in zip(members, sizes, strict=True)]
            whole = concatenate(parts) if parts else Vector.of_values([], column.type)
            self._columns.append(self._first_values(number, column.type, whole, order))

    def _number_groups(self, keys: list[Vector], group: np.ndarray, count: int) -> None:
        row = np.full(count, -1, np.int64)
        row[group] = np.arange(len(group))
        present = np.flatnonzero(row >= 0)  # a number is kept for NULL even where no key is
        names = key_names([key.take(row[present]) for key in keys], len(present))
        self._numbers = dict(zip(names, present.tolist(), strict=True))

    def _first_values(self, number: int, type_: SqlType, whole: Vector, order: np.ndarray) -> Encoded:
        if type_ is not T.STRING:
            self._dictionaries.append(None)
            valid = np.ones(len(order), np.uint8) if whole.valid is None else whole.valid[order]
            return Encoded(type_, whole.data[order], valid)
        values, codes = whole.encoded()
        # '' comes along from the start: NULL counts as it, and requests have it in columns of a union that they do not fill.
        dictionary = GrowingDictionary(values.to_pylist(), self.plan.is_ordered(number))
        dictionary.add("")
        self._dictionaries.append(dictionary)
        return Encoded(type_, codes[order], None)

    def _encode(self, number: int, vector: Vector) -> Encoded:
        dictionary = self._dictionaries[number]
        if dictionary is None:
            return Encoded(self.plan.columns[number].type, np.ascontiguousarray(vector.data), vector.valid, vector.constant)
        ranks = dictionary.ranks
        codes = dictionary.encode(vector.plain().data.to_pylist())
        if dictionary.ranks is not ranks:
            self._program = None
        return Encoded(T.STRING, codes, None, vector.constant)

    def _make_place(self, name: Any, time: int, rank: int) -> int:
        """Makes room for a row of a key and returns its position."""
        group = self._numbers.get(name)
        if group is None:
            group = self._numbers[name] = self._new_group()
        begin, end = int(self._begins[group]), int(self._ends[group])
        if end - begin == self._room[group]:
            begin, end = self._move(group, begin, end)
        place = begin + int(np.searchsorted(self._times[begin:end], time, "right"))
        while place > begin and self._times[place - 1] == time and self._ranks[place - 1] > rank:
            place -= 1
        if place < end:
            for array in self._arrays():
                array[place + 1 : end + 1] = array[place:end].copy()
        self._times[place], self._ranks[place] = time, rank
        self._ends[group] = end + 1
        self._longest = max(self._longest, end + 1 - begin)
        return place

    def _new_group(self) -> int:
        if self._groups == len(self._begins):
            self._begins, self._ends, self._room = (_doubled(array) for array in (self._begins, self._ends, self._room))
            self._program = None
        group = self._groups
        self._begins[group] = self._ends[group] = self._room[group] = 0
        self._groups += 1
        return group

    def _move(self, group: int, begin: int, end: int) -> tuple[int, int]:
        """Moves a group into a slab of twice the room; the old slab is reused."""
        size = end - begin
        room = max(_FIRST_ROOM, 1 << size.bit_length())
        free = self._free.get(room)
        if free:
            start = free.pop()
        else:
            start = self._used
            self._used += room
            if self._used > len(self._times):
                self._grow()
        for array in self._arrays():
            array[start : start + size] = array[begin:end]
        if size:
            self._free.setdefault(int(self._room[group]), []).append(begin)
        self._begins[group], self._ends[group], self._room[group] = start, start + size, room
        return start, start + size

    def _arrays(self) -> list[np.ndarray]:
        columns = [array for column in self._columns for array in (column.values, column.valid) if array is not None]
        return [self._times, self._ranks, *columns]

    def _grow(self) -> None:
        size = max(1024, 2 * self._used)
        self._times, self._ranks = _sized(self._times, size), _sized(self._ranks, size)
        self._columns = [
            Encoded(column.type, _sized(column.values, size), None if column.valid is None else _sized(column.valid, size))
            for column in self._columns
        ]
        self._program = None


def key_names(keys: Sequence[Vector], rows: int) -> list[Any]:
    """Each row's key as a Python value: of one column itself, of several a tuple."""
    columns = [key.spread(rows).to_arrow(rows).to_pylist() if key.type is T.STRING else _plain(key.spread(rows)) for key in keys]
    return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))


def _plain(key: Vector) -> list[Any]:
    return [value if valid else None for value, valid in zip(key.data.tolist(), key.is_valid.tolist(), strict=True)]


def _sized(array: np.ndarray, size: int) -> np.ndarray:
    result = np.zeros(size, array.dtype)
    result[: len(array)] = array
    return result


def _doubled(array: np.ndarray) -> np.ndarray:
    return _sized(array, max(16, 2 * len(array)))
