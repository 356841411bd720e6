"""A user's own tables and features in --config-dir: the same definition on every engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from jdrec.composition import compose
from jdrec.dataset.tables import open_tables
from jdrec.engines.choose import extract_with
from jdrec.engines.openmldb import connection
from jdrec.features.resolve import resolve
from jdrec.progress import Progress
from tests.engines.cluster.stand_in import Cluster

DATASET = """
database: taxis
timezone: Asia/Shanghai
tables:
  calls: {path: calls.parquet, time: called, columns: {call: string, driver: bigint, zone: string, called: timestamp, accepted: int}}
  rides: {path: rides.csv, time: driven, columns: {driver: bigint, driven: timestamp, km: double, zone: string}}
  drivers: {path: drivers.parquet, columns: {driver: bigint, name: string, rating: float}}
"""
FEATURES = """
request: {table: calls, key: call, time: called}
label: {feature: taken}
derived:
  calls: {from_centre: zone like 'c%'}
joins:
  who: {last_join: drivers, on: driver}
windows:
  day: {union: rides, partition_by: driver, range: 1d, end: 0s open, exclude: instances}
  three: {partition_by: driver, rows: 3}
features:
  taken: {expr: accepted}
  hour: {expr: hour(called), kind: categorical}
  centre: {expr: from_centre}
  rating: {from: who, expr: "if_null(rating, 0) * 2"}
  km_each: {over: day, expr: avg(km)}
  zones: {over: day, expr: "topn_frequency(zone, 2)"}
  calls_3: {over: three, expr: count(*)}
"""
EXPERIMENT = """# @package _global_
defaults:
  - override /dataset: taxis
  - override /features: taxis
dataset: {root: ROOT}
"""
EXPECTED = {
    "taken": [1, 0, 1],
    "hour": [18, 19, 18],
    "centre": [True, None, False],
    "rating": [9.0, 9.0, 0.0],
    "km_each": [None, 2.25, None],
    "zones": ["", "centre,south", ""],
    "calls_3": [1, 2, 1],
}


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder with the user's configuration, and the tables beside it."""
    root = tmp_path / "tables"
    root.mkdir()
    at = pa.array([1_459_419_080_000, 1_459_422_680_000, 1_459_419_080_000], pa.timestamp("ms", "UTC"))
    calls = {
        "call": ["b", "a", "c"],
        "driver": [7, 7, 8],
        "zone": ["centre", None, "south"],
        "called": at,
        "accepted": pa.array([1, 0, 1], pa.int32()),
    }
    pq.write_table(pa.table(calls), root / "calls.parquet")
    rides = ["2016-03-31 18:11:20,1.5,centre", "2016-03-31 18:30:00,3,south", "2016-03-31 19:11:20,9,south"]
    (root / "rides.csv").write_text("driver,driven,km,zone\n" + "".join(f"7,{ride}\n" for ride in rides))
    pq.write_table(pa.table({"driver": [7], "name": ["Li"], "rating": pa.array([4.5], pa.float32())}), root / "drivers.parquet")
    folder = tmp_path / "mine"
    texts = {"dataset": DATASET, "features": FEATURES, "experiment": EXPERIMENT.replace("ROOT", str(root))}
    for group, text in texts.items():
        (folder / group).mkdir(parents=True)
        (folder / group / "taxis.yaml").write_text(text)
    return folder


def jdrec(mine: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jdrec", "--config-dir", str(mine), "+experiment=taxis", *arguments]
    return subprocess.run(command, cwd=mine.parent, capture_output=True, text=True)


def features_of(file: Path) -> dict[str, list[Any]]:
    found = pq.read_table(file).to_pydict()
    return {name: found[name] for name in EXPECTED}


def test_embedded(mine: Path) -> None:
    done = jdrec(mine, "task=extract", "hydra.run.dir=out")
    assert done.returncode == 0, done.stderr
    assert features_of(mine.parent / "out" / "features.parquet") == EXPECTED


@pytest.mark.spark
@pytest.mark.slow
def test_spark(mine: Path) -> None:
    done = jdrec(mine, "engine=spark", "engine.driver_memory=2g", 'engine.master="local[2]"', "task=extract", "hydra.run.dir=out")
    assert done.returncode == 0, done.stderr
    assert features_of(mine.parent / "out" / "features.parquet") == EXPECTED


@pytest.mark.compiler
def test_checked_and_rendered_for_a_cluster(mine: Path) -> None:
    """OpenMLDB's own compiler takes the query; its files are for the cluster."""
    done = jdrec(mine, "engine=openmldb", "task=check", "hydra.run.dir=out")
    assert done.returncode == 0, done.stderr
    done = jdrec(mine, "engine=openmldb", "task=render", "hydra.run.dir=out")
    assert done.returncode == 0, done.stderr
    text = (mine.parent / "out" / "sql" / "select_features.sql").read_text()
    assert "`zone` like 'c%'" in text and "last join `drivers` as `who`" in text


def test_a_clusters_job_is_started_and_read(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the stand-in for a cluster, whose job gives what the embedded engine gave, in another order."""
    monkeypatch.setenv("OPENMLDB_ZK", "zk:2181")
    monkeypatch.setenv("OPENMLDB_ZK_PATH", "/openmldb")
    overrides = ["+experiment=taxis", "engine=openmldb", f"openmldb.output=file://{mine.parent}/job", "openmldb.cluster.poll_s=0.001"]
    config = compose(overrides, mine)
    feature_set = resolve(config)
    tables = open_tables(feature_set, Path(config.dataset.root), config.dataset.timezone)
    first, second = mine.parent / "first.parquet", mine.parent / "second.parquet"
    extract_with("embedded", feature_set, tables, first, config=config, progress=Progress.silent())

    def job(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        table = pq.read_table(first)
        pq.write_table(table.take(pc.sort_indices(table["call_1"])), folder / "part-00000.parquet")

    cluster = Cluster(output=job)
    monkeypatch.setattr(connection, "load_dbapi", lambda: cluster)
    extract_with("openmldb", feature_set, tables, second, config=config, progress=Progress.silent())
    assert features_of(second) == EXPECTED
    assert list(cluster.databases) == ["taxis"] and set(cluster.databases["taxis"]) == {"calls", "rides", "drivers"}
