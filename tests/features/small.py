"""Small configurations to try single things on."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from jdrec.config import Config, load
from jdrec.paths import CONF

ALL_TYPES = ("bool", "smallint", "int", "bigint", "float", "double", "string", "date", "timestamp")

_VALUES: dict[str, Any] = {
    "dataset": {
        "root": "data",
        "database": "shop",
        "tables": {
            "visit": {
                "path": "visit/*.parquet",
                "time": "at_time",
                "columns": {"id": "string", "user": "string", "item": "int", "at_time": "timestamp", "price": "double"},
            },
            "click": {
                "path": "click.csv",
                "time": "ts",
                "columns": {"user": "string", "item": "int", "ts": "bigint", "kind": "string", "cost": "float", "note": "string"},
            },
            "item": {
                "path": "item",
                "columns": {"item": "int", "brand": "string", "weight": "double", "seen": "timestamp", "sold": "int"},
            },
        },
    },
    "features": {
        "request": {"table": "visit", "key": "id", "time": "at_time"},
        "joins": {"product": {"last_join": "item", "on": "item"}},
        "windows": {
            "visits_3": {"partition_by": "user", "rows": 3},
            "clicks_7d": {"union": "click", "partition_by": "user", "range": "7d", "end": "0s open", "exclude": "instances"},
        },
        "features": {"amount": {"expr": "price"}},
    },
}


def values(**changes: Any) -> dict[str, Any]:
    """The small configuration as plain containers; a change is a dotted path: `values(**{"features.windows.w.rows": 3})`.

    A value of None removes the key.
    """
    result = copy.deepcopy(_VALUES)
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = result
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return result


def config(**changes: Any) -> Config:
    return load(values(**changes))


def with_features(**features: Any) -> Config:
    """The small configuration with these features; a text is an expression over the request row."""
    return config(**{"features.features": {name: {"expr": f} if isinstance(f, str) else f for name, f in features.items()}})


def shipped(features: str, dataset: str = "jd", **sections: Any) -> Config:
    """A shipped configuration of features, without the groups that it does not need."""
    read = {
        group: yaml.safe_load((Path(CONF) / group / f"{name}.yaml").read_text("utf-8"))
        for group, name in (("dataset", dataset), ("features", features))
    }
    return load({**read, **sections})
