"""Stores: the rows that windows look into, merged from their tables, sorted by (key, time), and encoded for the kernels (see `building`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from jdrec.dataset import arrow
from jdrec.engines.embedded import plan
from jdrec.engines.embedded.layout import Kind
from jdrec.engines.embedded.vector import Vector, concatenate
from jdrec.errors import DataError
from jdrec.features.types import SqlType

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


def check_times(time: Vector, what: str) -> None:
    """Refuses times before 1970, which OpenMLDB takes for the far future.

    Raises:
        DataError: with count and examples.
    """
    before = time.data[time.is_valid & (time.data < 0)]
    refuse_early(what, len(before), before[:3].tolist())


def refuse_early(what: str, count: int, examples: Sequence[int]) -> None:
    """Raises the error of `check_times` where there are such times."""
    if count:
        raise DataError(
            f"{what} has {count:,} times before 1970 (in ms: {', '.join(map(str, examples))}), which cannot order rows in OpenMLDB."
        )


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


def zero_key(type_: SqlType, dictionary: Codes | None) -> int:
    """The key of the type's zero value, which distinct_count takes NULL for."""
    if dictionary is not None:
        found = dictionary.find("")
        return found if found >= 0 else NO_SUCH_CODE
    return NO_SUCH_DATE if type_ is T.DATE else 0
