"""One plan's store at request time: rows as they come, and what a request asks of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jdrec.engines.embedded import plan
from jdrec.engines.embedded.expressions import evaluate
from jdrec.engines.embedded.keys import Groups
from jdrec.engines.embedded.rows import TableRows, as_row
from jdrec.engines.embedded.stores import Encoded, check_times
from jdrec.engines.embedded.vector import Vector, concatenate
from jdrec.features import expression as ast
from jdrec.features.spec import FeatureSet
from jdrec.features.types import SqlType
from jdrec.online.dictionary import GrowingDictionary
from jdrec.online.slabs import Slabs, storage
from jdrec.online.ttl import TimeToLives

T = SqlType
_KEY_BYTES = 130  # about what a dictionary entry, a short string and a number take


class Dictionaries:
    """The dictionaries of a session: one for each name of a column, whichever stores have it, and one for each expression."""

    def __init__(self, stores: Sequence[plan.Store]):
        names = [self._name(store, number) for store in stores for number in range(len(store.columns))]
        ordered = [store.is_ordered(number) for store in stores for number in range(len(store.columns))]
        self._ordered = {name for name, is_ordered in zip(names, ordered, strict=True) if is_ordered}
        self._known: dict[Any, GrowingDictionary] = {}

    def of(self, store: plan.Store, column: int) -> GrowingDictionary | None:
        """The dictionary of a store's column, None if it holds no strings."""
        if store.columns[column].type is not T.STRING:
            return None
        name = self._name(store, column)
        if name not in self._known:
            self._known[name] = GrowingDictionary(name in self._ordered)
            self._known[name].add("")  # NULL counts as it
        return self._known[name]

    @property
    def memory_bytes(self) -> int:
        return sum(dictionary.memory_bytes for dictionary in self._known.values())

    @staticmethod
    def _name(store: plan.Store, column: int) -> Any:
        node = store.columns[column].node
        return node.name if isinstance(node, ast.Column) else node


class OnlineStore:
    """Rows of one plan's store. Not safe for several threads at once.

    Args:
        store: the plan.
        dictionaries: what its strings are encoded by.
        tables: what it holds at first: the columns of each of its tables.
        ttls: how long rows are kept.
    """

    def __init__(
        self,
        store: plan.Store,
        feature_set: FeatureSet,
        dictionaries: Dictionaries,
        tables: Mapping[str, Mapping[str, Vector]],
        ttls: TimeToLives,
    ):
        self.plan = store
        self._request_table, self._request_time = feature_set.request_table, feature_set.request_time
        self._types = {name: table.types for name, table in feature_set.tables.items()}
        # Its tables, and whether their rows are requests'; where times are equal, rows of a later one are newer.
        self.roles = [(name, False) for name in reversed(store.tables)] + ([(self._request_table, True)] if store.has_requests else [])
        self.dictionaries = [dictionaries.of(store, number) for number in range(len(store.columns))]
        self.ordered = [dictionary for dictionary in self.dictionaries if dictionary is not None and dictionary.ranks is not None]
        self._numbers: dict[Any, int] = {}
        self.group: Callable[[Any, int], int] = self._numbers.get  # the number of a key
        self._ttls = [
            ttls.of(name, store.request_keys, self._request_time) if is_request else ttls.of(name, store.keys, store.time)
            for name, is_request in self.roles
        ]
        self.expires_by_age = any(ttl.by_age for ttl in self._ttls)
        self.slabs = self._load([self._as_members(is_request, name, tables[name]) for name, is_request in self.roles])

    # --- rows in -----------------------------------------------------------------------------------------------------------

    def check(self, table: str, columns: Mapping[str, Sequence[Any]]) -> None:
        """Refuses rows whose time cannot order them.

        Raises:
            DataError: a time before 1970.
        """
        if table in self.plan.tables:
            times = [time for time in columns[self.plan.time] if time is not None and time < 0]
            check_times(Vector.of_values(times, T.TIMESTAMP), f"{table}.{self.plan.time}")

    def insert(self, table: str, columns: Mapping[str, Sequence[Any]], rows: int, now_ms: int) -> None:
        """Adds rows of a table, in order of arrival; of rows with equal times the last one is the newest.

        Args:
            columns: storage values of all its columns.
        """
        for role, (name, is_request) in enumerate(self.roles):
            if name == table:
                self._insert(role, is_request, columns, rows, now_ms)

    def _insert(self, role: int, is_request: bool, columns: Mapping[str, Sequence[Any]], rows: int, now_ms: int) -> None:
        times = columns[self._request_time if is_request else self.plan.time]
        keys = [columns[name] for name in (self.plan.request_keys if is_request else self.plan.keys)]
        names: Iterable[Any] = keys[0] if len(keys) == 1 else zip(*keys, strict=True)
        numbers, add = self._numbers, self.slabs.add_group
        groups = []
        for name, time in zip(names, times, strict=True):
            group = numbers.get(name) if time is not None else -1
            if group is None:
                group = numbers[name] = add()
            groups.append(group)
        cells = self._cells(self.roles[role][0], is_request, columns, rows)
        moments = np.array([0 if time is None else time for time in times] if -1 in groups else times, np.int64)
        self.slabs.insert(np.array(groups, np.int32), moments, role, cells)
        if not self._ttls[role].forever:
            for group in set(groups):
                if group >= 0:
                    self.slabs.expire(group, group + 1, now_ms)

    def _cells(self, table: str, is_request: bool, columns: Mapping[str, Sequence[Any]], rows: int) -> list[Encoded]:
        """The plan's columns of rows."""
        types = self._types[table]
        row = {column.name: column for column in self.plan.row} if is_request else {}
        vectors: dict[str, Vector] | None = None
        result = []
        for number, column in enumerate(self.plan.columns):
            node, dictionary, values = column.node, self.dictionaries[number], None
            if isinstance(node, ast.Column):
                name = row[node.name].source if node.name in row else node.name
                if name is not None and types[name] is column.type:
                    values = columns[name]
            if values is not None:
                if dictionary is not None:
                    result.append(Encoded(T.STRING, dictionary.encode(values), None))
                else:
                    result.append(_encoded(values, column.type))
                continue
            if vectors is None:
                named = {name: Vector.of_values(list(values), types[name]) for name, values in columns.items()}
                vectors = dict(as_row(named, self.plan.row)) if is_request else named
            vector = evaluate(node, TableRows(vectors)).spread(rows)
            if dictionary is not None:
                result.append(Encoded(T.STRING, dictionary.encode(vector.plain().data.to_pylist()), None))
            else:
                data: np.ndarray = np.ascontiguousarray(vector.data, storage(column.type))
                result.append(Encoded(column.type, data, None if vector.valid is None else np.ascontiguousarray(vector.valid, np.uint8)))
        return result

    def expire(self, now_ms: int) -> int:
        """Drops all expired rows, and the keys that have none left; returns how many rows there were."""
        if not self.slabs.expires:
            return 0
        dropped = self.slabs.expire(0, self.slabs.groups, now_ms)
        if dropped:
            begins, ends = self.slabs.begins, self.slabs.ends
            empty = [(name, group) for name, group in self._numbers.items() if begins[group] == ends[group]]
            for name, _ in empty:
                del self._numbers[name]
            self.slabs.release_groups([group for _, group in empty])
        return dropped

    @property
    def keys(self) -> int:
        return len(self._numbers)

    @property
    def memory_bytes(self) -> int:
        """Of its arrays, and about that of its keys; dictionaries of strings are shared and not counted."""
        return self.slabs.memory_bytes + sys.getsizeof(self._numbers) + (_KEY_BYTES - 40) * len(self._numbers)

    # --- memory ------------------------------------------------------------------------------------------------------------

    def _as_members(self, is_request: bool, table: str, columns: Mapping[str, Vector]) -> tuple[list[Vector], Vector, Mapping[str, Vector]]:
        """Keys, time and columns of a table's rows as rows of the store."""
        if is_request:
            time = columns[self._request_time]
            check_times(time, f"{table}.{self._request_time}")
            return [columns[name] for name in self.plan.request_keys], time, as_row(columns, self.plan.row)
        check_times(columns[self.plan.time], f"{table}.{self.plan.time}")
        return [columns[name] for name in self.plan.keys], columns[self.plan.time], columns

    def _load(self, members: Sequence[tuple[list[Vector], Vector, Mapping[str, Vector]]]) -> Slabs:
        """Fills the store: one slab a key, in order of time."""
        if not members:  # a window of the current row alone
            none = [Encoded(column.type, np.zeros(0, storage(column.type)), None) for column in self.plan.columns]
            return Slabs(np.zeros(0, np.int64), None, np.zeros(0, np.int64), none, [])
        sizes = [len(time) for _, time, _ in members]
        total = sum(sizes)
        keys = [concatenate([member[0][number] for member in members]) for number in range(len(self.plan.keys))]
        groups = Groups(keys, total)
        group, count = groups.numbers, groups.count
        times = np.concatenate([time.data.astype(np.int64) for _, time, _ in members])
        timed = np.concatenate([time.is_valid for _, time, _ in members])
        order = np.lexsort((times, group))
        order = order[timed[order]]
        lengths = np.bincount(group[order], minlength=count).astype(np.int64)
        roles = None
        if len(members) > 1:
            roles = np.repeat(np.arange(len(members), dtype=np.uint8), sizes)[order]
        columns = []
        for number, column in enumerate(self.plan.columns):
            parts = [evaluate(column.node, TableRows(columns)).spread(size) for (_, _, columns), size in zip(members, sizes, strict=True)]
            columns.append(self._first_values(number, column.type, parts, order))
        self._number_groups(keys, group, lengths)
        return Slabs(times[order], roles, lengths, columns, self._ttls)

    def _number_groups(self, keys: list[Vector], group: np.ndarray, lengths: np.ndarray) -> None:
        row = np.full(len(lengths), -1, np.int64)
        row[group] = np.arange(len(group))
        present = np.flatnonzero(row >= 0)  # a number is kept for NULL even where no key is
        names = key_names([key.take(row[present]) for key in keys], len(present))
        self._numbers = dict(zip(names, present.tolist(), strict=True))
        self.group = self._numbers.get

    def _first_values(self, number: int, type_: SqlType, parts: list[Vector], order: np.ndarray) -> Encoded:
        dictionary = self.dictionaries[number]
        if dictionary is not None:
            codes = [dictionary.encode_column(part) for part in parts]
            return Encoded(type_, np.concatenate(codes)[order], None)
        whole = concatenate(parts)
        valid = np.ones(len(order), np.uint8) if whole.valid is None else whole.valid[order].astype(np.uint8)
        return Encoded(type_, np.ascontiguousarray(whole.data[order], storage(type_)), valid)


def _encoded(values: Sequence[Any], type_: SqlType) -> Encoded:
    valid = None
    if None in values:
        valid = np.array([value is not None for value in values], np.uint8)
        values = [0 if value is None else value for value in values]
    return Encoded(type_, np.array(values, storage(type_)), valid)


def key_names(keys: Sequence[Vector], rows: int) -> list[Any]:
    """Each row's key as a Python value: of one column itself, of several a tuple."""
    columns = [key.spread(rows).to_arrow(rows).to_pylist() if key.type is T.STRING else _plain(key.spread(rows)) for key in keys]
    return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))


def _plain(key: Vector) -> list[Any]:
    return [value if valid else None for value, valid in zip(key.data.tolist(), key.is_valid.tolist(), strict=True)]
