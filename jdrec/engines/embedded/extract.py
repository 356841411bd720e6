"""The batch engine: features of a whole request table, written to one Parquet file."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jdrec.dataset.tables import TableSet
from jdrec.engines.embedded.building import StoreBuilder
from jdrec.engines.embedded.expressions import evaluate
from jdrec.engines.embedded.joins import last_join
from jdrec.engines.embedded.load import load_some, stream
from jdrec.engines.embedded.plan import Plan, Result, Walk
from jdrec.engines.embedded.planner import make_plan
from jdrec.engines.embedded.program import StoreProgram
from jdrec.engines.embedded.results import decode
from jdrec.engines.embedded.rows import OutputRows
from jdrec.engines.embedded.stores import Rows, check_times
from jdrec.engines.embedded.turns import in_turn
from jdrec.engines.embedded.vector import Vector
from jdrec.engines.report import ExtractReport
from jdrec.errors import DataError
from jdrec.features.spec import FeatureSet
from jdrec.files import replacing
from jdrec.progress import Progress
from jdrec.system import cores, peak_memory

_CHUNK = 1 << 17  # requests computed and written at a time


def extract(feature_set: FeatureSet, tables: TableSet, out: Path, *, threads: int = 0, progress: Progress) -> ExtractReport:
    """Computes all features of the request table.

    Args:
        out: the Parquet file to write; it appears when it is whole.
        threads: 0: one a core.

    Returns:
        Rows in the request table's order, columns in the query's.

    Raises:
        CheckError: a feature that this engine does not compute; nothing is read then.
        DataError: values that cannot be used.
    """
    start = time.perf_counter()
    plan = make_plan(feature_set)
    threads = threads or cores()
    with ThreadPoolExecutor(threads) as pool:
        batch = Batch(plan, tables, pool, threads, progress)
        with progress.task("features", total=batch.rows) as task:
            for rows in _write(out, plan.schema, batch.chunks(threads)):
                task.advance(rows)
    return ExtractReport(batch.rows, len(plan.outputs), time.perf_counter() - start, peak_memory())


class Batch:
    """A request table's windows and joins, ready to be evaluated in chunks."""

    def __init__(self, plan: Plan, tables: TableSet, pool: ThreadPoolExecutor, threads: int, progress: Progress):
        self.plan = plan
        self._pool = pool
        feature_set = plan.feature_set
        with progress.task("read tables", total=len(list(tables))) as task:
            data = load_some({name: plan.whole_columns(name) for name in tables}, tables, pool)
            self._request = data[feature_set.request_table]
            self.rows = len(self._request[feature_set.request_time])
            times = request_times(self._request[feature_set.request_time], f"{feature_set.request_table}.{feature_set.request_time}")
            joining = pool.submit(self._join, data)
            builders = list(pool.map(lambda store: StoreBuilder(store, self._request, times), plan.stores))
            del data
            for name in tables:
                fed = [builder for builder in builders if name in builder.plan.tables]
                if fed:
                    stream(name, tables[name], plan.window_columns(name), fed, pool, threads + 1)
                task.advance()
        self._joins = joining.result()
        self._stores: list[tuple[StoreProgram, Rows]] = []
        while builders:
            store, rows = builders.pop(0).build(self._joins, pool)
            self._stores.append((StoreProgram(store, is_frozen=True), rows))

    def _join(self, data: Mapping[str, Mapping[str, Vector]]) -> dict[str, dict[str, Vector]]:
        """The columns of the requests' joined rows, by join."""
        result: dict[str, dict[str, Vector]] = {}
        for join in self.plan.joins:
            chosen = last_join(join, self._request, result, data[join.table], self.rows)
            result[join.name] = {name: data[join.table][name].take(chosen) for name in self.plan.joined_columns(join.name)}
        return result

    def chunks(self, threads: int) -> Iterator[pa.RecordBatch]:
        """The output in the request table's order."""
        size = max(1, min(_CHUNK, -(-self.rows // threads)))
        starts = range(0, self.rows, size)
        yield from in_turn(self._pool, lambda first: self.compute(first, min(first + size, self.rows)), starts, threads + 1)

    def compute(self, first: int, last: int) -> pa.RecordBatch:
        """The output of requests first to last."""
        words = []
        for program, rows in self._stores:
            order = np.lexsort((rows.time[first:last], rows.group[first:last])) + first
            out = np.zeros((last - first, program.width), np.int64)
            program.evaluate(rows, order, out, first)
            words.append(out)
        request = {name: vector.slice(first, last) for name, vector in self._request.items()}
        joins = {name: {key: vector.slice(first, last) for key, vector in columns.items()} for name, columns in self._joins.items()}
        return assemble(self.plan, request, joins, words, self._stores, last - first, first)


def assemble(
    plan: Plan,
    request: Mapping[str, Vector],
    joins: Mapping[str, Mapping[str, Vector]],
    words: list[np.ndarray],
    stores: Sequence[tuple[StoreProgram, Rows]],
    rows: int,
    first: int = 0,
) -> pa.RecordBatch:
    """Output columns from the request's columns, the joined ones and what the kernels wrote.

    Args:
        stores: each store's program and the requests as its rows see them, from `first` on.
    """

    def result(node: Result) -> Vector:
        program, at_hand = stores[node.store]
        store = program.store
        if node.is_walk:
            return walked(store.plan.walks[node.aggregate], program, at_hand, words[node.store], first)
        aggregate = store.plan.aggregates[node.aggregate]
        offset = store.plan.offsets[node.aggregate]
        part = words[node.store][:, offset : offset + aggregate.words]
        if aggregate.column is None:
            return decode(aggregate, part, None, None)
        return decode(aggregate, part, store.columns[aggregate.column].type, store.dictionaries[aggregate.column])

    arrays = []
    for output in plan.outputs:
        vector = evaluate(output.node, OutputRows(request, joins, output.row, result))
        assert vector.type is output.feature.type, f"{output.feature.name}: computed {vector.type}, declared {output.feature.type}"
        arrays.append(vector.to_arrow(rows))
    return pa.RecordBatch.from_arrays(arrays, schema=plan.schema)


def walked(walk: Walk, program: StoreProgram, at_hand: Rows, words: np.ndarray, first: int) -> Vector:
    """A walk's values for the requests that `words` are of."""
    from jdrec.engines.embedded import frames

    offset = program.store.plan.offsets[walk.frame]
    return frames.compute(walk, program.store, at_hand, first, words[:, offset : offset + 3], program.ranks, program.large)


def request_times(time: Vector, what: str) -> np.ndarray:
    """The requests' times as int64 milliseconds.

    Raises:
        DataError: a request has none, or one before 1970.
    """
    missing = int((~time.is_valid).sum())
    if missing:
        raise DataError(f"{what} is NULL in {missing:,} of {len(time):,} requests: a request needs its time.")
    check_times(time, what)
    return np.ascontiguousarray(time.data, np.int64)


def _write(out: Path, columns: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[int]:
    """Writes row groups of about a chunk; yields how many rows each batch had."""
    with replacing(out) as staged, pq.ParquetWriter(staged, columns) as writer:
        waiting: list[pa.RecordBatch] = []
        for batch in batches:
            waiting.append(batch)
            if sum(len(item) for item in waiting) >= _CHUNK:
                writer.write_table(pa.Table.from_batches(waiting, columns))
                waiting = []
            yield len(batch)
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting, columns))
