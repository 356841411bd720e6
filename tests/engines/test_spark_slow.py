"""The Spark engine at work: real tables, other file forms, failures, and that nothing is left behind."""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
import yaml

from jdrec.compare import compare_files
from jdrec.config import Config, EngineConfig, load
from jdrec.dataset.tables import open_tables
from jdrec.engines.report import ExtractReport
from jdrec.engines.spark.extract import _failures, extract
from jdrec.engines.spark.session import open_session
from jdrec.errors import DataError, EngineError
from jdrec.features.resolve import resolve
from jdrec.features.spec import FeatureSet
from jdrec.paths import CONF
from jdrec.progress import Progress

pytestmark = [pytest.mark.spark, pytest.mark.slow]

ENGINE = {"name": "spark", "master": "local[2]", "driver_memory": "3g"}


def run(config: Config, out: Path) -> tuple[FeatureSet, ExtractReport]:
    feature_set = resolve(config)
    tables = open_tables(feature_set, Path(config.dataset.root), config.dataset.timezone)
    return feature_set, extract(feature_set, tables, out, config=config, progress=Progress.silent())


def test_the_tutorials_features_equal_the_golden(shared: Path, tmp_path: Path) -> None:
    dataset = yaml.safe_load((CONF / "dataset" / "jd.yaml").read_text())
    features = yaml.safe_load((CONF / "features" / "jd_tutorial.yaml").read_text())
    config = load(
        {"dataset": {**dataset, "root": str(shared / "jd-recommendation")}, "features": features, "engine": {**ENGINE, "keep_parts": True}}
    )
    feature_set, report = run(config, tmp_path / "features.parquet")
    assert (report.rows, report.columns) == (13916, 42)
    assert report.peak_memory_bytes > 100 << 20

    found = pq.read_table(tmp_path / "features.parquet")
    requests = pq.read_table(shared / "jd-recommendation" / "flattenRequest_clean", columns=["reqId"])
    assert found["reqId_1"].to_pylist() == requests["reqId"].to_pylist()
    golden = pq.read_table(shared / "golden" / "jd_tutorial_features.parquet").select(found.column_names).cast(found.schema)
    for name, table in (("found", found), ("golden", golden)):
        pq.write_table(table.sort_by("reqId_1"), tmp_path / f"{name}.sorted")
    compared = compare_files(feature_set, tmp_path / "found.sorted", tmp_path / "golden.sorted")
    assert compared.lines() == ["13,916 rows, 42 features, 0 cells differ"]
    parts = sorted((tmp_path / "features.parts").glob("part-*.parquet"))
    assert sum(pq.ParquetFile(part).metadata.num_rows for part in parts) == 13916
    assert sorted(item.name for item in tmp_path.iterdir() if item.suffix != ".sorted") == ["features.parquet", "features.parts"]


# --- a small data set of other file forms ---

UTC = datetime.timezone.utc
MOMENTS = [datetime.datetime(2016, 3, 1, 12, 0, second, 250_000, tzinfo=UTC) for second in range(3)]


def small(root: Path, tables: dict[str, Any], **engine: Any) -> Config:
    return load(
        {
            "dataset": {"root": str(root), "database": "small", "timezone": "Asia/Shanghai", "tables": tables},
            "features": {
                "request": {"table": "r", "key": "id", "time": "at"},
                "windows": {"w": {"union": "e", "partition_by": "user", "range": "1d", "exclude": "instances"}},
                "features": {"at": {"expr": "at"}, "total": {"over": "w", "expr": "sum(n)"}, "twice": {"expr": "score * 2"}},
            },
            "engine": {**ENGINE, **engine},
        }
    )


def tables(request: str = "r.parquet", events: str = "e.csv") -> dict[str, Any]:
    return {
        "r": {"path": request, "time": "at", "columns": {"id": "bigint", "user": "string", "at": "timestamp", "score": "int"}},
        "e": {"path": events, "time": "seen", "columns": {"user": "string", "seen": "timestamp", "n": "int"}},
    }


def write_requests(file: Path, ids: list[int | None]) -> None:
    rows = range(len(ids))
    pq.write_table(
        pa.table(
            {
                "id": pa.array(ids, pa.int64()),
                "user": pa.array(["u", "v", "u"][: len(ids)], pa.string()),
                "at": pa.array(MOMENTS[: len(ids)], pa.timestamp("ns", tz="UTC")),  # which Spark 3.2 does not read
                "score": pa.array([n * 10 for n in rows], pa.int64()),  # declared int
            }
        ),
        file,
        version="2.6",
    )


def test_tables_in_other_forms_are_read_as_every_engine_reads_them(tmp_path: Path) -> None:
    write_requests(tmp_path / "r.parquet", [7, 5, 6])
    # Times without a zone in CSV are in the data set's, UTC+8: the first event is at 12:00:00.250 UTC, the second a millisecond later.
    (tmp_path / "e.csv").write_text('user,seen,n\nu,2016-03-01 20:00:00.250,3\n"u",2016-03-01 20:00:00.251,4\n')
    _, report = run(small(tmp_path, tables()), tmp_path / "out.parquet")
    assert report.rows == 3
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.schema.field("at").type == pa.timestamp("ms", tz="UTC")
    assert found.to_pydict() == {
        "id_1": [7, 5, 6],
        "at": MOMENTS,
        "twice": [0, 20, 40],
        "id_2": [7, 5, 6],
        "total": [3, 0, 7],
    }


def test_empty_tables(tmp_path: Path) -> None:
    write_requests(tmp_path / "r.parquet", [])
    pacsv.write_csv(pa.table({"user": pa.array([], pa.string()), "seen": pa.array([], pa.string()), "n": []}), tmp_path / "e.csv")
    _, report = run(small(tmp_path, tables()), tmp_path / "out.parquet")
    assert report.rows == 0
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


def test_request_keys_have_to_be_unique(tmp_path: Path) -> None:
    write_requests(tmp_path / "r.parquet", [7, 7, None])
    (tmp_path / "e.csv").write_text("user,seen,n\n")
    with pytest.raises(DataError) as error:
        run(small(tmp_path, tables()), tmp_path / "out.parquet")
    assert str(error.value) == (
        "features.request.key: request keys r.id have to be unique, for the query's parts are joined by them: "
        "1 are NULL and 1 come more than once, e.g. 7."
    )
    assert sorted(item.name for item in tmp_path.iterdir()) == ["e.csv", "r.parquet"]


def test_a_setting_that_spark_refuses_is_one_message(tmp_path: Path) -> None:
    write_requests(tmp_path / "r.parquet", [7])
    (tmp_path / "e.csv").write_text("user,seen,n\n")
    with pytest.raises(EngineError, match=r"engine: Spark does not start: .*Master must either be yarn"):
        run(small(tmp_path, tables(), master="warehouse9"), tmp_path / "out.parquet")


# --- nothing is left behind ---


def spark_processes(mark: str) -> list[int]:
    """JVMs whose command line holds `mark`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if mark in command and "java" in command:
                found.append(int(entry.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["Ctrl-C", "SIGTERM", "SIGKILL"])
def test_the_jvm_ends_with_its_parent(tmp_path: Path, how: signal.Signals) -> None:
    program = (
        "import sys, time; from pathlib import Path; from jdrec.config import EngineConfig\n"
        "from jdrec.engines.spark.session import open_session\n"
        f"config = EngineConfig(master='local[1]', driver_memory='1g', spark_conf={{'spark.app.name': 'mark{os.getpid()}'}})\n"
        f"with open_session(config, timezone='UTC', log_file=Path({str(tmp_path / 'spark.log')!r})) as session:\n"
        "    print('ready', flush=True)\n"
        "    session.spark.range(1 << 40).selectExpr('sum(id * id)').collect()\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        mark = f"mark{os.getpid()}"
        assert spark_processes(mark)
        child.send_signal(how)
        child.wait(60)
        deadline = time.monotonic() + 30
        while spark_processes(mark) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert spark_processes(mark) == []
    finally:
        child.kill()
        child.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="Java writes of a signal there")
def test_a_crash_is_told_and_leaves_nothing_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    log_file = tmp_path / "a folder" / "spark.log"
    log_file.parent.mkdir()
    with (
        pytest.raises(EngineError, match=r"engine: Spark's Java ended with a crash: SIGSEGV .*, in C  \["),
        open_session(EngineConfig(master="local[1]", driver_memory="1g"), timezone="UTC", log_file=log_file) as session,
        _failures(log_file),
    ):
        session.process.send_signal(signal.SIGSEGV)
        session.process.wait(30)
        session.spark.range(3).collect()
    assert list((tmp_path / "here").iterdir()) == []
