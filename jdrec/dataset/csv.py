"""Reading a CSV file as the declared types.

The first line names the columns. An empty cell without quotes, `null` and `NULL` are NULL; `""` is the empty string. A time is ISO 8601
(without a zone it is in the data set's), or a whole number of milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from csv import reader as csv_reader
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from jdrec.dataset import arrow
from jdrec.errors import DataError, nearest
from jdrec.features.spec import Table
from jdrec.features.types import SqlType

T = SqlType
_NULLS = ["", "null", "NULL"]
_ZONED = re.compile(r".*(Z|[+-]\d\d:?\d\d|[+-]\d\d)$")
_BLOCK_BYTES = 16 << 20
_EXAMPLES = 3


class CsvFile:
    """One file of a table.

    Raises:
        DataError: it has no header, or lacks a declared column.
    """

    def __init__(self, path: Path, table: Table, zone: str):
        self.path, self.table, self.zone = path, table, zone
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                names = next(csv_reader(file), None)
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"table {table.name!r}: cannot read {path}: {error}") from None
        if not names:
            raise DataError(f"table {table.name!r}: {path} is empty; its first line names the columns.")
        for column, type_ in table.columns.items():
            if column not in names:
                raise DataError(
                    f"table {table.name!r}: {path} has no column {column!r} ({type_.value}).",
                    where=f"dataset.tables.{table.name}.columns",
                    hint=nearest(column, names),
                )

    def read(self, columns: Sequence[str], encoded: Collection[str] = ()) -> Iterator[dict[str, Any]]:
        """Blocks of rows as arrays of the declared types; string columns in `encoded` come as dictionaries."""
        types = {name: self._read_type(name) for name in columns}
        try:
            with self._open(columns, types) as reader:
                for batch in reader:
                    yield {name: self._convert(name, batch.column(name), name in encoded) for name in columns}
        except pa.ArrowInvalid as error:
            raise self._explain(columns, types, error) from None

    def parts(self, columns: Sequence[str], encoded: Collection[str] = ()) -> Iterator[Callable[[], dict[str, Any]]]:
        """As `read`; whoever iterates reads."""
        for part in self.read(columns, encoded):
            yield lambda part=part: part  # type: ignore[misc]

    def repeats(self, column: str) -> bool:
        """A CSV file does not tell."""
        return True

    def max_time(self, column: str) -> int | None:
        """The latest value of a time column in milliseconds."""
        result = None
        for part in self.read([column]):
            values, valid = arrow.values_of(part[column], self.table.columns[column]), arrow.valid_of(part[column])
            if valid is not None:
                values = values[valid != 0]
            if len(values):
                result = int(values.max()) if result is None else max(result, int(values.max()))
        return result

    def _open(self, columns: Sequence[str], types: dict[str, pa.DataType]) -> pacsv.CSVStreamingReader:
        convert = pacsv.ConvertOptions(
            column_types=types,
            include_columns=list(columns),
            null_values=_NULLS,
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        return pacsv.open_csv(
            self.path,
            read_options=pacsv.ReadOptions(block_size=_BLOCK_BYTES),
            parse_options=pacsv.ParseOptions(newlines_in_values=True),
            convert_options=convert,
        )

    def _read_type(self, column: str) -> pa.DataType:
        declared = self.table.columns[column]
        if declared is not T.TIMESTAMP:
            return declared.arrow
        first = next((value for value in self._texts(column) if value is not None), "")
        if re.fullmatch(r"-?\d+", first):
            return pa.int64()
        return pa.timestamp("us", tz="UTC") if _ZONED.match(first) and ":" in first else pa.timestamp("us")

    def _texts(self, column: str) -> Iterator[str | None]:
        with self._open([column], {column: pa.string()}) as reader:
            for batch in reader:
                yield from batch.column(0).to_pylist()

    def _convert(self, column: str, array: Any, encode: bool) -> Any:
        declared = self.table.columns[column]
        if declared is T.TIMESTAMP:
            if pa.types.is_int64(array.type):
                return array.view(declared.arrow)
            if array.type.tz is None:
                array = arrow.assume_zone(array, self.zone)
            ticks = np.frombuffer(array.buffers()[1], np.int64, len(array), array.offset * 8)
            return arrow.array_of(ticks // 1000, arrow.valid_of(array), T.TIMESTAMP)
        return arrow.call("dictionary_encode", array) if encode and declared is T.STRING else array

    def _explain(self, columns: Sequence[str], types: dict[str, pa.DataType], error: pa.ArrowInvalid) -> DataError:
        """Which column has values that its type cannot hold, how many and which."""
        for column in columns:
            if types[column] == pa.string():
                continue
            try:
                texts = arrow.strings_of(list(self._texts(column)))
            except pa.ArrowInvalid:
                break  # the lines themselves are broken
            bad = [text for text in arrow.call("unique", texts).to_pylist() if text is not None and not _parses(text, types[column])]
            if bad:
                count = int((arrow.index_in(texts, arrow.strings_of(bad)) >= 0).sum())
                examples = ", ".join(repr(text) for text in bad[:_EXAMPLES])
                return DataError(
                    f"table {self.table.name!r}: {self.path} has {count:,} of {len(texts):,} values in column {column!r} that are not "
                    f"{self.table.columns[column].value}, e.g. {examples}.",
                    where=f"dataset.tables.{self.table.name}.columns.{column}",
                )
        return DataError(f"table {self.table.name!r}: cannot read {self.path}: {str(error).splitlines()[0]}")


def _parses(text: str, type_: pa.DataType) -> bool:
    table = pa.BufferReader(f'x\n"{text}"\n'.encode())
    try:
        pacsv.read_csv(table, convert_options=pacsv.ConvertOptions(column_types={"x": type_}))
    except pa.ArrowInvalid:
        return False
    return True
