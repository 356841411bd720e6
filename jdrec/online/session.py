"""Features at request time, from tables kept in memory; the same plan and kernels as the batch engine's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from jdrec.engines.embedded.derived import with_derived
from jdrec.engines.embedded.extract import assemble, load_tables, request_times
from jdrec.engines.embedded.native import evaluate
from jdrec.engines.embedded.plan import make_plan
from jdrec.engines.embedded.vector import Vector
from jdrec.errors import CheckError, DataError, nearest
from jdrec.features.spec import FeatureSet, Table
from jdrec.online.join import OnlineJoin
from jdrec.online.rows import Row, columns_of
from jdrec.online.store import OnlineStore
from jdrec.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa

    from jdrec.dataset.tables import TableSet


class RequestSession:
    """Computes features of requests as OpenMLDB's request mode does. Threads may share it.

    A request sees itself and every stored row up to its time, those of equal time included. It is not stored unless it is inserted;
    rows inserted in order of arrival give what the batch engine gives for the whole table.

    Args:
        feature_set: the definition.
        tables: what is stored at first.
        preload: names of the tables to load; the others start empty. All by default.

    Raises:
        CheckError: a feature that the embedded engine does not compute.
        DataError: tables that cannot be used.
    """

    def __init__(
        self, feature_set: FeatureSet, tables: TableSet, *, preload: Collection[str] | None = None, progress: Progress | None = None
    ):
        self.feature_set = feature_set
        self._plan = make_plan(feature_set)
        if self._plan.has_windows_over_joins:
            raise CheckError("windows over the columns of a join are computed in batch only: the joined rows of stored requests change.")
        self._lock = Lock()
        evaluate()  # compiled now where it never was, so that no request waits for it
        data = load_tables(self._plan, tables, progress or Progress.silent(), only=preload)
        request, time = feature_set.request_table, feature_set.request_time
        self._stores = [OnlineStore(store, request, time, data) for store in self._plan.stores]
        self._joins = {
            join.name: OnlineJoin(join, sorted(self._plan.joined_columns(join.name)), data[join.table]) for join in self._plan.joins
        }

    def compute(self, rows: Sequence[Row]) -> pa.RecordBatch:
        """Features of requests, each computed as if it came alone.

        Args:
            rows: every column of the request table (see `rows.columns_of`).

        Returns:
            The feature set's columns, one row a request; the label is NULL unless it is known already.

        Raises:
            DataError: a row does not fit the request table.
        """
        table = self.feature_set.request
        request = self._columns_of(table, rows)
        time = request_times(request[self.feature_set.request_time], f"{table.name}.{self.feature_set.request_time}")
        order = np.arange(len(rows), dtype=np.int64)
        with self._lock:
            sizes = [store.sizes() for store in self._stores]
            try:
                words, stores = [], []
                for store in self._stores:
                    at_hand = store.look_up(request, time)
                    program = store.program()
                    out = np.zeros((len(rows), program.width), np.int64)
                    program.evaluate(at_hand, order, out)
                    words.append(out)
                    stores.append((program, at_hand))
                joins: dict[str, dict[str, Vector]] = {}
                for name, join in self._joins.items():
                    joins[name] = join.look_up(request, joins, len(rows))
                return assemble(self._plan, request, joins, words, stores, len(rows))
            finally:
                for store, size in zip(self._stores, sizes, strict=True):
                    store.forget(size)

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        """Stores rows of a table, in order of arrival. All of them or, on an error, none.

        Raises:
            DataError: there is no such table, or a row does not fit it.
        """
        if table not in self.feature_set.tables:
            raise DataError(f"there is no table {table!r}.", hint=nearest(table, self.feature_set.tables))
        columns = self._columns_of(self.feature_set.tables[table], rows)
        if table == self.feature_set.request_table:
            request_times(columns[self.feature_set.request_time], f"{table}.{self.feature_set.request_time}")
        for store in self._stores:
            store.check(table, columns)
        with self._lock:
            for store in self._stores:
                store.insert(table, columns, len(rows))
            for join in self._joins.values():
                if join.join.table == table:
                    join.insert(columns, len(rows))

    def _columns_of(self, table: Table, rows: Sequence[Row]) -> dict[str, Vector]:
        """The rows' columns, derived ones included."""
        return with_derived(table, columns_of(table, rows), self._plan.columns_read(table.name), len(rows))
