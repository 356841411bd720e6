"""engine=openmldb against the stand-in: what is said to a cluster, in which order, and what becomes of its answers."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jdrec.engines.openmldb import extract
from jdrec.engines.openmldb.errors import ClusterError, JobError, JobTimeout, LostConnection, SchemaError
from jdrec.errors import ConfigError, DataError, JdrecError
from jdrec.progress import Progress
from tests.engines.cluster.conftest import Clock
from tests.engines.cluster.examples import OUTPUT, at, opened, write_output
from tests.engines.cluster.stand_in import Cluster


def run(root: Path, **sections: dict[str, Any]) -> Any:
    config, feature_set, tables = opened(root, **sections)
    return extract(feature_set, tables, root / "features.parquet", config=config, progress=Progress.silent())


def starts(cluster: Cluster) -> list[str]:
    """The beginnings of all statements."""
    return [" ".join(statement.split()[:4]) for statement in cluster.statements]


def failure(root: Path, kind: type[JdrecError], **sections: dict[str, Any]) -> str:
    with pytest.raises(kind) as error:
        run(root, **sections)
    assert type(error.value) is kind
    assert not (root / "features.parquet").exists()
    return str(error.value)


def test_the_whole_way(tmp_path: Path, cluster: Cluster):
    report = run(tmp_path)
    assert (report.rows, report.columns) == (3, 6)
    assert starts(cluster) == [
        "CREATE DATABASE IF NOT",
        "USE shop",
        "CREATE TABLE IF NOT",
        "CREATE TABLE IF NOT",
        "SHOW CREATE TABLE request",
        "SHOW CREATE TABLE event",
        "SET @@sync_job='false'",
        "SET @@job_timeout='60000'",
        "USE shop",
        "SET @@execute_mode='offline'",
        "LOAD DATA INFILE " + f"'{tmp_path}/request.parquet'",
        "SHOW JOB 1",
        "SHOW JOB 1",
        "LOAD DATA INFILE " + f"'{tmp_path}/event/*.parquet'",
        "SHOW JOB 2",
        "SHOW JOB 2",
        "SET @@execute_mode='offline'",
        "USE shop",
        "select * from (",
        "SHOW JOB 3",
        "SHOW JOB 3",
    ]
    result = pq.read_table(tmp_path / "features.parquet")
    assert result.to_pydict() == {
        "id_1": ["r2", "r1", "r3"],
        "label": [1, 0, 0],
        "moment": [at(1), at(2), at(3)],
        "id_2": ["r2", "r1", "r3"],
        "events_1d": [1, 1, 0],
        "dearest_1d": [2.5, 2.5, None],
    }
    assert result.schema.types == [pa.string(), pa.int32(), pa.timestamp("ms", "UTC"), pa.string(), pa.int64(), pa.float32()]


def test_a_second_time_finds_its_tables(tmp_path: Path, cluster: Cluster):
    run(tmp_path)
    assert run(tmp_path).rows == 3
    assert list(cluster.databases) == ["shop"]


def test_tables_that_point_at_files(tmp_path: Path, cluster: Cluster):
    run(tmp_path, cluster={"deep_copy": False})
    tables = cluster.databases["shop"]
    assert [(table.offline, table.deep_copy) for table in tables.values()] == [
        (f"{tmp_path}/request.parquet", False),
        (f"{tmp_path}/event/*.parquet", False),
    ]


def test_tables_that_are_loaded_already(tmp_path: Path, cluster: Cluster):
    run(tmp_path)
    cluster.statements.clear()
    run(tmp_path, cluster={"load_offline": False})
    assert not any(statement.startswith("LOAD") for statement in cluster.statements)


def test_a_table_of_another_shape(tmp_path: Path, cluster: Cluster):
    run(tmp_path)
    cluster.databases["shop"]["event"].columns = "user string, ts bigint, colour string"
    (tmp_path / "features.parquet").unlink()
    assert failure(tmp_path, SchemaError) == (
        "tables of shop exist with other columns than dataset.tables:\n"
        "  event: column price is missing\n"
        "  event: column colour string is not in the definition\n"
        "  event: column ts is bigint, defined as timestamp \n"
        "Nothing was changed. Use another dataset.database, correct dataset.tables, or DROP TABLE what is not needed."
    )


def test_a_table_with_columns_in_another_order(tmp_path: Path, cluster: Cluster):
    cluster.databases["shop"] = {}
    run(tmp_path)
    cluster.databases["shop"]["event"].columns = "ts timestamp, user string, price float"
    (tmp_path / "features.parquet").unlink()
    assert "event: its columns are in another order: ts, user, price" in failure(tmp_path, SchemaError)


def test_a_failing_load(tmp_path: Path, cluster: Cluster):
    log = "\n".join(
        ["java.io.FileNotFoundException: no event at zk-one:2181", *[f"line {n}" for n in range(30)], "spark.password=abc", "Caused by: x"]
    )
    cluster.failing["INTO TABLE event"] = ("FAILED", "exit code 1", log)
    message = failure(tmp_path, JobError)
    assert message.startswith(
        "could not load event offline: job 2 failed: exit code 1\n  java.io.FileNotFoundException: no event at ***\n  ...\n  line 12\n"
    )
    assert message.endswith("  line 29\n  spark.password=***\n  Caused by: x \nThe whole log: SHOW JOBLOG 2")
    assert not any(statement.startswith("select") for statement in cluster.statements)


def test_a_failing_extract_job(tmp_path: Path, cluster: Cluster):
    cluster.failing["INTO OUTFILE"] = ("Lost", None, "")
    assert failure(tmp_path, JobError) == "could not extract features: job 3 failed.\n  Stdout:\n  Stderr: \nThe whole log: SHOW JOBLOG 3"


def test_a_log_that_cannot_be_had(tmp_path: Path, cluster: Cluster):
    cluster.failing["INTO OUTFILE"] = ("FAILED", None, "")
    cluster.refused["SHOW JOBLOG"] = "Fail to get TaskManager client"
    assert "(its log cannot be had: OpenMLDB fails at `SHOW JOBLOG 3`: Fail to get TaskManager client.)" in failure(tmp_path, JobError)


def test_a_job_that_takes_too_long_is_stopped(tmp_path: Path, cluster: Cluster):
    cluster.failing["INTO OUTFILE"] = ("RUNNING", None, "stage 7 of 9")
    message = failure(tmp_path, JobTimeout, cluster={"job_timeout_s": 100, "poll_s": 30})
    assert message.startswith("could not extract features: job 3 has not finished after 120 s; it was told to stop.\n")
    assert "stage 7 of 9" in message
    assert cluster.stopped == [3]


def test_an_interrupted_wait_stops_the_job(tmp_path: Path, cluster: Cluster, clock: Clock):
    def interrupt() -> None:
        if cluster.statements[-1] == "SHOW JOB 2":
            raise KeyboardInterrupt

    clock.on_sleep = interrupt
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    assert cluster.stopped == [2]


def test_answers_that_fail_to_come_are_waited_for(tmp_path: Path, cluster: Cluster):
    cluster.lost_at["SHOW JOB 3"] = 5
    assert run(tmp_path).rows == 3
    assert cluster.statements.count("SHOW JOB 3") == 7


def test_a_lost_cluster(tmp_path: Path, cluster: Cluster):
    cluster.lost_at["SHOW JOB 3"] = 6
    assert failure(tmp_path, LostConnection) == (
        "lost the cluster while waiting for job 3 (extract features): OpenMLDB fails at `SHOW JOB 3`: "
        "[2000] request fail, connect to ***:9902 timed out. The job may still run; see it with SHOW JOB 3."
    )
    assert cluster.stopped == []


def test_a_refused_statement(tmp_path: Path, cluster: Cluster):
    cluster.refused["select"] = "explain failed: no such function"
    message = failure(tmp_path, ClusterError)
    assert message.startswith("OpenMLDB fails at `select * from ( select `id` as id_1, `bought` as label")
    assert message.endswith("...`: explain failed: no such function.")


def test_a_cluster_that_is_down(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENMLDB_PASSWORD", "s3cret")
    cluster.down = "fail to init OpenMLDB sdk"
    with pytest.raises(LostConnection) as error:
        run(tmp_path)
    assert str(error.value) == (
        "openmldb.cluster: cannot connect to OpenMLDB: fail to init OpenMLDB sdk. "
        "Check the address, the ZooKeeper path, user and password, and that the cluster is up."
    )
    assert error.value.__context__ is None  # the SDK's exception holds the password
    assert cluster.arguments[0]["password"] == "s3cret"


def test_nothing_secret_is_logged(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setenv("OPENMLDB_PASSWORD", "s3cret")
    caplog.set_level(logging.DEBUG)
    run(tmp_path)
    assert "job 3 is finished" in caplog.text
    assert "s3cret" not in caplog.text and "zk-one" not in caplog.text


def test_a_standalone_server_has_no_jobs(tmp_path: Path, cluster: Cluster):
    message = failure(tmp_path, ConfigError, cluster={"zk": None, "zk_path": None, "host": "127.0.0.1:6527"})
    assert message == "openmldb.cluster.host: a standalone server has no offline engine. Name a cluster with zk and zk_path."


def test_the_dialect_of_the_sdk(tmp_path: Path, cluster: Cluster):
    assert failure(tmp_path, ConfigError, openmldb={"version": "0.6"}) == (
        "openmldb.version: the SDK speaks to OpenMLDB 0.9. Use openmldb.version=0.9."
    )


def test_an_output_folder_with_two_names(tmp_path: Path, cluster: Cluster):
    cluster.output = lambda folder: write_output(tmp_path / "mounted" / "run 1")
    report = run(tmp_path, openmldb={"output": "hdfs://name/shop"}, cluster={"output_here": f"{tmp_path}/mounted/run 1"})
    assert report.rows == 3


def with_output(root: Path, cluster: Cluster, kind: type[JdrecError], **columns: Any) -> str:
    cluster.output = lambda folder: write_output(folder, {**OUTPUT, **columns})
    return failure(root, kind)


def test_an_output_that_is_not_seen_here(tmp_path: Path, cluster: Cluster):
    cluster.output = lambda folder: None
    message = failure(tmp_path, ClusterError)
    assert message.startswith("openmldb.output: the extract job's output cannot be read: ")
    assert message.endswith("a shared folder, a URI that Arrow opens, or openmldb.cluster.output_here.")


def test_an_empty_output(tmp_path: Path, cluster: Cluster):
    cluster.output = lambda folder: folder.mkdir()
    assert "the extract job has finished, but there is no Parquet file in file://" in failure(tmp_path, ClusterError)


def test_other_columns(tmp_path: Path, cluster: Cluster):
    assert "0 missing (none), 1 unknown ('extra')" in with_output(tmp_path, cluster, ClusterError, extra=[1, 2, 3])


def test_another_type(tmp_path: Path, cluster: Cluster):
    assert with_output(tmp_path, cluster, ClusterError, events_1d=["x", "1", "1"]).startswith(
        "features.features.events_1d: column events_1d came as string, not bigint: "
    )


def test_keys_of_other_requests(tmp_path: Path, cluster: Cluster):
    message = with_output(tmp_path, cluster, ClusterError, id_1=["r3", "r2", "r9"])
    assert message.startswith("dataset.root: the extract job gave no row for 1 requests, e.g. 'r1'.")


def test_keys_that_are_not_unique(tmp_path: Path, cluster: Cluster):
    message = with_output(tmp_path, cluster, DataError, id_1=["r3", "r2", "r2"])
    assert message == (
        "features.request.key: 1 values of id stand for several requests, e.g. 'r2'; their rows cannot be put in order. "
        "The key of a request must be unique."
    )


def test_another_number_of_rows(tmp_path: Path, cluster: Cluster):
    cluster.output = lambda folder: write_output(folder, {name: values[:2] for name, values in OUTPUT.items()})
    assert "the extract job gave 2 rows for 3 requests." in failure(tmp_path, ClusterError)
