"""Requests from a prediction service's own log: what was asked, and what was answered then."""

from __future__ import annotations

import copy
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.dataset.rows import StoredRows
from jdrec.errors import DataError
from jdrec.features.types import SqlType

if TYPE_CHECKING:
    import pyarrow as pa

    from jdrec.dataset.tables import TableSet
    from jdrec.features.spec import FeatureSet
    from jdrec.stages import Run

_REQUEST, _FEATURE = "request.", "feature."


@dataclass(frozen=True)
class Logged:
    """The rows of a log in order of arrival.

    Attributes:
        table: the requests as rows of the request table.
        features: the feature set's columns as they were answered.
        own: int64 [n], the rows that the model answered that is verified. ids: int64 [n, fields], scores: float64 [n], of these.
        stored: bool [rows], whether the request was stored after it was scored.
    """

    table: StoredRows
    columns: dict[str, Any]
    features: pa.Table
    own: np.ndarray
    ids: np.ndarray
    scores: np.ndarray
    stored: np.ndarray

    def __len__(self) -> int:
        return len(self.stored)


def read(folder: Path, run: Run, limit: int | None = None) -> Logged:
    """Reads a log's folder.

    Raises:
        DataError: there is none, it is empty, or it was written for other features.
    """
    import pyarrow as pa

    from jdrec.serving import request_log

    feature_set, triton = run.feature_set, run.config.serving.triton
    if not folder.is_dir():
        raise DataError(
            f"there is no folder {folder}.", where="verify.requests", hint="Use table, or the service's serving.request_log.dir."
        )
    batches = list(request_log.read(folder))
    if not batches or not sum(batch.num_rows for batch in batches):
        raise DataError(f"the request log in {folder} has no rows yet.", where="verify.requests")
    whole = pa.Table.from_batches(batches).slice(0, limit).combine_chunks()
    names = [feature.name for feature in feature_set.features]
    wanted = [*(_REQUEST + name for name in feature_set.request.columns), *(_FEATURE + name for name in names)]
    found = [name for name in whole.schema.names if name.startswith((_REQUEST, _FEATURE))]
    if sorted(found) != sorted(wanted):
        other = next(iter(set(found) ^ set(wanted)))
        raise DataError(
            f"the request log in {folder} was written for other columns: {other!r} is only in {'it' if other in found else 'the run'}.",
            where="verify.requests",
        )
    columns = {name: _one(whole[_REQUEST + name]) for name in feature_set.request.columns}
    answered = zip(whole["model"].to_pylist(), whole["version"].to_pylist(), strict=True)
    own = np.flatnonzero([model == triton.model and version == triton.version for model, version in answered])
    return Logged(
        table=StoredRows.of(
            feature_set.request, {name: _plain(array, feature_set.request.columns[name]) for name, array in columns.items()}
        ),
        columns=columns,
        features=whole.select([_FEATURE + name for name in names]).rename_columns(names),
        own=own,
        ids=_matrix(whole["ids"].take(pa.array(own)), len(own)),
        scores=whole["score"].to_numpy()[own].astype(np.float64),
        stored=np.array(whole["stored"].fill_null(False).to_pylist(), bool),
    )


def _matrix(ids: Any, rows: int) -> np.ndarray:
    """int64 [rows, n] of lists of one length."""
    return _one(ids).flatten().to_numpy(zero_copy_only=False).reshape(rows, -1) if rows else np.zeros((0, 0), np.int64)


def offline_features(run: Run, logged: Logged, had_requests: bool) -> pa.Table:
    """The logged requests' features by the batch engine, as if they were the request table's newest rows.

    Args:
        had_requests: whether the service had the request table's own rows; else the logged ones are all.

    Memory: the tables as the engine holds them, and the features of all requests in a temporary file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from jdrec.engines import extract

    with tempfile.TemporaryDirectory(prefix="jdrec.verify.") as work:
        requests = Path(work) / "requests.parquet"
        pq.write_table(pa.table(logged.columns), requests)
        file = Path(work) / "features.parquet"
        tables = with_requests(run.feature_set, run.tables, requests, had_requests)
        rows = extract(run.feature_set, tables, file, threads=run.config.engine.threads, progress=run.progress).rows
        return pq.read_table(file).slice(rows - len(logged))


def with_requests(feature_set: FeatureSet, tables: TableSet, file: Path, after_others: bool) -> TableSet:
    """The tables with a file of requests, after the request table's others or in their place."""
    from jdrec.dataset.parquet import ParquetFile
    from jdrec.dataset.tables import TableSet

    more = copy.copy(tables[feature_set.request_table])
    more.files = [*(more.files if after_others else ()), ParquetFile(file, more.table)]
    return TableSet({name: more if name == feature_set.request_table else tables[name] for name in tables})


def _one(column: Any) -> Any:
    from jdrec.dataset import arrow

    return arrow.one_chunk(column)


def _plain(array: Any, type_: SqlType) -> Any:
    from jdrec.dataset import arrow

    return arrow.cast(array, SqlType.BIGINT.arrow) if type_ is SqlType.TIMESTAMP else array
