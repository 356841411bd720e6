"""Features at request time, from tables kept in memory; the same plan and kernels as the batch engine's."""

from __future__ import annotations

import dataclasses
import struct
import time as clock
from collections.abc import Callable, Collection, Mapping, Sequence
from operator import itemgetter
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from jdrec.engines.embedded.derived import closure, with_derived
from jdrec.engines.embedded.extract import walked
from jdrec.engines.embedded.layout import Function, Job
from jdrec.engines.embedded.load import load_tables
from jdrec.engines.embedded.native import evaluate_briefly
from jdrec.engines.embedded.plan import Plan, Result
from jdrec.engines.embedded.planner import make_plan
from jdrec.engines.embedded.stores import check_times
from jdrec.engines.embedded.vector import Vector
from jdrec.errors import DataError, OnlineError, nearest
from jdrec.features.spec import FeatureSet
from jdrec.features.types import SqlType
from jdrec.online.cells import Cells, scalar_of
from jdrec.online.join import OnlineJoin, make_join
from jdrec.online.joined import JoinedWindows, reads_joins, stored_columns
from jdrec.online.program import RequestProgram
from jdrec.online.results import decoder, is_word
from jdrec.online.rows import Row, RowReader, date_of, vectors_of
from jdrec.online.scalar import compiled
from jdrec.online.store import Dictionaries, OnlineStore
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
        self._evaluate = evaluate_briefly()  # compiled now where it never was, so that no request waits for it
        self._readers = {name: RowReader(table) for name, table in feature_set.tables.items()}
        self._derived = {name: self._plan.columns_read(name).keys() & table.derived.keys() for name, table in feature_set.tables.items()}
        progress = progress or Progress.silent()
        data = load_tables(self._plan, tables, progress, only=preload)
        self._prepare(self._plan, data, progress)
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
        for store in self._stores:
            store.check(table, columns)
        with self._writing:
            now_ms = self._now_ms()
            self._check_memory(table, len(rows), now_ms)
            if self._journal is not None:
                self._journal.append(table, stored, len(rows), now_ms)
            for start in range(0, len(rows), _AT_A_TIME):
                stop = min(start + _AT_A_TIME, len(rows))
                part = columns if stop - start == len(rows) else {name: values[start:stop] for name, values in columns.items()}
                with self._lock:
                    for store in self._stores:
                        store.insert(table, part, stop - start, now_ms)
                    for join in self._joins.values():
                        if join.join.table == table:
                            join.insert(part, stop - start, now_ms)
                    self._refresh()

    def expire(self) -> int:
        """Drops all expired rows, and keys without rows; returns how many rows there were. Expired rows are never seen, dropped or not."""
        with self._writing, self._lock:
            return sum(store.expire(self._now_ms()) for store in self._stores)

    # --- state ---------------------------------------------------------------------------------------------------------------

    @property
    def memory_bytes(self) -> int:
        """What the stored rows take: arrays exactly, Python's keys and strings about."""
        parts = sum(store.memory_bytes for store in self._stores) + sum(join.memory_bytes for join in self._joins.values())
        return parts + self._dictionaries.memory_bytes

    def stats(self) -> dict[str, Any]:
        """What is stored, and what it takes."""
        with self._lock:
            stores = [
                {
                    "tables": [name for name, _ in store.roles],
                    "key": list(store.plan.keys),
                    "rows": store.slabs.rows,
                    "keys": store.keys,
                    "memory_bytes": store.memory_bytes,
                }
                for store in self._stores
            ]
            joins = [{"join": name, "keys": join.keys, "memory_bytes": join.memory_bytes} for name, join in self._joins.items()]
            return {
                "stores": stores,
                "joins": joins,
                "strings_bytes": self._dictionaries.memory_bytes,
                "memory_bytes": self.memory_bytes,
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

    # --- preparation -----------------------------------------------------------------------------------------------------------

    def _prepare(self, plan: Plan, data: dict[str, dict[str, Vector]], progress: Progress) -> None:
        """Fills the stores, and lays out a request's cells: its columns, joined columns, aggregates' results, computed values."""
        feature_set, now_ms = self.feature_set, self._now_ms()
        request = feature_set.request
        cells = Cells()
        for name, type_ in request.columns.items():
            cells.add((None, name), type_)
        self._steps: list[Callable[[Sequence[Any]], Any]] = []
        needed = closure(request, plan.columns_read(request.name))
        for name, derived in request.derived.items():
            if name in needed:
                self._steps.append(compiled(derived.node, cells))
                cells.add((None, name), derived.type)
        self._time = cells.place((None, feature_set.request_time))
        kept = [stored_columns(store, plan.joins, feature_set) if reads_joins(store) else store for store in plan.stores]
        with progress.task("fill the store", total=len(kept) + len(plan.joins)) as task:
            self._joins: dict[str, OnlineJoin] = {}
            for join in plan.joins:
                columns, types = sorted(plan.joined_columns(join.name)), feature_set.tables[join.table].types
                ttl = self._ttls.of(join.table, [right for _, right in join.on], join.order_by)
                self._joins[join.name] = make_join(join, columns, types, data[join.table], cells, ttl, now_ms)
                task.advance()
            self._dictionaries = Dictionaries(kept)
            self._stores = []
            for planned in kept:
                self._stores.append(OnlineStore(planned, feature_set, self._dictionaries, data, self._ttls))
                task.advance()
        self._expires = any(store.slabs.expires for store in self._stores) or any(join.expires for join in self._joins.values())
        for store in self._stores:
            store.expire(now_ms)
        self._prepare_windows(plan, cells)
        self._prepare_outputs(plan, cells)
        self._refresh()

    def _prepare_windows(self, plan: Plan, cells: Cells) -> None:
        """Buffers and decoders of the windows' aggregates."""
        direct = [number for number, store in enumerate(plan.stores) if not reads_joins(store)]
        self._buffer = np.zeros(sum(2 + 2 * len(plan.stores[number].columns) for number in direct), np.int64)
        self._out = np.zeros(sum(plan.stores[number].width for number in direct), np.int64)
        self._jobs = np.zeros((len(direct), Job.WIDTH), np.int64)
        self._jobs_address = self._jobs.ctypes.data
        self._programs: list[RequestProgram] = []
        self._decoders: list[Callable[[Sequence[int]], Any]] = []
        self._windows: list[JoinedWindows] = []
        words, offset = [], 0
        for number in direct:
            store = plan.stores[number]
            for place, aggregate in enumerate(store.aggregates):
                if is_word(aggregate):
                    words.append(offset + store.offsets[place] + 1)
                    cells.add(Result(0, 0, number, place), aggregate.type)
            offset += store.width
        self._words = itemgetter(*words) if len(words) > 1 else _each(words)
        first = offset = 0
        for number in direct:
            store, width = plan.stores[number], plan.stores[number].width
            program = RequestProgram(self._stores[number], cells, self._time, self._buffer, first, self._out[offset : offset + width])
            self._programs.append(program)
            first += len(program.formats)
            for place, aggregate in enumerate(store.aggregates):
                if aggregate.function is not Function.FRAME and not is_word(aggregate):
                    column = aggregate.column
                    type_ = store.columns[column].type if column is not None else None
                    dictionary = self._stores[number].dictionaries[column] if column is not None else None
                    self._decoders.append(
                        decoder(aggregate, offset + store.offsets[place], type_, dictionary, self._out, column in program.guests)
                    )
                    cells.add(Result(0, 0, number, place), aggregate.type)
            for place, walk in enumerate(store.walks):
                self._decoders.append(_walker(program, place, self._out[offset : offset + width].reshape(1, width)))
                cells.add(Result(0, 0, number, place, True), walk.type)
            offset += width
        self._pack = struct.Struct("<" + "".join(item for program in self._programs for item in program.formats)).pack_into
        self._unpack = struct.Struct(f"<{len(self._out)}q").unpack
        for number, store in enumerate(plan.stores):
            if number not in direct:
                self._windows.append(JoinedWindows(store, self._stores[number], self._joins, cells, self._time))
                for place, aggregate in enumerate(store.aggregates):
                    cells.add(Result(0, 0, number, place), aggregate.type)
                for place, walk in enumerate(store.walks):
                    cells.add(Result(0, 0, number, place, True), walk.type)

    def _prepare_outputs(self, plan: Plan, cells: Cells) -> None:
        """Which cells are the outputs, and what is computed for them."""
        self._expressions: list[Callable[[Sequence[Any]], Any]] = []
        places = []
        for output in plan.outputs:
            place = cells.find(output.node, output.row)
            if place is None:
                self._expressions.append(compiled(output.node, cells, output.row))
                place = len(cells) + len(self._expressions) - 1
            places.append(place)
        self._gather: Callable[[Sequence[Any]], tuple[Any, ...]] = itemgetter(*places, 0)  # one more, so that it is a tuple in any case
        self._dates = [number for number, output in enumerate(plan.outputs) if output.feature.type is SqlType.DATE]

    # --- a request -------------------------------------------------------------------------------------------------------------

    def _all_values(self, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
        read = self._readers[self.feature_set.request_table].read
        cells = [read(row, number) for number, row in enumerate(rows)]
        self._check_times([row[self._time] for row in cells])
        return [self._values(row) for row in cells]

    def _values(self, cells: list[Any]) -> tuple[Any, ...]:
        """Storage values of the features, from those of the request's columns."""
        for step in self._steps:
            cells.append(step(cells))
        time = cells[self._time]
        if time is None or time < 0:
            self._check_times([time])
        words: list[Any] = []
        with self._lock:
            now_ms = self._now_ms() if self._expires else 0
            for join in self._joins.values():
                join.look_up(cells, now_ms)
            for program in self._programs:
                program.fill(cells, words, now_ms)
            if words:
                self._pack(self._buffer.data, 0, *words)
                self._evaluate(self._jobs_address, len(self._programs))
                results = self._unpack(self._out.data)
                cells += self._words(results)
                cells += [decode(results) for decode in self._decoders]
            for windows in self._windows:
                aggregates, walks = windows.compute(cells, now_ms)
                cells += aggregates
                cells += walks
        for expression in self._expressions:
            cells.append(expression(cells))
        return self._gather(cells)[:-1]

    def _refresh(self) -> None:
        """Tells the row evaluator where the rows are now."""
        for number, program in enumerate(self._programs):
            job = program.job()
            if job is not None:
                self._jobs[number] = job

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
        stores = [store for store in self._stores if any(name == table for name, _ in store.roles)]
        joins = [join for join in self._joins.values() if join.join.table == table]
        wanted = rows * 200 * (len(stores) + len(joins)) + sum(2 * store.slabs.row_bytes * (rows + store.slabs.longest) for store in stores)
        if self.memory_bytes + wanted > self._max_memory_bytes and self._expires:
            with self._lock:
                for store in self._stores:
                    store.expire(now_ms)
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


def _each(places: list[int]) -> Callable[[Sequence[int]], Sequence[int]]:
    return lambda words: [words[place] for place in places]


def _walker(program: RequestProgram, number: int, out: np.ndarray) -> Callable[[Sequence[int]], Any]:
    """A function that gives the value of an aggregate over a whole frame."""

    def walk(words: Sequence[int]) -> Any:
        return scalar_of(walked(program.program.store.plan.walks[number], program.program, program.rows, out, 0))

    return walk


def _values_of(vector: Vector) -> list[Any]:
    """Storage values of a column."""
    if vector.type is SqlType.STRING:
        return vector.plain().data.to_pylist()
    values = vector.data.astype(bool).tolist() if vector.type is SqlType.BOOL else vector.data.tolist()
    return values if vector.valid is None else [value if valid else None for value, valid in zip(values, vector.is_valid, strict=True)]
