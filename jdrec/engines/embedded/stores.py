"""Stores: the rows that windows look into, merged from their tables, sorted by (key, time), and encoded for the kernels."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from jdrec.dataset import arrow
from jdrec.engines.embedded import plan
from jdrec.engines.embedded.expressions import evaluate
from jdrec.engines.embedded.keys import Groups
from jdrec.engines.embedded.layout import Kind
from jdrec.engines.embedded.rows import TableRows, as_row
from jdrec.engines.embedded.vector import Vector, concatenate
from jdrec.errors import DataError
from jdrec.features.types import SqlType

log = logging.getLogger(__name__)
T = SqlType

KINDS = {
    T.STRING: Kind.CODE,
    T.BOOL: Kind.BOOL,
    T.SMALLINT: Kind.INT16,
    T.INT: Kind.INT32,
    T.DATE: Kind.INT32,
    T.BIGINT: Kind.INT64,
    T.TIMESTAMP: Kind.INT64,
    T.FLOAT: Kind.FLOAT32,
    T.DOUBLE: Kind.FLOAT64,
}
NO_SUCH_CODE = -2  # a key that no value has
NO_SUCH_DATE = -(2**62)  # OpenMLDB's zero date is no day of the calendar


class Dictionary:
    """The distinct strings that codes stand for."""

    def __init__(self, strings: Any):
        self._strings = strings

    def __len__(self) -> int:
        return len(self._strings)

    def find(self, text: str) -> int:
        """The code of a string, -1 if it has none."""
        return int(arrow.index_in(arrow.strings_of([text]), self._strings)[0]) if len(self) else -1

    def decode(self, codes: np.ndarray) -> Any:
        """An Arrow array of the strings; NULL for a negative code."""
        return arrow.take(self._strings, codes)


class Codes(Protocol):
    """A dictionary, as `Dictionary` or one that grows."""

    def __len__(self) -> int: ...

    def find(self, text: str) -> int: ...

    def decode(self, codes: np.ndarray) -> Any: ...


@dataclass(frozen=True)
class Encoded:
    """A column as the kernels read it: codes or storage values, and validity bytes (None: no NULLs, or codes)."""

    type: SqlType
    values: np.ndarray
    valid: np.ndarray | None
    constant: bool = False

    @property
    def kind(self) -> Kind:
        return KINDS[self.type]

    def take(self, rows: np.ndarray) -> Encoded:
        return Encoded(self.type, self.values[rows], None if self.valid is None else self.valid[rows])


@dataclass(frozen=True)
class Rows:
    """The rows at hand, as one store's windows see them.

    Attributes:
        group: int32 [rows], -1 where the store has no such key.
        time: int64 [rows], milliseconds.
        place: int64 [rows], where the row itself lies in the store; None: it is not in it, as at request time.
        columns: the store's columns of these rows.
    """

    group: np.ndarray
    time: np.ndarray
    place: np.ndarray | None
    columns: list[Encoded]


@dataclass(frozen=True)
class Store:
    """Sorted rows.

    Attributes:
        times: int64 [rows], milliseconds, ascending within a group.
        begins, ends: int64 [groups], the rows of each group.
        columns: one entry a row.
        dictionaries: what the codes of each string column stand for, in order of their bytes where the plan compares them; None for
            other columns.
        longest: at least the rows of the largest group.
    """

    plan: plan.Store
    times: np.ndarray
    begins: np.ndarray
    ends: np.ndarray
    columns: list[Encoded]
    dictionaries: Sequence[Codes | None]
    longest: int


def build_store(
    store: plan.Store,
    tables: Mapping[str, Mapping[str, Vector]],
    request: Mapping[str, Vector],
    time: np.ndarray,
    joins: Mapping[str, Mapping[str, Vector]],
) -> tuple[Store, Rows]:
    """Builds a store for a batch of requests: rows with keys that no request has are left out.

    Args:
        tables: the union's tables, by name and column.
        request, time: the request table's columns, and its time column in milliseconds.
        joins: columns of the requests' joined rows.

    Raises:
        DataError: a row's time is before 1970.
    """
    keys = [request[name] for name in store.request_keys]
    groups = Groups(keys, len(time))
    # Where times are equal, the first table's rows are newer than the second's, and the requests' are the newest.
    members = [_Member(store, name, tables[name], groups) for name in reversed(store.tables)]
    current = as_row(request, store.row)
    group = np.concatenate([member.group for member in members] + ([groups.numbers] if store.has_requests else [np.zeros(0, np.int32)]))
    times = np.concatenate([member.times for member in members] + ([time] if store.has_requests else [np.zeros(0, np.int64)]))
    order = np.lexsort((times, group))
    ends = np.cumsum(np.bincount(group, minlength=groups.count)).astype(np.int64)
    begins = np.append(np.int64(0), ends[:-1]) if groups.count else ends
    place = None
    if store.has_requests:
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        place = np.ascontiguousarray(place[len(order) - len(time) :])
    columns: list[Encoded] = []
    own: list[Encoded] = []
    dictionaries: list[Dictionary | None] = []
    for number, column in enumerate(store.columns):
        parts = [member.values(column.node) for member in members]
        encoded, dictionary = encode([*parts, evaluate(column.node, TableRows(current, joins))], column.type, store.is_ordered(number))
        mine = encoded.pop()
        own.append(mine)
        merged = join_parts([*encoded, _spread(mine, len(time))] if store.has_requests else encoded, column.type)
        columns.append(merged.take(order))
        dictionaries.append(dictionary)
    rows = Rows(groups.numbers, time, place, own)
    longest = int((ends - begins).max(initial=0))
    return Store(store, np.ascontiguousarray(times[order]), begins, ends, columns, dictionaries, longest), rows


class _Member:
    """One table's rows in a store: those whose key is asked for."""

    def __init__(self, store: plan.Store, name: str, columns: Mapping[str, Vector], groups: Groups):
        self._columns = columns
        self._size = len(columns[store.time])
        group = groups.find([columns[key] for key in store.keys])
        time = columns[store.time]
        check_times(time, f"{name}.{store.time}")
        kept = (group >= 0) & time.is_valid
        if time.valid is not None:
            log.warning("%s: %s rows without a %s are in no window", name, f"{int((time.valid == 0).sum()):,}", store.time)
        self._kept = None if kept.all() else np.flatnonzero(kept)
        self.group = group if self._kept is None else group[self._kept]
        self.times = time.data.astype(np.int64) if self._kept is None else time.data[self._kept].astype(np.int64)

    def values(self, node: Any) -> Vector:
        vector = evaluate(node, TableRows(self._columns)).spread(self._size)
        if self._kept is None:
            return vector
        if vector.type is T.STRING and hasattr(vector.data, "dictionary"):
            return Vector(T.STRING, arrow.take(vector.data, self._kept))
        return vector.take(self._kept)


def check_times(time: Vector, what: str) -> None:
    """Refuses times before 1970, which OpenMLDB takes for the far future.

    Raises:
        DataError: with count and examples.
    """
    before = time.is_valid & (time.data < 0)
    if before.any():
        examples = ", ".join(str(value) for value in time.data[before][:3].tolist())
        raise DataError(f"{what} has {int(before.sum()):,} times before 1970 (in ms: {examples}), which cannot order rows in OpenMLDB.")


def encode(parts: Sequence[Vector], type_: SqlType, ordered: bool) -> tuple[list[Encoded], Dictionary | None]:
    """Columns of the same values as codes of one dictionary, or as storage values (dictionary None)."""
    if type_ is not T.STRING:
        return [Encoded(type_, np.ascontiguousarray(part.data), part.valid, part.constant) for part in parts], None
    pairs = [part.encoded() for part in parts]
    whole = pairs[0][0] if len(pairs) == 1 else arrow.call("unique", concatenate([Vector(T.STRING, values) for values, _ in pairs]).data)
    if ordered:
        whole = arrow.take(whole, arrow.sort_order(whole))
    result = []
    for part, (values, codes) in zip(parts, pairs, strict=True):
        known = arrow.index_in(values, whole) if len(values) else np.zeros(0, np.int32)
        result.append(Encoded(type_, np.append(known, np.int32(-1))[codes], None, part.constant))
    return result, Dictionary(whole)


def join_parts(parts: Sequence[Encoded], type_: SqlType) -> Encoded:
    """One column of several."""
    if not parts:
        return Encoded(type_, np.zeros(0, np.int32 if type_ is T.STRING else arrow.STORAGE[type_]), None)
    valid = None
    if any(part.valid is not None for part in parts):
        valid = np.concatenate([np.ones(len(part.values), np.uint8) if part.valid is None else part.valid for part in parts])
    return Encoded(type_, np.concatenate([part.values for part in parts]), valid)


def zero_key(type_: SqlType, dictionary: Codes | None) -> int:
    """The key of the type's zero value, which distinct_count takes NULL for."""
    if dictionary is not None:
        found = dictionary.find("")
        return found if found >= 0 else NO_SUCH_CODE
    return NO_SUCH_DATE if type_ is T.DATE else 0


def _spread(column: Encoded, rows: int) -> Encoded:
    if not column.constant:
        return column
    valid = None if column.valid is None else np.repeat(column.valid, rows)
    return Encoded(column.type, np.repeat(column.values, rows), valid)
