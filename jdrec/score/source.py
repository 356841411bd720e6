"""The rows to score, chunk by chunk, with their features.

As a table, the rows are the request table: the batch engine computes them, each sees those before it, and any chunk can be computed by itself
once the engine has read all tables. As candidates, each row is asked of the online store alone, as the prediction service does.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from jdrec.errors import ConfigError, DataError, nearest
from jdrec.features.spec import FeatureSet, Kind, Table
from jdrec.features.types import SqlType

if TYPE_CHECKING:
    import pyarrow as pa

    from jdrec.dataset.tables import TableFiles, TableSet
    from jdrec.stages import Run

_ASKED = 5000  # candidates that are asked for together


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Some rows in order.

    Attributes:
        number: counted from 0. first: number of its first row. rows: how many.
        columns: of the request table: name to Arrow array of the declared type.
        compute: gives its features.
    """

    number: int
    first: int
    rows: int
    columns: dict[str, Any]
    compute: Callable[[Chunk], pa.Table]

    def features(self) -> pa.Table:
        """The feature set's columns."""
        return self.compute(self)


@dataclasses.dataclass(frozen=True)
class Columns:
    """Columns of the request table that results name.

    key: None where the rows have none.
    """

    user: str
    product: str
    time: str
    key: str | None

    @property
    def names(self) -> list[str]:
        """Each once."""
        return list(dict.fromkeys(name for name in (self.key, self.user, self.product, self.time) if name is not None))


class Source:
    """The rows that a run's configuration names.

    Raises:
        ConfigError: a column has no name or a wrong one.
        DataError: there are no rows, or they do not fit the request table.
    """

    def __init__(self, run: Run):
        config, self._run = run.config.score, run
        feature_set = run.feature_set
        self.rows: Literal["table", "candidates"] = config.rows or ("candidates" if config.requests else "table")
        self.size = config.chunk_rows
        user, product = (_named(run, role) for role in ("user", "product"))
        if user == product:
            raise ConfigError(f"{user!r} cannot be both.", where="score.product", hint="Name the column of what is offered.")
        if self.rows == "table" and run.config.engine.name != "embedded":
            raise ConfigError(
                f"the rows of a table are scored with the embedded engine, not with {run.config.engine.name}.", where="engine.name"
            )
        self._files = _open(run, self.rows, (user, product))
        has_key = feature_set.request_key in self._files.table.columns
        self.columns = Columns(user, product, feature_set.request_time, feature_set.request_key if has_key else None)
        counts = [getattr(file, "rows", None) for file in self._files.files]
        self.total: int | None = None if None in counts else sum(counts)  # type: ignore[arg-type]
        if self.total == 0:
            raise DataError("there are no rows to score.", where="score.requests" if config.requests else None)

    def fingerprint(self) -> dict[str, Any]:
        """What its features hang on besides the definition."""
        tables = {name: self._run.tables[name].fingerprint() for name in self._run.tables}
        return {"rows": self.rows, "requests": self._files.fingerprint(), "tables": tables, "chunk_rows": self.size}

    @contextmanager
    def chunks(self) -> Iterator[Iterator[Chunk]]:
        """All chunks in order; features are computed when they are asked for, so that a chunk that is done costs no more than its reading."""
        with ExitStack() as stack:
            yield self._table(stack) if self.rows == "table" else self._candidates()

    def _table(self, stack: ExitStack) -> Iterator[Chunk]:
        from jdrec.engines.embedded.extract import Batch
        from jdrec.engines.embedded.planner import make_plan
        from jdrec.system import cores

        run = self._run
        opened: list[Batch] = []

        def features(chunk: Chunk) -> pa.Table:
            import pyarrow as pa

            if not opened:  # only now: all chunks may be done
                threads = run.config.engine.threads or cores()
                pool = stack.enter_context(ThreadPoolExecutor(threads))
                tables = _replaced(run.tables, run.feature_set.request_table, self._files)
                opened.append(Batch(make_plan(run.feature_set), tables, pool, threads, run.progress))
            return pa.Table.from_batches([opened[0].compute(chunk.first, chunk.first + chunk.rows)])

        return self._read(self.columns.names, features)

    def _candidates(self) -> Iterator[Chunk]:
        run = self._run
        names = list(run.feature_set.request.columns)
        opened: list[Any] = []

        def features(chunk: Chunk) -> pa.Table:
            import pyarrow as pa

            from jdrec.dataset.rows import StoredRows
            from jdrec.online.session import RequestSession

            if not opened:
                opened.append(RequestSession(run.feature_set, run.tables, progress=run.progress))
            plain = {
                name: array.cast(pa.int64()) if run.feature_set.request.columns[name] is SqlType.TIMESTAMP else array
                for name, array in chunk.columns.items()
            }
            rows = StoredRows.of(self._files.table, plain)
            missing = dict.fromkeys(name for name in names if name not in plain)
            batches = []
            for start in range(0, chunk.rows, _ASKED):
                asked = rows.rows(np.arange(start, min(start + _ASKED, chunk.rows)))
                batches.append(opened[0].compute([{**row, **missing} for row in asked] if missing else asked))
            return pa.Table.from_batches(batches)

        return self._read(list(self._files.table.columns), features)

    def _read(self, names: list[str], features: Callable[[Chunk], pa.Table]) -> Iterator[Chunk]:
        """The files' rows, cut into chunks."""
        import pyarrow as pa

        held, number, first = None, 0, 0
        for part in self._files.read(names):
            more = pa.table(part)
            held = more if held is None else pa.concat_tables([held, more])
            while held.num_rows >= self.size:
                yield self._chunk(number, first, held.slice(0, self.size), features)
                held, number, first = held.slice(self.size), number + 1, first + self.size
        if held is not None and held.num_rows:
            yield self._chunk(number, first, held, features)

    def _chunk(self, number: int, first: int, rows: pa.Table, features: Callable[[Chunk], pa.Table]) -> Chunk:
        from jdrec.dataset import arrow

        return Chunk(number, first, rows.num_rows, {name: arrow.one_chunk(rows[name]) for name in rows.schema.names}, features)


def _named(run: Run, role: Literal["user", "product"]) -> str:
    """The column that the configuration names for a role."""
    name: str | None = getattr(run.config.score, role)
    columns = run.feature_set.request.columns
    if name is None:
        raise ConfigError(
            f"is not given: which column of {run.feature_set.request_table!r} names the {role}?",
            where=f"score.{role}",
            hint=f"Its columns: {', '.join(columns)}.",
        )
    if name not in columns:
        raise ConfigError(
            f"the request table {run.feature_set.request_table!r} has no column {name!r}.",
            where=f"score.{role}",
            hint=nearest(name, columns),
        )
    return name


def _open(run: Run, rows: Literal["table", "candidates"], named: tuple[str, str]) -> TableFiles:
    """The files of the rows, and those of the request table's columns that they need to have."""
    from jdrec.dataset.tables import TableFiles

    feature_set, path = run.feature_set, run.config.score.requests
    if path is None:
        if rows == "table":
            return run.tables[feature_set.request_table]
        table = feature_set.request
        return TableFiles(_narrowed(table, _needed(feature_set, named)), Path(run.config.dataset.root), run.config.dataset.timezone)
    table = dataclasses.replace(feature_set.request, path=path)
    if rows == "candidates":
        needed = _needed(feature_set, named)
        table = _narrowed(table, needed)
        if not _key_matters(feature_set) and feature_set.request_key not in named:
            table = _without_missing_key(table, feature_set.request_key, run.config.dataset.timezone)
    try:
        return TableFiles(table, Path(), run.config.dataset.timezone)
    except DataError as error:
        hint = None if error.hint == "Is dataset.root right?" else error.hint
        raise DataError(error.message, where="score.requests", hint=hint) from None


def _needed(feature_set: FeatureSet, named: tuple[str, str]) -> set[str]:
    """Stored columns of the request table that features or results read."""
    from jdrec.engines.embedded.planner import make_plan

    table = feature_set.request
    read = make_plan(feature_set).columns_read(table.name)
    stored = {source for column in read for source in (table.stored(column) if column in table.derived else (column,))}
    return {*stored, *named, feature_set.request_key, feature_set.request_time}


def _narrowed(table: Table, columns: set[str]) -> Table:
    return dataclasses.replace(table, columns={name: type_ for name, type_ in table.columns.items() if name in columns}, derived={})


def _without_missing_key(table: Table, key: str, zone: str) -> Table:
    """The table without its key, if its files have none: candidates need none."""
    from jdrec.dataset.tables import TableFiles

    try:
        TableFiles(table, Path(), zone)
    except DataError as error:
        if f"has no column {key!r}" in error.message:
            return dataclasses.replace(table, columns={name: type_ for name, type_ in table.columns.items() if name != key})
    return table


def _key_matters(feature_set: FeatureSet) -> bool:
    """Whether an input of the model is made from the request key."""
    key = feature_set.request_key
    joins: set[str] = set()
    for feature in feature_set.fields:
        columns = [column for column in feature.columns if column.table is None]
        if (feature.is_block_key and feature.kind is not Kind.DROP) or any(column.name == key for column in columns):
            return True
        if feature.window and key in feature_set.windows[feature.window].request_keys:
            return True
        joins |= {name for name in (feature.join, *(column.table for column in feature.columns)) if name}
    joins |= {needed for name in joins for needed in feature_set.joins[name].needs}
    return any(via is None and left == key for name in joins for via, left, _ in feature_set.joins[name].keys)


def _replaced(tables: TableSet, name: str, files: TableFiles) -> TableSet:
    from jdrec.dataset.tables import TableSet

    return TableSet({other: copy.copy(files) if other == name else tables[other] for other in tables})
