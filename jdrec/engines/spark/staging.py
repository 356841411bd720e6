"""Tables on their way into Spark: files that Spark reads as declared are read where they lie, others are written anew.

Spark sees the values that every engine sees: those of `jdrec.dataset.tables`, times in milliseconds UTC.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from jdrec.dataset.parquet import ParquetFile
from jdrec.features.types import SqlType

if TYPE_CHECKING:
    from jdrec.dataset.tables import TableFiles

T = SqlType

_SPARK_TYPES = {
    T.BOOL: "boolean",
    T.SMALLINT: "smallint",
    T.INT: "int",
    T.BIGINT: "bigint",
    T.FLOAT: "float",
    T.DOUBLE: "double",
    T.STRING: "string",
    T.DATE: "date",
    T.TIMESTAMP: "timestamp",
}


def read_table(spark: Any, table: TableFiles, work: Path) -> Any:
    """A table as a Spark DataFrame with its declared columns.

    Args:
        work: folder for what has to be written anew.

    Raises:
        DataError: values that the declared types cannot hold.
    """
    columns = table.table.columns
    if all(isinstance(file, ParquetFile) and _spark_reads(file, columns) for file in table.files):
        files = [file.path.absolute() for file in table.files]
    else:
        files = [stage(table, list(columns), work / f"{table.table.name}.parquet")]
    return read_files(spark, files, columns)


def read_files(spark: Any, files: list[Path], columns: dict[str, SqlType]) -> Any:
    """Parquet files as a Spark DataFrame."""
    from pyspark.sql import functions

    schema = ", ".join(f"`{name}` {_SPARK_TYPES[type_]}" for name, type_ in columns.items())
    frame = spark.read.schema(schema).parquet(*(file.as_uri() for file in files))
    return frame.select(
        *(
            functions.date_trunc("millisecond", f"`{name}`").alias(name) if type_ is T.TIMESTAMP else functions.col(f"`{name}`")
            for name, type_ in columns.items()
        )
    )


def stage(table: TableFiles, columns: list[str], file: Path) -> Path:
    """Writes the columns of a table to one Parquet file, a part at a time."""
    schema = pa.schema([(name, table.table.columns[name].arrow) for name in columns])
    with pq.ParquetWriter(file, schema) as writer:
        for part in table.read(columns):
            writer.write_table(pa.table([part[name] for name in columns], schema=schema))
    return file


def stage_positions(table: TableFiles, key: str, position: str, file: Path) -> int:
    """Writes each request's key with the position of its row, counted from 0; returns how many rows there are."""
    schema = pa.schema([(key, table.table.columns[key].arrow), (position, pa.int64())])
    rows = 0
    with pq.ParquetWriter(file, schema) as writer:
        for part in table.read([key]):
            count = len(part[key])
            writer.write_table(pa.table([part[key], pa.array(range(rows, rows + count), pa.int64())], schema=schema))
            rows += count
    return rows


def _spark_reads(file: ParquetFile, columns: dict[str, SqlType]) -> bool:
    """Whether Spark 3.2 reads the file's columns as the declared types by itself, without loss.

    It has no unsigned integers, no nanoseconds but Parquet's old INT96, and widens no column when a schema is given.
    """
    index = {file.metadata.schema.column(i).path: i for i in range(file.metadata.num_columns)}
    for name, declared in columns.items():
        found = file.schema.field(name).type
        if declared is T.TIMESTAMP:
            physical = file.metadata.schema.column(index[name]).physical_type
            if not (found.unit in ("ms", "us") or physical == "INT96"):
                return False
        elif declared is T.STRING:
            text = found.value_type if pa.types.is_dictionary(found) else found
            if not (pa.types.is_string(text) or pa.types.is_large_string(text)):
                return False
        elif found != declared.arrow:
            return False
    return True
