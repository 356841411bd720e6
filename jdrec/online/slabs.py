"""The arrays of a store that takes rows as they come, and the calls of the kernels that fill them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jdrec.dataset import arrow
from jdrec.engines.embedded import native
from jdrec.engines.embedded.layout import Slab, SlabColumn, Ttl
from jdrec.engines.embedded.stores import Encoded
from jdrec.features.types import SqlType
from jdrec.online.ttl import TimeToLive

_CLASSES = 64
_LEAST_ROWS, _LEAST_GROUPS = 1024, 64


class Slabs:
    """Rows in groups, each group sorted by time. Not safe for several threads at once.

    Args:
        times: int64 [rows], ascending within a group; the groups lie one after the other.
        roles: uint8 [rows], None if there is one role only; where times are equal, rows of a larger role are newer.
        lengths: int64 [groups].
        columns: one entry a row.
        ttls: how long rows are kept, by role.

    Attributes:
        version: changes when the arrays are others.
    """

    def __init__(
        self,
        times: np.ndarray,
        roles: np.ndarray | None,
        lengths: np.ndarray,
        columns: list[Encoded],
        ttls: Sequence[TimeToLive],
    ):
        self.times, self.roles, self.columns = times, roles, columns
        self.ends = np.cumsum(lengths).astype(np.int64)
        self.begins = self.ends - lengths
        self._starts, self._rooms = self.begins.copy(), lengths.astype(np.int64)
        self.groups, self.version = len(lengths), 0
        self._free_groups: list[int] = []
        self._heads = np.full(_CLASSES, -1, np.int64)
        self.expires = any(not ttl.forever for ttl in ttls)
        self._ttls = np.array([ttl.words for ttl in ttls], np.int64).reshape(len(ttls), Ttl.WIDTH)
        self._words = np.zeros(Slab.WIDTH, np.int64)
        self._words[Slab.CAPACITY] = self._words[Slab.USED] = self._words[Slab.LIVE] = len(times)
        self._words[Slab.LONGEST] = int(lengths.max(initial=0))
        self._words[Slab.FREE] = self._heads.ctypes.data
        self._words[Slab.TTLS] = self._ttls.ctypes.data if self.expires else 0
        self._words[Slab.ROLE_COUNT] = len(ttls)
        self._point()

    @property
    def longest(self) -> int:
        """Rows of the largest group there ever was."""
        return int(self._words[Slab.LONGEST])

    @property
    def rows(self) -> int:
        return int(self._words[Slab.LIVE])

    @property
    def memory_bytes(self) -> int:
        """Of the arrays as far as they are in use, and of the groups."""
        return int(self._words[Slab.USED]) * self.row_bytes + sum(array.nbytes for array in self._group_arrays())

    @property
    def row_bytes(self) -> int:
        """What a row takes, without the room that its group keeps for others."""
        return sum(array.itemsize for array in self._row_arrays())

    def add_group(self) -> int:
        """The number of a new group without rows."""
        if self._free_groups:
            return self._free_groups.pop()
        if self.groups == len(self.begins):
            size = max(_LEAST_GROUPS, self.groups + self.groups // 2)
            self.begins, self.ends, self._starts, self._rooms = (_sized(array, size) for array in self._group_arrays())
            self._point()
        self.groups += 1
        return self.groups - 1

    def release_groups(self, groups: list[int]) -> None:
        """Gives the numbers of groups without rows to others."""
        self._free_groups += groups

    def insert(self, groups: np.ndarray, times: np.ndarray, role: int, cells: list[Encoded]) -> None:
        """Inserts rows in order of arrival.

        Args:
            groups: int32 [rows]; rows of group -1 are left out.
            times: int64 [rows].
            cells: the columns' values.
        """
        words = _table([(cell.values, cell.valid) for cell in cells])
        done, rows = 0, len(groups)
        while True:
            done = native.insert_rows()(self._words.ctypes.data, groups.ctypes.data, times.ctypes.data, role, words.ctypes.data, done, rows)
            if done == rows:
                return
            self._grow()

    def expire(self, first: int, last: int, now_ms: int) -> int:
        """Drops the expired rows of groups `first` to `last`; returns how many there were."""
        return native.expire_rows()(self._words.ctypes.data, first, last, now_ms)

    def _grow(self) -> None:
        """Room for the largest slab that can be asked for, and for a quarter more rows than there are."""
        used = int(self._words[Slab.USED])
        size = max(_LEAST_ROWS, used + used // 4, used + 4 * self.longest)
        self.times = _sized(self.times, size)
        self.roles = None if self.roles is None else _sized(self.roles, size)
        self.columns = [
            Encoded(column.type, _sized(column.values, size), None if column.valid is None else _sized(column.valid, size))
            for column in self.columns
        ]
        self._words[Slab.CAPACITY] = size
        self._point()

    def _point(self) -> None:
        """Writes down where the arrays are."""
        self._columns = _table([(column.values, column.valid) for column in self.columns])
        words = self._words
        words[Slab.TIMES], words[Slab.ROLES] = self.times.ctypes.data, 0 if self.roles is None else self.roles.ctypes.data
        words[Slab.BEGINS], words[Slab.ENDS] = self.begins.ctypes.data, self.ends.ctypes.data
        words[Slab.STARTS], words[Slab.ROOMS] = self._starts.ctypes.data, self._rooms.ctypes.data
        words[Slab.COLUMNS], words[Slab.COLUMN_COUNT] = self._columns.ctypes.data, len(self.columns)
        self.version += 1

    def _row_arrays(self) -> list[np.ndarray]:
        columns = [array for column in self.columns for array in (column.values, column.valid) if array is not None]
        return [self.times, *([] if self.roles is None else [self.roles]), *columns]

    def _group_arrays(self) -> tuple[np.ndarray, ...]:
        return self.begins, self.ends, self._starts, self._rooms


def storage(type_: SqlType) -> type:
    """What NumPy keeps a store's column in: int32 codes for strings."""
    return np.int32 if type_ is SqlType.STRING else arrow.STORAGE[type_]


def _table(columns: list[tuple[np.ndarray, np.ndarray | None]]) -> np.ndarray:
    words = [[values.ctypes.data, 0 if valid is None else valid.ctypes.data, values.itemsize] for values, valid in columns]
    return np.array(words, np.int64).reshape(len(words), SlabColumn.WIDTH)


def _sized(array: np.ndarray, size: int) -> np.ndarray:
    result = np.zeros(size, array.dtype)
    result[: len(array)] = array
    return result
