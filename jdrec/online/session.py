"""Features at request time, from tables kept in memory; the same plan and kernels as the batch engine's."""

from __future__ import annotations

import dataclasses
import time as clock
from collections.abc import Callable, Collection, Mapping, Sequence
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from jdrec.engines.embedded.derived import with_derived
from jdrec.engines.embedded.load import load_tables
from jdrec.engines.embedded.planner import make_plan
from jdrec.engines.embedded.stores import check_times
from jdrec.engines.embedded.vector import Vector
from jdrec.errors import DataError, OnlineError, nearest
from jdrec.features.spec import FeatureSet
from jdrec.features.types import SqlType
from jdrec.online.evaluator import RequestEvaluator, request_cells
from jdrec.online.rows import Row, RowReader, date_of, vectors_of
from jdrec.online.stored import Stored
from jdrec.online.ttl import TimeToLives
from jdrec.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa

    from jdrec.dataset.tables import TableSet
    from jdrec.online.opening import Recovery

_AT_A_TIME = 64  # rows of an insert after which computes may go in between


class Journal(Protocol):
    """Where inserted rows are made durable."""

    def append(self, table: str, columns: Mapping[str, Sequence[Any]], rows: int, now_ms: int) -> None:
        """Returns when the rows are safe.

        Args:
            columns: storage values of the table's stored columns.

        Raises:
            OnlineError: they are not, and nothing was changed.
        """

    def close(self) -> None: ...

    @property
    def disk_bytes(self) -> int: ...


class RequestSession:
    """Computes features of requests as OpenMLDB's request mode does. Threads may share it.

    A request sees itself and every stored row up to its time, those of equal time included. It is not stored unless it is inserted;
    rows inserted in order of arrival give what the batch engine gives for the whole table.

    Args:
        feature_set: the definition.
        tables: what is stored at first.
        preload: names of the tables to load; the others start empty. All by default.
        ttls: how long rows are kept; for ever by default.
        journal: makes inserts durable.
        max_memory_bytes: inserts that would make the store larger are refused; 0: no limit.
        now_ms: the clock that ages count from.

    Attributes:
        names: of the output columns.
        recovery: what was read from a durable store.

    Raises:
        CheckError: a feature that the embedded engine does not compute.
        DataError: tables that cannot be used.
    """

    def __init__(
        self,
        feature_set: FeatureSet,
        tables: TableSet,
        *,
        preload: Collection[str] | None = None,
        progress: Progress | None = None,
        ttls: TimeToLives | None = None,
        journal: Journal | None = None,
        max_memory_bytes: int = 0,
        now_ms: Callable[[], int] = lambda: int(clock.time() * 1000),
    ):
        self.feature_set = feature_set
        self.names = tuple(feature.name for feature in feature_set.features)
        self._plan = make_plan(feature_set)
        self._journal, self._max_memory_bytes, self._now_ms = journal, max_memory_bytes, now_ms
        self._ttls = ttls or TimeToLives("forever", feature_set)
        self.recovery: Recovery | None = None
        self._closed = False
        self._lock, self._writing = Lock(), Lock()
        self._readers = {name: RowReader(table) for name, table in feature_set.tables.items()}
        self._derived = {name: self._plan.columns_read(name).keys() & table.derived.keys() for name, table in feature_set.tables.items()}
        progress = progress or Progress.silent()
        data = load_tables(self._plan, tables, progress, only=preload)
        cells, derive = request_cells(self._plan, feature_set)
        self._stored = Stored(self._plan, feature_set, data, cells, self._ttls, now_ms(), progress)
        self._evaluator = RequestEvaluator(self._plan, feature_set, self._stored, cells, derive)
        self._dates = [number for number, feature in enumerate(feature_set.features) if feature.type is SqlType.DATE]
        del data
        _give_back_memory()

    # --- out -----------------------------------------------------------------------------------------------------------------

    def compute_one(self, row: Row) -> tuple[Any, ...]:
        """One request's features in the order of `feature_set.features`.

        Args:
            row: every column of the request table (see `rows.RowReader`).

        Returns:
            str, int, float, bool, epoch milliseconds, `datetime.date`, or None; the label is None unless it is known already.

        Raises:
            DataError: the row does not fit the request table.
        """
        values = self._values(self._readers[self.feature_set.request_table].read(row))
        return values if not self._dates else self._dated(values)

    def compute_rows(self, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
        """Several requests' features, each as `compute_one` gives it: they do not see each other.

        Raises:
            DataError: a row does not fit the request table; none is computed then.
        """
        values = self._all_values(rows)
        return values if not self._dates else [self._dated(row) for row in values]

    def compute_columns(self, rows: Sequence[Row]) -> list[list[Any]]:
        """As `compute_rows`, one list a feature."""
        return [list(column) for column in zip(*self.compute_rows(rows), strict=True)] if rows else [[] for _ in self.names]

    def compute(self, rows: Sequence[Row]) -> pa.RecordBatch:
        """As `compute_rows`, as Arrow columns of the features' types."""
        import pyarrow as pa

        values = self._all_values(rows)
        columns = zip(*values, strict=True) if values else [()] * len(self.names)
        types = [feature.type for feature in self.feature_set.features]
        arrays = [Vector.of_values(list(column), type_).to_arrow(len(rows)) for column, type_ in zip(columns, types, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=self._plan.schema)

    # --- in ------------------------------------------------------------------------------------------------------------------

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        """Stores rows of a table, in order of arrival. All of them or, on an error, none. Durable when it returns, if the session is.

        Raises:
            DataError: there is no such table, or a row does not fit it.
            OnlineError: the disk, or the memory that the session may take, is full.
        """
        if table not in self.feature_set.tables:
            raise DataError(f"there is no table {table!r}.", hint=nearest(table, self.feature_set.tables))
        columns = self._readers[table].columns(rows)
        if not rows:
            return
        stored = columns
        if self._derived[table]:
            definition = self.feature_set.tables[table]
            vectors = with_derived(definition, vectors_of(definition, columns), self._derived[table], len(rows))
            columns = columns | {name: _values_of(vectors[name]) for name in self._derived[table]}
        if table == self.feature_set.request_table:
            self._check_times(columns[self.feature_set.request_time])
        self._stored.check(table, columns)
        with self._writing:
            now_ms = self._now_ms()
            self._check_memory(table, len(rows), now_ms)
            if self._journal is not None:
                self._journal.append(table, stored, len(rows), now_ms)
            for start in range(0, len(rows), _AT_A_TIME):
                stop = min(start + _AT_A_TIME, len(rows))
                part = columns if stop - start == len(rows) else {name: values[start:stop] for name, values in columns.items()}
                with self._lock:
                    self._stored.insert(table, part, stop - start, now_ms)
                    self._evaluator.refresh()

    def expire(self) -> int:
        """Drops all expired rows, and keys without rows; returns how many rows there were. Expired rows are never seen, dropped or not."""
        with self._writing, self._lock:
            return self._stored.expire(self._now_ms())

    # --- state ---------------------------------------------------------------------------------------------------------------

    @property
    def memory_bytes(self) -> int:
        """What the stored rows take: arrays exactly, Python's keys and strings about."""
        return self._stored.memory_bytes

    def stats(self) -> dict[str, Any]:
        """What is stored, and what it takes."""
        with self._lock:
            return {
                **self._stored.describe(),
                "max_memory_bytes": self._max_memory_bytes or None,
                "disk_bytes": self._journal.disk_bytes if self._journal is not None else None,
                "ttl": self._ttls.describe(self.feature_set.tables),
                "recovery": dataclasses.asdict(self.recovery) if self.recovery is not None else None,
            }

    def close(self) -> None:
        """Waits for an insert that is going on, and closes what makes inserts durable."""
        with self._writing:
            if self._journal is not None and not self._closed:
                self._journal.close()
            self._closed = True

    def __enter__(self) -> RequestSession:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # --- a request -------------------------------------------------------------------------------------------------------------

    def _all_values(self, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
        read = self._readers[self.feature_set.request_table].read
        cells = [read(row, number) for number, row in enumerate(rows)]
        self._check_times([row[self._evaluator.time] for row in cells])
        return [self._values(row) for row in cells]

    def _values(self, cells: list[Any]) -> tuple[Any, ...]:
        """Storage values of the features, from those of the request's columns."""
        evaluator = self._evaluator
        evaluator.begin(cells)
        time = cells[evaluator.time]
        if time is None or time < 0:
            self._check_times([time])
        with self._lock:
            evaluator.look_up(cells, self._now_ms() if self._stored.expires else 0)
        return evaluator.finish(cells)

    def _dated(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        result = list(values)
        for place in self._dates:
            result[place] = date_of(result[place])
        return tuple(result)

    def _check_times(self, times: Sequence[int | None]) -> None:
        """Refuses requests without a time, or of one before 1970."""
        what = f"{self.feature_set.request_table}.{self.feature_set.request_time}"
        missing = sum(time is None for time in times)
        if missing:
            raise DataError(f"{what} is NULL in {missing:,} of {len(times):,} requests: a request needs its time.")
        before = [time for time in times if time is not None and time < 0]
        if before:
            check_times(Vector.of_values(before, SqlType.TIMESTAMP), what)

    def _check_memory(self, table: str, rows: int, now_ms: int) -> None:
        if not self._max_memory_bytes:
            return
        wanted = self._stored.most_bytes(table, rows)
        if self.memory_bytes + wanted > self._max_memory_bytes and self._stored.expires:
            with self._lock:
                self._stored.expire(now_ms)
        if self.memory_bytes + wanted > self._max_memory_bytes:
            raise OnlineError(
                f"{rows:,} rows of {table!r} were not stored: with {self.memory_bytes / 2**20:,.1f} MiB taken they may exceed the limit of "
                f"{self._max_memory_bytes / 2**20:,.1f} MiB.",
                where="online.max_memory_mb",
                hint="Raise it, or let rows expire: online.ttl.",
                kind="memory",
            )


def _give_back_memory() -> None:
    """Loading takes several times what stays; allocators would keep it."""
    import ctypes

    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def _values_of(vector: Vector) -> list[Any]:
    """Storage values of a column."""
    if vector.type is SqlType.STRING:
        return vector.plain().data.to_pylist()
    values = vector.data.astype(bool).tolist() if vector.type is SqlType.BOOL else vector.data.tolist()
    return values if vector.valid is None else [value if valid else None for value, valid in zip(values, vector.is_valid, strict=True)]
