"""Feature sets for the tests of the serving room, resolved from small configurations; tables with a column of every type."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from jdrec.config import Config, load
from jdrec.features.resolve import resolve
from jdrec.features.spec import FeatureSet
from jdrec.features.types import SqlType

COLUMNS = {
    "id": SqlType.STRING,
    "at": SqlType.TIMESTAMP,
    "user": SqlType.STRING,
    "flag": SqlType.BOOL,
    "small": SqlType.SMALLINT,
    "count": SqlType.INT,
    "big": SqlType.BIGINT,
    "rate": SqlType.FLOAT,
    "score_hint": SqlType.DOUBLE,
    "day": SqlType.DATE,
}
ROW = {
    "id": "r1",
    "at": 1459419080000,
    "user": "u1",
    "flag": True,
    "small": -3,
    "count": 7,
    "big": 2**40,
    "rate": 0.5,
    "score_hint": 2.25,
    "day": "2016-03-31",
}
_KINDS = {"rate": "numeric", "score_hint": "numeric", "count": "drop"}


def small_config(features: dict[str, Any], root: Path | str = ".", label: str | None = None) -> Config:
    """A configuration with one table, `requests`, and a window over a user's last requests."""
    table = {"path": "requests.parquet", "time": "at", "columns": {name: type.value for name, type in COLUMNS.items()}}
    return load(
        {
            "dataset": {"root": str(root), "database": "db", "tables": {"requests": table}},
            "features": {
                "request": {"table": "requests", "key": "id", "time": "at"},
                "windows": {"last_10": {"partition_by": "user", "rows": 10}},
                "features": features,
                "label": {"feature": label} if label else None,
            },
        }
    )


def every_type() -> FeatureSet:
    """A feature for each column, and `f_seen`, how many requests of the user were stored, this one included.

    f_count is not a field; f_rate and f_score_hint are numeric ones, the rest and f_seen are categorical.
    """
    features = {f"f_{name}": {"expr": name, "kind": _KINDS.get(name, "categorical")} for name in COLUMNS}
    return resolve(small_config({**features, "f_seen": {"over": "last_10", "expr": "count(id)", "kind": "categorical"}}))


def with_fields(numeric: int, categorical: int) -> FeatureSet:
    """A feature set that has so many numeric and categorical fields."""
    features = {f"n{i}": {"expr": "count", "kind": "numeric"} for i in range(numeric)}
    features |= {f"c{i}": {"expr": "user", "kind": "categorical"} for i in range(categorical)}
    return resolve(small_config(features or {"n": {"expr": "count", "kind": "drop"}}))


def write_requests(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Writes the table `requests`; rows as ROW."""
    arrays = []
    for name, type in COLUMNS.items():
        values = [row[name] for row in rows]
        if type is SqlType.DATE:
            values = [datetime.date.fromisoformat(value) for value in values]
        arrays.append(pa.array(values, type.arrow))
    pyarrow.parquet.write_table(pa.table(arrays, names=list(COLUMNS)), folder / "requests.parquet")
