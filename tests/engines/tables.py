"""Small tables for tests: rows as dictionaries, written as the Parquet files that the engine reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jdrec.dataset.tables import TableSet, open_tables
from jdrec.engines import extract
from jdrec.features.spec import FeatureSet
from jdrec.features.types import SqlType
from jdrec.progress import Progress

Row = dict[str, Any]


def write_tables(feature_set: FeatureSet, tables: dict[str, list[Row]], root: Path) -> TableSet:
    """Writes each table into a folder of its name; times are milliseconds, dates `datetime.date`."""
    for name, rows in tables.items():
        schema = pa.schema([(column, type_.arrow) for column, type_ in feature_set.tables[name].columns.items()])
        (root / name).mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema), root / name / "part.parquet")
    return open_tables(feature_set, root, "Asia/Shanghai")


def batch(feature_set: FeatureSet, tables: TableSet, root: Path, threads: int = 1) -> list[Row]:
    """What the batch engine extracts, one dictionary a request; times are milliseconds."""
    extract(feature_set, tables, root / "features.parquet", threads=threads, progress=Progress.silent())
    return plain(feature_set, pq.read_table(root / "features.parquet"))


def plain(feature_set: FeatureSet, table: Any) -> list[Row]:
    """Rows of output columns as dictionaries, times as milliseconds."""
    arrays = {
        feature.name: table.column(feature.name).cast(pa.int64()) if feature.type is SqlType.TIMESTAMP else table.column(feature.name)
        for feature in feature_set.features
    }
    columns = {name: array.to_pylist() for name, array in arrays.items()}
    return [{name: values[row] for name, values in columns.items()} for row in range(table.num_rows)]
