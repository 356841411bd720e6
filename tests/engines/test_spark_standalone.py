"""The Spark engine on a standalone cluster: a master and a worker on this machine, executors in processes of their own."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jdrec.config import Config, load
from jdrec.dataset.tables import open_tables
from jdrec.engines.choose import extract_with
from jdrec.engines.spark import java, pyspark_folder
from jdrec.features.resolve import resolve
from jdrec.progress import Progress

pytestmark = [pytest.mark.spark, pytest.mark.slow]

PATIENCE_S = 120


def _start(stack: ExitStack, log: Path, name: str, arguments: list[str], found: str) -> str:
    """Starts a part of Spark's cluster; what its log says in the place of `found`'s group."""
    runtime = java.find(None)
    jars = str(pyspark_folder() / "jars" / "*")
    command = [str(runtime.program), "-Xmx512m", *runtime.options.split(), "-cp", jars, f"org.apache.spark.deploy.{name}", *arguments]
    environment = {
        **os.environ,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_HOME": str(pyspark_folder()),
        "SPARK_SCALA_VERSION": "2.12",  # how the scripts of a full distribution set it
        "JAVA_HOME": str(runtime.home),
    }
    output = stack.enter_context(log.open("wb"))
    process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment, cwd=log.parent)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    deadline = time.monotonic() + PATIENCE_S
    while (match := re.search(found, log.read_text(errors="replace"))) is None:
        assert process.poll() is None and time.monotonic() < deadline, log.read_text(errors="replace")[-2000:]
        time.sleep(0.1)
    return match[1]


@pytest.fixture
def master(tmp_path: Path) -> Iterator[str]:
    """The address of a standalone master with one worker."""
    with ExitStack() as stack:
        here = ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
        url = _start(stack, tmp_path / "master.log", "master.Master", here, r"Starting Spark master at (spark://127\.0\.0\.1:[1-9]\d*)")
        work = ["--cores", "1", "--memory", "1g", "--work-dir", str(tmp_path / "worker"), url]
        _start(stack, tmp_path / "worker.log", "worker.Worker", [*here, *work], r"Successfully registered with master (\S+)")
        yield url


def configuration(root: Path, master: str) -> Config:
    return load(
        {
            "dataset": {
                "root": str(root),
                "database": "small",
                "tables": {
                    "r": {"path": "r.parquet", "time": "at", "columns": {"id": "bigint", "user": "string", "at": "timestamp"}},
                    "e": {"path": "e.parquet", "time": "seen", "columns": {"user": "string", "seen": "timestamp", "n": "int"}},
                },
            },
            "features": {
                "request": {"table": "r", "key": "id", "time": "at"},
                "joins": {"last": {"last_join": "e", "on": "user", "order_by": "seen"}},
                "windows": {"w": {"union": "e", "partition_by": "user", "range": "1d", "exclude": "instances"}},
                "features": {
                    "hour": {"expr": "hour(at)"},
                    "latest": {"from": "last", "expr": "n + 1"},
                    "total": {"over": "w", "expr": "sum(n)"},
                    "most": {"over": "w", "expr": "topn_frequency(n, 2)"},
                },
            },
            "engine": {
                "name": "spark",
                "master": master,
                "driver_memory": "1g",
                "work_dir": str(root / "work"),
                "spark_conf": {
                    "spark.executor.memory": "1g",
                    "spark.driver.host": "127.0.0.1",
                    "spark.sql.shuffle.partitions": 1,
                    "spark.openmldb.groupby.partitions": 1,
                    # Quicker for so few rows.
                    "spark.sql.codegen.wholeStage": False,
                    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
                    "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1",
                },
            },
        }
    )


def test_a_standalone_cluster_gives_the_same_features(tmp_path: Path, master: str) -> None:
    users = ["u", "v", None, "u"]
    at = pa.array([1_459_419_080_000 + 1000 * n for n in range(4)], pa.timestamp("ms"))
    pq.write_table(pa.table({"id": [4, 3, 2, 1], "user": users, "at": at}), tmp_path / "r.parquet")
    events = {"user": ["u", "u", "v", "u"], "seen": at, "n": pa.array([5, 7, 7, 5], pa.int32())}
    pq.write_table(pa.table(events), tmp_path / "e.parquet")
    config = configuration(tmp_path, master)
    feature_set = resolve(config)
    report = extract_with(
        "spark",
        feature_set,
        open_tables(feature_set, tmp_path, "UTC"),
        tmp_path / "features.parquet",
        config=config,
        progress=Progress.silent(),
    )
    assert report.rows == 4
    found = pq.read_table(tmp_path / "features.parquet").to_pydict()
    assert {name: found[name] for name in ("id_1", "hour", "latest", "total", "most")} == {
        "id_1": [4, 3, 2, 1],
        "hour": [18, 18, 18, 18],
        "latest": [6, 8, None, 6],
        # The request itself is in its window; a column that its table has not is 0 there.
        "total": [5, 0, 0, 17],
        "most": ["0,5", "0,NULL", "0,NULL", "5,0"],
    }
    assert "--add-opens" in (tmp_path / "worker.log").read_text()  # an executor was started here
