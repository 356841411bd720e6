"""What the feature server says about its database, tables and deployment."""

from __future__ import annotations

from typing import Any

from jdrec.features.indexes import needed_indexes
from jdrec.features.spec import FeatureSet
from jdrec.features.types import SqlType
from jdrec.online.server.rows import stored_name, type_name


def deployment(feature_set: FeatureSet, name: str, sql: str) -> dict[str, Any]:
    """A deployment as the APIServer describes it; there are no common columns."""
    outputs = [(feature.name, feature.type) for feature in feature_set.features]
    return {
        "name": name,
        "procedure": sql,
        "input_schema": schema(list(feature_set.request.columns.items())),
        "input_common_cols": [],
        "output_schema": schema(outputs),
        "output_common_cols": [],
        "dbs": [feature_set.database],
        "tables": list(feature_set.tables),
    }


def schema(columns: list[tuple[str, SqlType]]) -> list[dict[str, str]]:
    return [{"name": name, "type": type_name(type_)} for name, type_ in columns]


def tables(feature_set: FeatureSet) -> dict[str, dict[str, Any]]:
    """Each table as the APIServer describes it, with the indexes that the features need."""
    result = {}
    indexes = needed_indexes(feature_set)
    for number, (name, table) in enumerate(feature_set.tables.items(), 1):
        keys = []
        for place, index in enumerate(indexes.get(name, ())):
            key: dict[str, Any] = {"index_name": f"INDEX_{place}_{name}", "col_name": list(index.key)}
            if index.ts is not None:
                key["ts_name"] = index.ts
            key["ttl"] = {"ttl_type": index.ttl_type, "abs_ttl": index.minutes, "lat_ttl": index.rows}
            keys.append(key)
        result[name] = {
            "name": name,
            "table_partition_size": 1,
            "tid": number,
            "partition_num": 1,
            "replica_num": 1,
            "column_desc": [
                {"name": column, "data_type": stored_name(type_), "not_null": False} for column, type_ in table.columns.items()
            ],
            "column_key": keys,
            "added_column_desc": [],
            "db": feature_set.database,
            "partition_key": [],
            "schema_versions": [],
        }
    return result
