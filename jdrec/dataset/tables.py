"""The tables of a feature set as they lie on disk, checked against their declared columns before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdrec.dataset.files import find_files, format_of
from jdrec.dataset.fingerprint import content_hash
from jdrec.errors import DataError, nearest
from jdrec.features.spec import FeatureSet, Table

if TYPE_CHECKING:
    from jdrec.dataset.csv import CsvFile
    from jdrec.dataset.parquet import ParquetFile


class TableFiles:
    """One table: its files in the order of its rows."""

    def __init__(self, table: Table, root: Path, zone: str):
        self.table = table
        self.files: list[ParquetFile | CsvFile] = [_open(file, table, zone) for file in find_files(table, root)]

    def read(self, columns: Sequence[str], encoded: Collection[str] = ()) -> Iterator[dict[str, Any]]:
        """The rows in parts that fit into memory: Parquet row groups or blocks of a CSV file.

        Args:
            columns: the columns wanted; the others are not read.
            encoded: string columns that shall come as dictionary arrays.

        Yields:
            Column name to Arrow array of the declared type (`SqlType.arrow`; times are UTC milliseconds), all of one length.

        Raises:
            DataError: values that the declared types cannot hold, with counts and examples.
        """
        for file in self.files:
            yield from file.read(columns, encoded)

    def parts(self, columns: Sequence[str], encoded: Collection[str] = ()) -> Iterator[Callable[[], dict[str, Any]]]:
        """The parts of `read`, each still to be read by a call: in any thread, but no part that comes later may be asked for before."""
        for file in self.files:
            yield from file.parts(columns, encoded)

    def repeats(self, column: str) -> bool:
        """Whether the files hold a column's values as codes, so that it is quickly read as a dictionary."""
        return all(file.repeats(column) for file in self.files)

    def max_time(self, column: str) -> int | None:
        """The largest value of a time column in epoch milliseconds, None for no rows; cheap for Parquet."""
        found = [time for file in self.files if (time := file.max_time(column)) is not None]
        return max(found, default=None)

    def fingerprint(self, memo: Path | None = None) -> list[list[Any]]:
        """Name, size and hash of the content of each file (see `content_hash`)."""
        return _fingerprint([file.path for file in self.files], memo)


class TableSet:
    """The tables that a feature set reads."""

    def __init__(self, tables: dict[str, TableFiles]):
        self._tables = tables

    def __getitem__(self, name: str) -> TableFiles:
        return self._tables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def fingerprint(self, memo: Path | None = None) -> dict[str, list[list[Any]]]:
        """What is in the tables, wherever they lie, for the cache of results: plain containers."""
        return {name: files.fingerprint(memo) for name, files in sorted(self._tables.items())}

    def max_time(self, table: str, column: str) -> int | None:
        """The largest value of a time column in epoch milliseconds; None for an empty table.

        Raises:
            DataError: there is no such table or column.
        """
        if table not in self._tables:
            raise DataError(f"there is no table {table!r}.", hint=nearest(table, self._tables))
        files = self._tables[table]
        if column not in files.table.columns:
            raise DataError(f"table {table!r} has no column {column!r}.", hint=nearest(column, files.table.columns))
        return files.max_time(column)


def open_tables(feature_set: FeatureSet, root: Path, timezone: str) -> TableSet:
    """Finds and checks the files of every table that the features, or the label's last moment, read.

    Args:
        root: folder that the tables' paths are relative to.
        timezone: zone of times without one in CSV files; in Parquet files they are UTC.

    Raises:
        DataError: no file, a missing column, or a type that does not fit, naming table, file, column and what to do.
    """
    _check_root(root)
    return TableSet({name: TableFiles(feature_set.tables[name], root, timezone) for name in tables_read(feature_set)})


def fingerprint(feature_set: FeatureSet, root: Path, memo: Path | None = None) -> dict[str, list[list[Any]]]:
    """As `TableSet.fingerprint`, of tables that nobody has opened or checked.

    Raises:
        DataError: no folder, or no file.
    """
    _check_root(root)
    return {name: _fingerprint(find_files(feature_set.tables[name], root), memo) for name in sorted(tables_read(feature_set))}


def tables_read(feature_set: FeatureSet) -> list[str]:
    """Names of the tables that a feature set reads, the request table first."""
    names = [feature_set.request_table]
    for block in feature_set.blocks:
        names += block.union
        names += [feature_set.joins[join].table for join in block.joins]
    observed = feature_set.label.observed_until if feature_set.label else None
    if observed is not None and observed.partition(".")[0] in feature_set.tables:
        names.append(observed.partition(".")[0])
    return list(dict.fromkeys(names))


def _check_root(root: Path) -> None:
    if not root.is_dir():
        raise DataError(f"there is no folder {root}.", where="dataset.root")


def _fingerprint(files: Sequence[Path], memo: Path | None) -> list[list[Any]]:
    return [[file.name, file.stat().st_size, content_hash(file, memo)] for file in files]


def _open(file: Path, table: Table, zone: str) -> ParquetFile | CsvFile:
    if format_of(file) == "csv":
        from jdrec.dataset.csv import CsvFile

        return CsvFile(file, table, zone)
    from jdrec.dataset.parquet import ParquetFile

    return ParquetFile(file, table)
