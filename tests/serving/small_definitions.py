"""Hand-made feature sets for the tests of the serving room: one request table, any number of fields."""

from __future__ import annotations

from jdrec.features.expression import Column
from jdrec.features.spec import Block, Feature, FeatureSet, Kind, Table
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


def column_feature(name: str, type: SqlType, kind: Kind) -> Feature:
    return Feature(name=f"f_{name}", text=name, node=Column(0, len(name), name), type=type, kind=kind)


def every_type() -> FeatureSet:
    """One feature a column of a request table that has a column of every type; `f_count` is not a field."""
    kinds = {"rate": Kind.NUMERIC, "score_hint": Kind.NUMERIC, "count": Kind.DROP}
    features = tuple(column_feature(name, type, kinds.get(name, Kind.CATEGORICAL)) for name, type in COLUMNS.items())
    return _feature_set(features)


def with_fields(numeric: int, categorical: int) -> FeatureSet:
    """A feature set that has so many numeric and categorical fields."""
    features = [Feature(f"n{i}", "count", Column(0, 5, "count"), SqlType.INT, Kind.NUMERIC) for i in range(numeric)]
    features += [Feature(f"c{i}", "user", Column(0, 4, "user"), SqlType.STRING, Kind.CATEGORICAL) for i in range(categorical)]
    return _feature_set(tuple(features))


def _feature_set(features: tuple[Feature, ...]) -> FeatureSet:
    return FeatureSet(
        database="db",
        timezone="Asia/Shanghai",
        tables={"requests": Table("requests", COLUMNS, "requests.parquet", "at")},
        request_table="requests",
        request_key="id",
        request_time="at",
        joins={},
        windows={},
        blocks=(Block("out0", "request", (), features),),
        label=None,
    )
