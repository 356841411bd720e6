"""Rows on disk: an SQLite database in WAL mode, one record for each insert, each with a checksum.

SQLite makes a record durable before its insert is acknowledged, and undoes what a crash or a full disk left half done. Values are as the
session stores them; records of many rows are Arrow's IPC format, those of an insert MessagePack, and become Arrow when there are many.
Sources: SQLite documentation, "Write-Ahead Logging" and "Atomic Commit"; Apache Arrow, "IPC streaming format".
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time as clock
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from jdrec.dataset import arrow
from jdrec.engines.embedded.vector import Vector
from jdrec.errors import OnlineError
from jdrec.features.spec import FeatureSet, Table
from jdrec.features.types import SqlType
from jdrec.online.wal import damaged_commits

if TYPE_CHECKING:
    from jdrec.dataset.tables import TableFiles
    from jdrec.progress import Progress

log = logging.getLogger(__name__)

_FILE = "store.sqlite"
_FORMAT = "1"
_CHUNK = 1 << 16  # rows of a record in Arrow's format
_MANY_SMALL = 512  # small records of a table that are sooner made large ones
_ROWS, _COLUMNS = 0, 1  # kinds of records: MessagePack, Arrow
_SCHEMA = """
create table if not exists meta(name text primary key, value text not null) without rowid;
create table if not exists records(
    seq integer primary key, source text not null, row_count integer not null, written_ms integer not null, newest_ms integer not null,
    kind integer not null, checksum integer not null, data blob not null);
"""


class Journal:
    """The records of a store's folder. Opened by one process at a time; not safe for several threads at once.

    Args:
        folder: made where it is missing.
        fsync: "commit" or "checkpoint" (see `config.online`).
        drop_damaged: give up what follows a damaged record of the log, instead of refusing to open.

    Attributes:
        dropped: records of the log that were given up.

    Raises:
        OnlineError: the folder is in use, cannot be read or written, or holds other tables.
    """

    def __init__(self, folder: Path, feature_set: FeatureSet, *, fsync: str = "commit", drop_damaged: bool = False):
        self._folder, self._tables = folder, feature_set.tables
        self._orders = _orders(feature_set)
        self._file = folder / _FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OnlineError(f"the folder {folder} cannot be made: {error.strerror}.", where="online.dir") from None
        self.dropped = self._look_at_log(drop_damaged)
        with self._errors("opened"):
            self._database = sqlite3.connect(self._file, timeout=1.0, isolation_level=None, check_same_thread=False)
            self._database.execute("pragma locking_mode=exclusive")
            self._database.execute("pragma journal_mode=wal")
            self._database.execute(f"pragma synchronous={'full' if fsync == 'commit' else 'normal'}")
            self._database.execute("pragma journal_size_limit=16777216")
            self._database.executescript(f"begin immediate; {_SCHEMA} commit;")
            known = dict(self._database.execute("select name, value from meta"))
            if known.setdefault("format", _FORMAT) != _FORMAT:
                raise OnlineError(f"{self._file} is of another format ({known['format']}).", where="online.dir", kind="mismatch")
            for name, table in self._tables.items():
                self._know(name, table, known.get(f"table {name}"))
            self._database.execute("insert or ignore into meta values ('format', ?)", (_FORMAT,))

    # --- in ------------------------------------------------------------------------------------------------------------------

    def append(self, table: str, columns: Mapping[str, Sequence[Any]], rows: int, now_ms: int) -> None:
        """Writes one record, which is there as a whole when this returns.

        Raises:
            OnlineError: it is not, and nothing was changed.
        """
        data = msgspec.msgpack.encode([columns[name] for name in self._tables[table].columns])
        times = [max((time for time in columns[name] if time is not None), default=0) for name in self._orders[table]]
        with self._errors(f"extended by {rows:,} rows of {table!r}"):
            self._write(table, rows, now_ms, max([now_ms, *times]), _ROWS, data)

    def is_loaded(self, table: str) -> bool:
        """Whether the table's first rows are in."""
        return self._meta(f"loaded {table}") is not None

    def load(self, name: str, files: TableFiles | None, progress: Progress) -> int:
        """Writes a table's first rows, all or none; returns how many.

        Args:
            files: None: it starts empty.
        """
        count, now_ms = 0, int(clock.time() * 1000)
        with self._errors(f"filled with {name!r}"), progress.task(f"store {name}") as task:
            self._database.execute("begin immediate")
            for part in files.read(list(self._tables[name].columns)) if files is not None else ():
                batch = pa.RecordBatch.from_arrays(list(part.values()), names=list(part))
                for start in range(0, batch.num_rows, _CHUNK):
                    piece = batch.slice(start, _CHUNK)
                    self._write(name, piece.num_rows, now_ms, max([now_ms, *self._newest(name, piece)]), _COLUMNS, _packed(piece))
                    count += piece.num_rows
                    task.advance(piece.num_rows)
            self._database.execute("insert into meta values (?, ?)", (f"loaded {name}", str(count)))
            self._database.execute("commit")
        return count

    # --- out -----------------------------------------------------------------------------------------------------------------

    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        return dict(self._database.execute("select source, sum(row_count) from records group by source"))

    def read(self, name: str, columns: Sequence[str], encoded: Collection[str], task: Any = None) -> Iterator[dict[str, Any]]:
        """The table's rows in order of arrival, in parts, as `TableFiles.read` gives them.

        Raises:
            OnlineError: a record is damaged.
        """
        table = self._tables[name]
        wanted = [list(table.columns).index(column) for column in columns]
        waiting: list[list[Any]] = [[] for _ in columns]
        for kind, rows, data in self._records(name):
            if kind == _ROWS:
                for values, place in zip(waiting, wanted, strict=True):
                    values += data[place]
                if waiting and len(waiting[0]) >= _CHUNK:
                    yield _arrays(table, columns, waiting, encoded)
                    waiting = [[] for _ in columns]
            else:
                if waiting and waiting[0]:
                    yield _arrays(table, columns, waiting, encoded)
                    waiting = [[] for _ in columns]
                yield {column: _as_wanted(data.column(place), column in encoded) for column, place in zip(columns, wanted, strict=True)}
            if task is not None:
                task.advance(rows)
        if waiting and waiting[0]:
            yield _arrays(table, columns, waiting, encoded)

    def compact(self) -> int:
        """Makes large records of many small ones; returns how many there were."""
        merged = 0
        for name, table in self._tables.items():
            small = self._database.execute("select seq from records where source = ? and kind = ? order by seq", (name, _ROWS)).fetchall()
            if len(small) < _MANY_SMALL:
                continue
            with self._errors("compacted"):
                self._database.execute("begin immediate")
                for run in self._runs(name):
                    merged += self._merge(name, table, run)
                self._database.execute("commit")
        return merged

    def purge(self, table: str, before_ms: int) -> int:
        """Removes records all of whose rows, and whose arrival, are before a time; returns how many."""
        with self._errors("purged"):
            return self._database.execute("delete from records where source = ? and newest_ms <= ?", (table, before_ms)).rowcount

    @property
    def disk_bytes(self) -> int:
        """What the folder takes."""
        return sum(file.stat().st_size for file in self._folder.glob(f"{_FILE}*"))

    def close(self) -> None:
        """Moves the log into the database; what is there is kept in any case."""
        try:
            self._database.execute("pragma wal_checkpoint(truncate)")
        except sqlite3.Error as error:
            log.warning("%s: the log could not be moved into the database, the next start does it: %s", self._file, error)
        self._database.close()

    # --- records -------------------------------------------------------------------------------------------------------------

    def _write(self, name: str, rows: int, now_ms: int, newest_ms: int, kind: int, data: bytes, seq: int | None = None) -> None:
        values = (seq, name, rows, now_ms, newest_ms, kind, _checksum(name, rows, kind, data), data)
        self._database.execute("insert into records values (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def _records(self, name: str, between: tuple[int, int] = (0, 2**63 - 1)) -> Iterator[tuple[int, int, Any]]:
        found = "select seq, row_count, kind, checksum, data from records where source = ? and seq between ? and ? order by seq"
        with self._errors("read", reading=True):
            for seq, rows, kind, checksum, data in self._database.execute(found, (name, *between)):
                if _checksum(name, rows, kind, data) != checksum:
                    raise self._damage(f"record {seq} ({rows:,} rows of {name!r}) does not have its checksum")
                yield (
                    kind,
                    rows,
                    msgspec.msgpack.decode(data) if kind == _ROWS else pa.ipc.open_stream(pa.py_buffer(data)).read_next_batch(),
                )

    def _runs(self, name: str) -> list[list[tuple[int, int]]]:
        """Small records that follow each other among the table's, as (seq, rows), about a chunk each."""
        runs: list[list[tuple[int, int]]] = [[]]
        rows_of_run = 0
        for seq, rows, kind in self._database.execute("select seq, row_count, kind from records where source = ? order by seq", (name,)):
            if kind != _ROWS or rows_of_run >= _CHUNK:
                runs.append([])
                rows_of_run = 0
            if kind == _ROWS:
                runs[-1].append((seq, rows))
                rows_of_run += rows
        return [run for run in runs if len(run) > 1]

    def _merge(self, name: str, table: Table, run: list[tuple[int, int]]) -> int:
        first, last = run[0][0], run[-1][0]
        columns: list[list[Any]] = [[] for _ in table.columns]
        for _, _, data in self._records(name, (first, last)):
            for values, more in zip(columns, data, strict=True):
                values += more
        arrays = _arrays(table, list(table.columns), columns, ())
        batch = pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))
        span = (name, first, last)
        where = "from records where source = ? and seq between ? and ?"
        written, newest = self._database.execute(f"select max(written_ms), max(newest_ms) {where}", span).fetchone()
        self._database.execute(f"delete {where}", span)
        self._write(name, batch.num_rows, written, newest, _COLUMNS, _packed(batch), first)
        return len(run)

    def _newest(self, name: str, batch: pa.RecordBatch) -> list[int]:
        found = []
        for column in self._orders[name]:
            vector = Vector.of_arrow(batch.column(batch.schema.get_field_index(column)), self._tables[name].columns[column])
            found.append(int(vector.data[vector.is_valid].max(initial=0)))
        return found

    def _meta(self, name: str) -> str | None:
        found = self._database.execute("select value from meta where name = ?", (name,)).fetchone()
        return found[0] if found else None

    def _know(self, name: str, table: Table, stored: str | None) -> None:
        """Remembers a table's columns, or sees to it that they are those that are stored."""
        columns = json.dumps([[column, type_.value] for column, type_ in table.columns.items()])
        if stored is None:
            self._database.execute("insert into meta values (?, ?)", (f"table {name}", columns))
        elif stored != columns:
            raise OnlineError(
                f"{self._folder} holds the table {name!r} with other columns: {', '.join(' '.join(item) for item in json.loads(stored))}.",
                where="online.dir",
                hint="Take another folder, or the data set that it was filled from.",
                kind="mismatch",
            )

    # --- what may go wrong -----------------------------------------------------------------------------------------------------

    def _look_at_log(self, drop_damaged: bool) -> int:
        """Looks for damage that SQLite would take for the end of its log; returns how many commits are lost."""
        lost = damaged_commits(self._file.with_name(f"{_FILE}-wal"))
        if lost > 1 and not drop_damaged:
            raise self._damage(f"its log has a damaged record before the last {lost:,} inserts")
        if lost:
            log.error("%s: the last %s inserts of the log are damaged and given up", self._file, f"{lost:,}")
        return lost

    def _damage(self, what: str) -> OnlineError:
        hint = "Restore the folder from a copy, or remove it and fill it again; online.drop_damaged=true gives up what follows in the log."
        return OnlineError(f"{self._file} is damaged: {what}.", where="online.dir", hint=hint, kind="damage")

    def _errors(self, what: str, reading: bool = False) -> _Errors:
        return _Errors(self, what, reading)


class _Errors:
    """Undoes a transaction that fails, and says why it did."""

    def __init__(self, journal: Journal, what: str, reading: bool):
        self._journal, self._what, self._reading = journal, what, reading

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, GeneratorExit):
            return
        journal = self._journal
        database = getattr(journal, "_database", None)
        if database is not None and not self._reading and database.in_transaction:
            try:
                database.execute("rollback")
            except sqlite3.Error as failed:
                log.warning("%s: %s", journal._file, failed)
        if not isinstance(error, sqlite3.Error):
            return
        reason = str(error)
        if "locked" in reason:
            hint = "Stop the other process, or take another folder."
            raise OnlineError(f"{journal._folder} is in use by another process.", where="online.dir", hint=hint, kind="disk") from None
        if "malformed" in reason or "not a database" in reason:
            raise journal._damage(reason) from None
        message = f"{journal._file} could not be {self._what}: {reason}. Nothing was changed."
        raise OnlineError(message, where="online.dir", hint="Make room on the disk, or see to its permissions.", kind="disk") from None


class JournalTables:
    """The tables of a journal, in the place of a `TableSet`."""

    def __init__(self, journal: Journal, feature_set: FeatureSet, names: Sequence[str], task: Any):
        self._tables = {name: _JournalTable(journal, feature_set.tables[name], task) for name in names}

    def __getitem__(self, name: str) -> _JournalTable:
        return self._tables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)


class _JournalTable:
    def __init__(self, journal: Journal, table: Table, task: Any):
        self.table, self._journal, self._task = table, journal, task

    def repeats(self, column: str) -> bool:
        """Nothing tells: as files that do not."""
        return True

    def read(self, columns: Sequence[str], encoded: Collection[str] = ()) -> Iterator[dict[str, Any]]:
        return self._journal.read(self.table.name, columns, encoded, self._task)


def _orders(feature_set: FeatureSet) -> dict[str, list[str]]:
    """The columns by which each table's rows age."""
    result: dict[str, set[str]] = {name: set() for name in feature_set.tables}
    result[feature_set.request_table].add(feature_set.request_time)
    for window in feature_set.windows.values():
        for table in window.union:
            result[table].add(window.order_by)
    for join in feature_set.joins.values():
        if join.order_by is not None:
            result[join.table].add(join.order_by)
    times = (SqlType.TIMESTAMP, SqlType.BIGINT)
    return {
        name: sorted(column for column in columns if feature_set.tables[name].columns.get(column) in times)
        for name, columns in result.items()
    }


def _checksum(name: str, rows: int, kind: int, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(f"{name} {rows} {kind}".encode()))


def _packed(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4" if pa.Codec.is_available("lz4") else None)
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _arrays(table: Table, columns: Sequence[str], values: list[list[Any]], encoded: Collection[str]) -> dict[str, Any]:
    result = {}
    for column, items in zip(columns, values, strict=True):
        array = Vector.of_values(items, table.columns[column]).to_arrow(len(items))
        result[column] = _as_wanted(array, column in encoded)
    return result


def _as_wanted(array: Any, encoded: bool) -> Any:
    return arrow.call("dictionary_encode", array) if encoded and pa.types.is_string(array.type) else array
