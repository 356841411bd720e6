"""A small definition with files, for tests of the cluster engine."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jdrec.config import Config, load
from jdrec.dataset.tables import TableSet, open_tables
from jdrec.features.resolve import resolve
from jdrec.features.spec import FeatureSet

UTC = datetime.timezone.utc


def at(second: int) -> datetime.datetime:
    return datetime.datetime(2016, 3, 31, 10, 0, second, tzinfo=UTC)


def config(root: Path, window: str = "1d", **sections: Any) -> Config:
    """Requests of users, and what users did: a window over the events before a request, and a label.

    Args:
        window: how far back it reaches.
        sections: parts of the configuration; `cluster` is openmldb.cluster, `windows` and `columns` replace those of the features.
    """
    windows = {"day": {"union": "event", "partition_by": "user", "range": window, "exclude": ["instances", "current_time"]}}
    columns = {
        "moment": {"expr": "ts"},
        "events_1d": {"over": "day", "expr": "count(price)"},
        "dearest_1d": {"over": "day", "expr": "max(price)"},
    }
    values: dict[str, Any] = {
        "dataset": {
            "root": str(root),
            "database": "shop",
            "tables": {
                "request": {
                    "path": "request.parquet",
                    "time": "ts",
                    "columns": {"id": "string", "user": "string", "ts": "timestamp", "bought": "int"},
                },
                "event": {"path": "event/*.parquet", "time": "ts", "columns": {"user": "string", "ts": "timestamp", "price": "float"}},
            },
        },
        "features": {
            "request": {"table": "request", "key": "id", "time": "ts"},
            "label": {"feature": "label"},
            "windows": sections.pop("windows", windows),
            "features": {"label": {"expr": "bought", "kind": "label"}, **sections.pop("columns", columns)},
        },
        "openmldb": {
            "output": f"file://{root}/out",
            "cluster": {"zk": "zk-one:2181,10.1.2.3:2181", "zk_path": "/openmldb", "poll_s": 0.001, **sections.pop("cluster", {})},
            **sections.pop("openmldb", {}),
        },
        **sections,
    }
    return load(values)


def write_tables(root: Path) -> None:
    """Three requests and an event."""
    requests = {"id": ["r2", "r1", "r3"], "user": ["a", "a", "b"], "ts": [at(1), at(2), at(3)], "bought": [1, 0, 0]}
    pq.write_table(
        pa.table(
            requests,
            schema=pa.schema([("id", pa.string()), ("user", pa.string()), ("ts", pa.timestamp("ms", "UTC")), ("bought", pa.int32())]),
        ),
        root / "request.parquet",
    )
    (root / "event").mkdir(exist_ok=True)
    events = {"user": ["a"], "ts": [at(0)], "price": [2.5]}
    pq.write_table(
        pa.table(events, schema=pa.schema([("user", pa.string()), ("ts", pa.timestamp("ms", "UTC")), ("price", pa.float32())])),
        root / "event" / "0.parquet",
    )


def opened(root: Path, **sections: Any) -> tuple[Config, FeatureSet, TableSet]:
    write_tables(root)
    made = config(root, **sections)
    feature_set = resolve(made)
    return made, feature_set, open_tables(feature_set, root, made.dataset.timezone)


OUTPUT = {  # as Spark would write it: other order, nanoseconds without a zone
    "id_1": ["r3", "r2", "r1"],
    "label": pa.array([0, 1, 0], pa.int32()),
    "moment": pa.array([at(3), at(1), at(2)], pa.timestamp("us")),
    "id_2": ["r3", "r2", "r1"],
    "events_1d": pa.array([0, 1, 1], pa.int64()),
    "dearest_1d": pa.array([None, 2.5, 2.5], pa.float32()),
}


def write_output(folder: Path, columns: dict[str, Any] = OUTPUT) -> None:
    """The files of a Spark job: two parts with INT96 timestamps and a marker."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    for number, part in enumerate((table.slice(0, 2), table.slice(2))):
        pq.write_table(part, folder / f"part-{number:05d}-c000.snappy.parquet", use_deprecated_int96_timestamps=True)
    (folder / "_SUCCESS").touch()
