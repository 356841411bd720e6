"""What lies in a folder: tables, their columns and types, and what a sample of their rows shows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jdrec.dataset.files import FORMATS
from jdrec.errors import DataError
from jdrec.features.types import SqlType

T = SqlType
SAMPLE_ROWS = 200_000
_MS = (946_684_800_000, 4_102_444_800_000)  # the years 2000 to 2100 in milliseconds


@dataclass(frozen=True)
class Column:
    """A column that OpenMLDB has a type for.

    Attributes:
        distinct: different values in the sample.
        unique: no value comes twice in the sample, and none is NULL; never so for floating numbers.
        zero_one: it has the values 0 and 1 (false and true) and no others.
        is_time: a timestamp, or a bigint whose values are milliseconds of this century.
    """

    name: str
    type: SqlType
    distinct: int
    unique: bool
    zero_one: bool
    is_time: bool

    @property
    def is_key_like(self) -> bool:
        return (self.type.is_integer or self.type is T.STRING) and not self.is_time and not self.zero_one


@dataclass(frozen=True)
class TableLook:
    """A table.

    Attributes:
        path: of its files, relative to the folder, as `dataset.tables.*.path` takes it.
        rows: in the sample.
        skipped: columns without a type in OpenMLDB, with their Arrow type.
    """

    name: str
    path: str
    rows: int
    columns: Mapping[str, Column]
    skipped: Mapping[str, str]

    @property
    def time(self) -> Column | None:
        """The column that most likely orders its rows."""
        times = [column for column in self.columns.values() if column.is_time]
        return min(
            times, key=lambda column: (column.type is not T.TIMESTAMP, not re.search("time|_at$|^ts$", column.name, re.I)), default=None
        )


def look(folder: Path) -> list[TableLook]:
    """The tables in a folder: each folder in it with Parquet or CSV files, and each such file.

    Raises:
        DataError: there is none, or one cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}.", where="init.folder")
    found = []
    for place in sorted(folder.iterdir()):
        if place.name.startswith((".", "_")):
            continue
        for suffixes in ((".parquet", ".pq"), (".csv",)):
            inside = sorted(file for file in place.rglob("*") if file.suffix.lower() in suffixes) if place.is_dir() else []
            files = inside or ([place] if place.suffix.lower() in suffixes else [])
            if files:
                found.append(_table(folder, place, files))
                break
    if not found:
        raise DataError(f"no table in {folder}: neither {' nor '.join(sorted(FORMATS))} files, nor folders with them.", where="init.folder")
    return found


def _table(root: Path, place: Path, files: Sequence[Path]) -> TableLook:
    sample = _sample(files)
    path = place.name
    if place.is_dir():
        deepest = {file.parent for file in files} == {place}
        path = f"{place.name}/{'*' if deepest else '**/*'}{files[0].suffix}"
    columns, skipped = {}, {}
    for name in sample.column_names:
        column = _column(name, sample.column(name))
        if column is None:
            skipped[name] = str(sample.schema.field(name).type)
        else:
            columns[name] = column
    return TableLook(re.sub(r"\W", "_", place.stem if not place.is_dir() else place.name), path, sample.num_rows, columns, skipped)


def _sample(files: Sequence[Path]) -> pa.Table:
    parts: list[pa.Table] = []
    rows = 0
    for file in files:
        try:
            parts.append(_read(file, SAMPLE_ROWS - rows))
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"cannot read {file}: {error}.", where="init.folder") from None
        rows += parts[-1].num_rows
        if rows >= SAMPLE_ROWS:
            break
    try:
        return pa.concat_tables(parts, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(f"the files in {files[0].parent} do not have the same columns: {error}.", where="init.folder") from None


def _read(file: Path, rows: int) -> pa.Table:
    batches: list[pa.RecordBatch] = []
    if FORMATS[file.suffix.lower()] == "csv":
        from pyarrow import csv

        options = csv.ConvertOptions(null_values=["", "null", "NULL"], strings_can_be_null=True, quoted_strings_can_be_null=False)
        with csv.open_csv(file, convert_options=options) as reader:
            while sum(batch.num_rows for batch in batches) < rows:
                try:
                    batches.append(reader.read_next_batch())
                except StopIteration:
                    break
            return pa.Table.from_batches(batches, reader.schema).slice(0, rows)
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        for batch in opened.iter_batches(min(rows, 65_536) or 1):
            batches.append(batch)
            if sum(item.num_rows for item in batches) >= rows:
                break
        return pa.Table.from_batches(batches, opened.schema_arrow).slice(0, rows)


def _column(name: str, values: pa.ChunkedArray) -> Column | None:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    type_ = _type_of(values.type)
    if type_ is None or not re.fullmatch(r"[A-Za-z_]\w*", name):
        return None
    distinct = pc.count_distinct(values, mode="only_valid").as_py()
    extremes: dict[str, Any] = pc.min_max(values).as_py() if type_.is_integer else {"min": None, "max": None}
    low, high = extremes["min"], extremes["max"]
    zero_one = type_ is T.BOOL or (type_.is_integer and distinct == 2 and (low, high) == (0, 1))
    is_time = type_ is T.TIMESTAMP or (type_ is T.BIGINT and low is not None and _MS[0] <= low and high < _MS[1])
    unique = len(values) > 0 and values.null_count == 0 and distinct == len(values) and not type_.is_float
    return Column(name, type_, distinct, unique, zero_one, is_time)


def _type_of(type_: pa.DataType) -> SqlType | None:
    checks = {
        T.BOOL: pa.types.is_boolean,
        T.SMALLINT: lambda t: t in (pa.int8(), pa.uint8(), pa.int16()),
        T.INT: lambda t: t in (pa.uint16(), pa.int32()),
        T.BIGINT: lambda t: t in (pa.uint32(), pa.int64()),
        T.FLOAT: pa.types.is_float32,
        T.DOUBLE: pa.types.is_float64,
        T.STRING: lambda t: pa.types.is_string(t) or pa.types.is_large_string(t) or pa.types.is_null(t),
        T.DATE: pa.types.is_date,
        T.TIMESTAMP: pa.types.is_timestamp,
    }
    return next((sql for sql, fits in checks.items() if fits(type_)), None)
