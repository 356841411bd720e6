"""A feature set by hand, and features for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jdrec.features.expression import Column
from jdrec.features.spec import Block, Encoding, Feature, FeatureSet, Kind, Label, Table
from jdrec.features.types import SqlType


def feature(name: str, sql_type: SqlType, kind: Kind, encoding: Encoding | None = None) -> Feature:
    """A column of the request table as a feature."""
    return Feature(name, name, Column(0, 0, name), sql_type, kind, encoding=encoding)


def feature_set(*features: Feature, label: Label | None = None) -> FeatureSet:
    """Features of one table, request(request_time, ...)."""
    table = Table("request", {each.name: each.type for each in features}, "request.parquet", "request_time")
    return FeatureSet(
        database="db",
        timezone="Asia/Shanghai",
        tables={"request": table},
        request_table="request",
        request_key="id",
        request_time="request_time",
        joins={},
        windows={},
        blocks=(Block("out0", "request", (), features),),
        label=label or Label("bought"),
    )


TIME = feature("request_time", SqlType.TIMESTAMP, Kind.DROP)
BOUGHT = feature("bought", SqlType.INT, Kind.LABEL)
BRAND = feature("brand", SqlType.STRING, Kind.CATEGORICAL)
CLICKS = feature("clicks", SqlType.BIGINT, Kind.NUMERIC)
RATE = feature("rate", SqlType.FLOAT, Kind.NUMERIC, Encoding.NUMERIC)


def write(file: Path, features: FeatureSet, columns: dict[str, list[Any]], row_group: int = 7) -> Path:
    """Writes columns as a features file, in small row groups."""
    types = {each.name: each.type.arrow for each in features.features}
    table = pa.table({name: pa.array(values, types[name]) for name, values in columns.items()})
    pq.write_table(table, file, row_group_size=row_group)
    return file
