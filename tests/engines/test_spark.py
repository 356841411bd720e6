"""The Spark engine's parts that need no Spark: its jars, its Java, its settings, what it reads as it lies."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jdrec.config import EngineConfig
from jdrec.dataset.parquet import ParquetFile
from jdrec.engines.spark import jars, java
from jdrec.engines.spark.progress import describe
from jdrec.engines.spark.session import crash_of, spark_settings
from jdrec.engines.spark.staging import _spark_reads
from jdrec.errors import EngineError
from jdrec.features.spec import Table
from jdrec.features.types import SqlType

T = SqlType


# --- jars ---


def test_missing_jars_say_how_to_fetch_them(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as error:
        jars.find(tmp_path)
    assert str(error.value) == (
        f"engine.jars: OpenMLDB's batch engine is not in {tmp_path}: openmldb-batch-0.9.0.jar is missing. "
        f"Fetch it (0.56 GB) with: python -m jdrec.engines.spark.jars {tmp_path}"
    )


def test_a_cut_jar_is_found_out(tmp_path: Path) -> None:
    for name in jars.JARS:
        (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(EngineError, match="has 2 bytes, the published file 376,545,811"):
        jars.find(tmp_path)


def test_a_fetched_file_with_another_checksum_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(artifact: str, into: Path) -> None:
        (into / f"{artifact}-0.9.0.jar").write_bytes(b"not a jar")

    monkeypatch.setattr(jars, "_retrieve", wrong)
    with pytest.raises(EngineError, match=r"openmldb-batch-0\.9\.0\.jar is not the published file: SHA-256 [0-9a-f]{64}"):
        jars.fetch(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_jars_lie_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert jars.default_folder() == Path("/caches/jdrec/openmldb-0.9.0")


# --- Java ---


@pytest.mark.parametrize(("text", "version"), [("1.8.0_412", 8), ("11.0.23", 11), ("17", 17), ("17.0.15", 17), ("25", 25)])
def test_versions_of_java(text: str, version: int) -> None:
    assert java.parse_version(text.replace("_412", "")) == version


def installed(folder: Path, version: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "java").write_text("")
    (folder / "release").write_text(f'IMPLEMENTOR="Someone"\nJAVA_VERSION="{version}"\n')
    return folder


def test_closed_packages_are_opened_on_java_17_alone(tmp_path: Path) -> None:
    eight, eleven, seventeen = (
        java.find(str(installed(tmp_path / name, version))) for name, version in (("8", "1.8.0_412"), ("11", "11.0.23"), ("17", "17.0.15"))
    )
    assert (eight.version, eleven.version, seventeen.version) == (8, 11, 17)
    assert (eight.options, eleven.options) == ("", "")
    assert seventeen.options.startswith("--add-opens=java.base/java.lang=ALL-UNNAMED --add-opens=")


def test_a_java_that_spark_does_not_know(tmp_path: Path) -> None:
    home = installed(tmp_path / "21", "21.0.3")
    with pytest.raises(EngineError) as error:
        java.find(str(home))
    assert str(error.value) == (
        f"engine.java_home: Spark 3.2 does not run on Java 21 ({home}). Name the folder of a Java 8, 11 or 17 with engine.java_home."
    )


def test_no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"Java is not installed\. Install Java 17"):
        java.find(None)
    with pytest.raises(EngineError, match=r"engine.java_home: there is no Java in /nowhere. It is the folder that holds bin/java."):
        java.find("/nowhere")


# --- settings ---


def settings(config: EngineConfig, tmp_path: Path, version: int = 17) -> dict[str, str]:
    return spark_settings(
        config, java.Java(Path("/java"), version), [Path("/jars/a.jar"), Path("/jars/b.jar")], "UTC", tmp_path / "spark.log"
    )


def test_the_sessions_time_zone_is_explicit(tmp_path: Path) -> None:
    assert settings(EngineConfig(), tmp_path)["spark.sql.session.timeZone"] == "UTC"


def test_a_local_spark_listens_on_loopback_only(tmp_path: Path) -> None:
    found = settings(EngineConfig(master="local[3]"), tmp_path)
    assert found["spark.master"] == "local[3]"
    assert (found["spark.driver.bindAddress"], found["spark.driver.host"]) == ("127.0.0.1", "127.0.0.1")
    assert found["spark.sql.shuffle.partitions"] == "6"
    assert found["spark.jars"] == "/jars/a.jar,/jars/b.jar"
    assert found["spark.ui.enabled"] == "false"
    assert found["spark.openmldb.opt.join.spark_expr"] == "false"
    assert "spark.executor.extraClassPath" not in found


def test_the_users_properties_win_and_options_of_the_jvm_add_up(tmp_path: Path) -> None:
    config = EngineConfig(
        master="spark://host:7077",
        driver_memory="2g",
        spark_conf={"spark.executor.memory": "8g", "spark.ui.enabled": True, "spark.driver.extraJavaOptions": "-Dmine=1"},
    )
    found = settings(config, tmp_path, version=11)
    assert found["spark.driver.memory"] == "2g"
    assert found["spark.executor.memory"] == "8g"
    assert found["spark.ui.enabled"] == "true"
    assert found["spark.driver.extraJavaOptions"] == f"-Dmine=1 -Dlog4j.configuration=file://{tmp_path}/spark.log4j.properties"
    # An executor's Java is not known: version 8 is told to ignore what it does not know.
    assert found["spark.executor.extraJavaOptions"].startswith("-XX:+IgnoreUnrecognizedVMOptions --add-opens=")
    assert "spark.driver.host" not in found
    assert found["spark.executor.extraClassPath"] == "/jars/a.jar:/jars/b.jar:a.jar:b.jar"


# --- files that Spark reads as they lie ---


def reads(tmp_path: Path, array: pa.Array, declared: SqlType, **writer: object) -> bool:
    file = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": array}), file, **writer)
    return _spark_reads(ParquetFile(file, Table("t", {"x": declared}, "t.parquet")), {"x": declared})


@pytest.mark.parametrize(
    ("array", "declared", "direct"),
    [
        (pa.array([1], pa.int32()), T.INT, True),
        (pa.array([1], pa.int64()), T.INT, False),
        (pa.array([1], pa.uint8()), T.INT, False),
        (pa.array([1], pa.int16()), T.SMALLINT, True),
        (pa.array([1.5], pa.float32()), T.DOUBLE, False),
        (pa.array(["a"]), T.STRING, True),
        (pa.array(["a"], pa.large_string()), T.STRING, True),
        (pa.array(["a"]).dictionary_encode(), T.STRING, True),
        (pa.array([None], pa.null()), T.STRING, False),
        (pa.array([0], pa.timestamp("us")), T.TIMESTAMP, True),
        (pa.array([0], pa.timestamp("ms", tz="UTC")), T.TIMESTAMP, True),
        (pa.array([datetime.date(2016, 1, 1)]), T.DATE, True),
        (pa.array([True]), T.BOOL, True),
    ],
)
def test_what_spark_reads_as_it_lies(tmp_path: Path, array: pa.Array, declared: SqlType, direct: bool) -> None:
    assert reads(tmp_path, array, declared) is direct


def test_spark_reads_nanoseconds_in_parquets_old_form_alone(tmp_path: Path) -> None:
    times = pa.array([0], pa.timestamp("ns"))
    assert reads(tmp_path, times, T.TIMESTAMP, use_deprecated_int96_timestamps=True)
    assert not reads(tmp_path, times, T.TIMESTAMP, version="2.6")


# --- progress ---


class Stage:
    stageId, numCompletedTasks, numTasks = 7, 120, 1200


def test_a_running_stage_in_words() -> None:
    assert describe([Stage()]) == "stage 7: 120/1,200 tasks"
    assert describe([]) is None


def test_a_crash_of_java_is_told_in_a_line(tmp_path: Path) -> None:
    assert crash_of(tmp_path / "spark.log") is None
    (tmp_path / "spark.crash.log").write_text(
        "#\n# A fatal error has been detected by the Java Runtime Environment:\n#\n#  SIGSEGV (0xb) at pc=0x00007f, pid=7, tid=9\n#\n"
        "# Problematic frame:\n# C  [libc.so.6+0x156219]\n#\n"
    )
    assert crash_of(tmp_path / "spark.log") == "SIGSEGV (0xb) at pc=0x00007f, pid=7, tid=9, in C  [libc.so.6+0x156219]"
