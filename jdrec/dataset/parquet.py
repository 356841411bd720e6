"""Reading a Parquet file as the declared types, one row group at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jdrec.dataset import arrow
from jdrec.errors import DataError, nearest
from jdrec.features.spec import Table
from jdrec.features.types import SqlType

T = SqlType
_EXAMPLES = 3
_MOST_ROWS = 1 << 20  # rows of a part
_BYTES_OF_A_CODE = 3
_CODES = pa.dictionary(pa.int32(), pa.string())
_PER_MS = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000), "ns": (1, 1_000_000)}  # multiply, divide


class ParquetFile:
    """One file of a table.

    Raises:
        DataError: it is not readable, or its columns are not what the table declares.
    """

    def __init__(self, path: Path, table: Table):
        self.path, self.table = path, table
        try:
            with pq.ParquetFile(path) as file:
                self.metadata, self.schema = file.metadata, file.schema_arrow
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"table {table.name!r}: cannot read {path}: {str(error).splitlines()[0]}") from None
        self._narrowed: dict[str, SqlType] = {}
        for column, type_ in table.columns.items():
            self._check(column, type_)

    @property
    def rows(self) -> int:
        return self.metadata.num_rows

    def read(self, columns: Sequence[str], encoded: Collection[str] = ()) -> Iterator[dict[str, Any]]:
        """Row groups, large ones in pieces, as arrays of the declared types; string columns in `encoded` come as dictionaries."""
        for part in self.parts(columns, encoded):
            yield part()

    def parts(self, columns: Sequence[str], encoded: Collection[str] = ()) -> Iterator[Callable[[], dict[str, Any]]]:
        """The same, each still to be read by a call. Several threads may read different row groups."""
        for group in range(self.metadata.num_row_groups):
            if self.metadata.row_group(group).num_rows <= _MOST_ROWS:
                yield partial(self._read_group, group, list(columns), encoded)
            else:
                yield from self._pieces(group, list(columns), encoded)

    def repeats(self, column: str) -> bool:
        """Whether the file holds the column as codes: plain strings take more than some bytes each."""
        place = self.metadata.schema.names.index(column) if column in self.metadata.schema.names else -1
        chunks = (
            [self.metadata.row_group(group).column(place) for group in range(min(self.metadata.num_row_groups, 1))] if place >= 0 else []
        )
        return all(chunk.total_uncompressed_size <= _BYTES_OF_A_CODE * chunk.num_values for chunk in chunks)

    def _open(self, columns: list[str], encoded: Collection[str]) -> pq.ParquetFile:
        return pq.ParquetFile(self.path, metadata=self.metadata, read_dictionary=[name for name in columns if name in encoded])

    def _read_group(self, group: int, columns: list[str], encoded: Collection[str]) -> dict[str, Any]:
        try:
            with self._open(columns, encoded) as file:
                return self._converted(file.read_row_group(group, columns=columns), columns, encoded)
        except (pa.ArrowInvalid, OSError) as error:
            raise self._unreadable(error) from None

    def _pieces(self, group: int, columns: list[str], encoded: Collection[str]) -> Iterator[Callable[[], dict[str, Any]]]:
        """A large row group, read by whoever iterates."""
        try:
            with self._open(columns, encoded) as file:
                for batch in file.iter_batches(_MOST_ROWS, [group], columns):
                    part = self._converted(batch, columns, encoded)
                    yield lambda part=part: part  # type: ignore[misc]
        except (pa.ArrowInvalid, OSError) as error:
            raise self._unreadable(error) from None

    def _converted(self, data: Any, columns: list[str], encoded: Collection[str]) -> dict[str, Any]:
        return {name: self._convert(name, arrow.one_chunk(data.column(name)), name in encoded) for name in columns}

    def _unreadable(self, error: Exception) -> DataError:
        return DataError(f"table {self.table.name!r}: cannot read {self.path}: {str(error).splitlines()[0]}")

    def max_time(self, column: str) -> int | None:
        """The latest value of a time column in milliseconds: from the file's statistics, or by reading the column."""
        index = self.metadata.schema.names.index(column) if column in self.metadata.schema.names else -1
        result = None
        for group in range(self.metadata.num_row_groups):
            chunk = self.metadata.row_group(group).column(index)
            statistics = chunk.statistics if chunk.is_stats_set else None
            if statistics is None or not statistics.has_min_max or not isinstance(statistics.max_raw, int):
                return self._scan_max(column) if self.metadata.row_group(group).num_rows else result
            value = _to_ms(statistics.max_raw, self.schema.field(column).type)
            result = value if result is None else max(result, value)
        return result

    def _scan_max(self, column: str) -> int | None:
        result = None
        for part in self.read([column]):
            values, valid = arrow.values_of(part[column], self.table.columns[column]), arrow.valid_of(part[column])
            if valid is not None:
                values = values[valid != 0]
            if len(values):
                result = max(int(values.max()), result if result is not None else int(values.max()))
        return result

    # --- types ---

    def _check(self, column: str, declared: SqlType) -> None:
        if column not in self.schema.names:
            raise DataError(
                f"table {self.table.name!r}: {self.path} has no column {column!r} ({declared.value}).",
                where=f"dataset.tables.{self.table.name}.columns",
                hint=nearest(column, self.schema.names),
            )
        found = self.schema.field(column).type
        if _reads_as(found, declared):
            return
        if _narrows(found, declared):
            self._narrowed[column] = T.BIGINT if declared.is_integer else T.DOUBLE
            self._check_narrowing(column, declared)
            return
        raise DataError(
            f"table {self.table.name!r}: {self.path} has column {column!r} as {found}, but {declared.value} is declared.",
            where=f"dataset.tables.{self.table.name}.columns.{column}",
            hint=_advice(found),
        )

    def _check_narrowing(self, column: str, declared: SqlType) -> None:
        """A wider type is fine as long as no value is lost."""
        count = 0
        examples: list[Any] = []
        with pq.ParquetFile(self.path) as file:
            for group in range(file.num_row_groups):
                array = arrow.one_chunk(file.read_row_group(group, columns=[column]).column(0))
                wide = self._narrowed[column]
                values = arrow.values_of(arrow.cast(array, wide.arrow), wide)
                with np.errstate(over="ignore"):
                    same = values.astype(arrow.STORAGE[declared]).astype(values.dtype)
                lost = (same != values) & (values == values)  # NaN stays NaN
                valid = arrow.valid_of(array)
                lost &= valid != 0 if valid is not None else True
                count += int(lost.sum())
                examples += values[lost][: _EXAMPLES - len(examples)].tolist()
        if count:
            found = self.schema.field(column).type
            raise DataError(
                f"table {self.table.name!r}: {self.path} has column {column!r} as {found}, and {count:,} of {self.rows:,} values "
                f"are not exact as {declared.value}, e.g. {', '.join(map(str, examples))}.",
                where=f"dataset.tables.{self.table.name}.columns.{column}",
                hint=f"Declare it {self._narrowed[column].value}.",
            )

    def _convert(self, column: str, array: Any, encoded: bool) -> Any:
        declared = self.table.columns[column]
        if array.type == declared.arrow:
            return arrow.call("dictionary_encode", array) if encoded and declared is T.STRING else array
        if declared is T.TIMESTAMP and pa.types.is_timestamp(array.type):
            values = np.frombuffer(array.buffers()[1], np.int64, len(array), array.offset * 8) if len(array) else np.zeros(0, np.int64)
            return arrow.array_of(_to_ms(values, array.type), arrow.valid_of(array), T.TIMESTAMP)
        if declared is T.STRING and encoded and not pa.types.is_null(array.type):
            return array if array.type == _CODES else arrow.cast(array, _CODES)
        if column in self._narrowed:
            wide = self._narrowed[column]
            values = arrow.values_of(arrow.cast(array, wide.arrow), wide)
            return arrow.array_of(values.astype(arrow.STORAGE[declared]), arrow.valid_of(array), declared)
        return arrow.cast(array, declared.arrow)


def _to_ms(values: Any, type_: pa.DataType) -> Any:
    """Ticks of a time column (plain integers are milliseconds) as milliseconds, rounded down."""
    multiply, divide = _PER_MS[type_.unit] if pa.types.is_timestamp(type_) else (1, 1)
    return values * multiply if divide == 1 else values // divide


def _text(type_: pa.DataType) -> bool:
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    return pa.types.is_string(type_) or pa.types.is_large_string(type_) or "string_view" in str(type_)


def _reads_as(found: pa.DataType, declared: SqlType) -> bool:
    """Whether every value of a file's type is a value of the declared type."""
    types = pa.types
    if types.is_null(found):
        return True
    if declared is T.STRING:
        return _text(found)
    if declared is T.TIMESTAMP:
        return types.is_timestamp(found)
    if declared is T.DATE:
        return types.is_date(found)
    if declared is T.BOOL:
        return types.is_boolean(found)
    if types.is_integer(found):
        bits = found.bit_width + (0 if types.is_signed_integer(found) else 1)
        return bits <= {T.SMALLINT: 16, T.INT: 32, T.BIGINT: 64, T.FLOAT: 24, T.DOUBLE: 53}[declared]
    if types.is_floating(found):
        return declared.is_float and found.bit_width <= (64 if declared is T.DOUBLE else 32)
    return False


def _narrows(found: pa.DataType, declared: SqlType) -> bool:
    if declared.is_integer:
        return pa.types.is_integer(found)
    return declared.is_float and pa.types.is_floating(found)


def _advice(found: pa.DataType) -> str | None:
    types = pa.types
    fitting = [
        (_text(found), T.STRING),
        (types.is_boolean(found), T.BOOL),
        (types.is_integer(found) and found.bit_width <= 32, T.INT),
        (types.is_integer(found), T.BIGINT),
        (types.is_floating(found), T.FLOAT if types.is_float32(found) else T.DOUBLE),
        (types.is_timestamp(found), T.TIMESTAMP),
        (types.is_date(found), T.DATE),
    ]
    name = next((type_.value for fits, type_ in fitting if fits), None)
    return f"Declare it {name}, or convert the file." if name else "OpenMLDB has no such type: convert the file."
