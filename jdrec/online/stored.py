"""Everything that a session keeps in memory: the rows of its windows and of its joins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jdrec.engines.embedded.plan import Plan
from jdrec.engines.embedded.vector import Vector
from jdrec.features.spec import FeatureSet
from jdrec.online.cells import Cells
from jdrec.online.join import OnlineJoin, make_join
from jdrec.online.joined import reads_joins, stored_columns
from jdrec.online.store import Dictionaries, OnlineStore
from jdrec.online.ttl import TimeToLives
from jdrec.progress import Progress

_NEW_ROW_BYTES = 200  # about what a row that opens a key takes, in each store


class Stored:
    """Stores and joins of a plan. Not safe for several threads at once.

    Args:
        data: what they hold at first: the columns of each table.
        cells: what a request's cells hold so far; the joins' columns get the next ones.
        ttls: how long rows are kept.

    Attributes:
        stores: one for each of the plan's stores, in their order. joins: by name, each after what it needs.
        expires: whether rows can.
    """

    def __init__(
        self,
        plan: Plan,
        feature_set: FeatureSet,
        data: Mapping[str, Mapping[str, Vector]],
        cells: Cells,
        ttls: TimeToLives,
        now_ms: int,
        progress: Progress,
    ):
        kept = [stored_columns(store, plan.joins, feature_set) if reads_joins(store) else store for store in plan.stores]
        self.stores: list[OnlineStore] = []
        self.joins: dict[str, OnlineJoin] = {}
        with progress.task("fill the store", total=len(kept) + len(plan.joins)) as task:
            for join in plan.joins:
                columns, types = sorted(plan.joined_columns(join.name)), feature_set.tables[join.table].types
                ttl = ttls.of(join.table, [right for _, right in join.on], join.order_by)
                self.joins[join.name] = make_join(join, columns, types, data[join.table], cells, ttl, now_ms)
                task.advance()
            self._dictionaries = Dictionaries(kept)
            for planned in kept:
                self.stores.append(OnlineStore(planned, feature_set, self._dictionaries, data, ttls))
                task.advance()
        self.expires = any(store.slabs.expires for store in self.stores) or any(join.expires for join in self.joins.values())
        self.expire(now_ms)

    def check(self, table: str, columns: Mapping[str, Sequence[Any]]) -> None:
        """Refuses rows whose time cannot order them.

        Raises:
            DataError: a time before 1970.
        """
        for store in self.stores:
            store.check(table, columns)

    def insert(self, table: str, columns: Mapping[str, Sequence[Any]], rows: int, now_ms: int) -> None:
        """Adds rows of a table, in order of arrival: storage values of all its columns."""
        for store in self.stores:
            store.insert(table, columns, rows, now_ms)
        for join in self.joins.values():
            if join.join.table == table:
                join.insert(columns, rows, now_ms)

    def expire(self, now_ms: int) -> int:
        """Drops all expired rows, and keys without rows; returns how many rows there were."""
        return sum(store.expire(now_ms) for store in self.stores)

    @property
    def memory_bytes(self) -> int:
        """What it takes: arrays exactly, Python's keys and strings about."""
        parts = sum(store.memory_bytes for store in self.stores) + sum(join.memory_bytes for join in self.joins.values())
        return parts + self._dictionaries.memory_bytes

    def most_bytes(self, table: str, rows: int) -> int:
        """What so many more rows of a table may take while they are inserted."""
        stores = [store for store in self.stores if any(name == table for name, _ in store.roles)]
        joins = [join for join in self.joins.values() if join.join.table == table]
        slabs = sum(2 * store.slabs.row_bytes * (rows + store.slabs.longest) for store in stores)
        return slabs + rows * _NEW_ROW_BYTES * (len(stores) + len(joins))

    def describe(self) -> dict[str, Any]:
        """What is stored, and what it takes."""
        stores = [
            {
                "tables": [name for name, _ in store.roles],
                "key": list(store.plan.keys),
                "rows": store.slabs.rows,
                "keys": store.keys,
                "memory_bytes": store.memory_bytes,
            }
            for store in self.stores
        ]
        joins = [{"join": name, "keys": join.keys, "memory_bytes": join.memory_bytes} for name, join in self.joins.items()]
        return {
            "stores": stores,
            "joins": joins,
            "strings_bytes": self._dictionaries.memory_bytes,
            "memory_bytes": self.memory_bytes,
        }
