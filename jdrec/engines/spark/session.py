"""A Spark session with OpenMLDB's batch engine in it, from start to the end of its JVM."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdrec.engines.spark import jars, java, pyspark_folder
from jdrec.errors import CompilerError, EngineError

if TYPE_CHECKING:
    from jdrec.config import EngineConfig

log = logging.getLogger(__name__)

_STOP_TIMEOUT_S = 30
_LOG_TAIL_LINES = 3


class Session:
    """A running Spark with OpenMLDB's engine.

    Attributes:
        spark: the `pyspark.sql.SparkSession`.
        process: its JVM.
    """

    def __init__(self, spark: Any, process: subprocess.Popen[bytes]):
        self.spark, self.process = spark, process

    def query(self, sql: str, tables: Mapping[str, Any]) -> Any:
        """The result of an OpenMLDB query, as a Spark DataFrame; mostly lazy.

        Args:
            tables: name to Spark DataFrame.

        Raises:
            CompilerError: OpenMLDB refuses the query.
            EngineError: Spark fails.
        """
        from py4j.protocol import Py4JJavaError
        from pyspark.sql import DataFrame

        engine = self.spark._jvm.com._4paradigm.openmldb.batch.api.OpenmldbSession(self.spark._jsparkSession)
        for name, frame in tables.items():
            engine.registerTable(name, frame._jdf)
        try:
            result = engine.sql(sql).getSparkDf()
        except Py4JJavaError as error:
            reason = _reason(error)
            kind = CompilerError if _is_refusal(error) else EngineError
            raise kind(f"OpenMLDB's batch engine does not run the query: {reason}") from None
        return DataFrame(result, self.spark._wrapped)


@contextmanager
def open_session(config: EngineConfig, *, timezone: str, log_file: Path) -> Iterator[Session]:
    """Starts Spark and ends it, together with its JVM.

    The JVM also ends by itself when this process does, however that happens: it reads its standard input, a pipe from here.

    Args:
        timezone: the session's zone.
        log_file: where the JVM writes its log; the last lines are quoted if it fails.

    Raises:
        MissingExtra: PySpark is not installed.
        EngineError: Java or the engine's jars are missing, or Spark does not start.
    """
    pyspark_folder()
    runtime = java.find(config.java_home)
    settings = spark_settings(config, runtime, jars.find(jar_folder(config)), timezone, log_file)
    # The engine's native library, 700 MB, is unpacked for each JVM, which removes it only if it ends well.
    with tempfile.TemporaryDirectory(prefix="jdrec.jvm.", ignore_cleanup_errors=True) as unpacked:
        options = f"-Djava.io.tmpdir={unpacked}", f"-XX:ErrorFile={_crash_file(log_file)}"
        settings["spark.driver.extraJavaOptions"] += "".join(f' "{option}"' for option in options)  # a folder's name may have a space
        gateway, process = _launch(settings, runtime, log_file)
        spark = None
        try:
            spark = _start(settings, gateway, log_file)
            yield Session(spark, process)
        finally:
            _stop(spark, gateway, process)


def jar_folder(config: EngineConfig) -> Path:
    """Where the engine's jars are expected."""
    return Path(config.jars).expanduser().absolute() if config.jars else jars.default_folder()


def spark_settings(config: EngineConfig, runtime: java.Java, files: list[Path], timezone: str, log_file: Path) -> dict[str, str]:
    """Spark's properties: what the engine needs, then the user's own. Options of the JVM are added to the user's."""
    local = config.master.startswith("local")
    threads = _local_threads(config.master)
    settings = {
        "spark.master": config.master,
        "spark.app.name": "jdrec",
        "spark.driver.memory": config.driver_memory,
        "spark.jars": ",".join(map(str, files)),
        "spark.driver.extraClassPath": os.pathsep.join(map(str, files)),
        "spark.sql.session.timeZone": timezone,
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.local.dir": str(log_file.parent),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # Conditions of joins are computed by OpenMLDB: as Spark's own expressions they have Spark's semantics, or are refused.
        "spark.openmldb.opt.join.spark_expr": "false",
        # Dates and times as they are, also those before 1900.
        **{f"spark.sql.parquet.{kind}Rebase{way}": "CORRECTED" for kind in ("datetime", "int96") for way in ("ModeInRead", "ModeInWrite")},
    }
    if local:
        settings |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.shuffle.partitions": str(2 * threads),
            "spark.openmldb.groupby.partitions": str(2 * threads),
        }
    else:
        # Before what Spark ships by itself, whose order is not kept: of some classes two jars have a version. Where the executors do not see
        # the folder, the shipped copies in their working directory are meant (YARN puts them there before it starts one).
        settings["spark.executor.extraClassPath"] = os.pathsep.join([*map(str, files), *(file.name for file in files)])
    settings |= {key: _text(value) for key, value in config.spark_conf.items()}
    for role, options in (("driver", runtime.options), ("executor", "" if local else java.TOLERANT_OPENS)):
        key = f"spark.{role}.extraJavaOptions"
        extra = [settings.get(key, ""), options]
        if role == "driver":
            extra.append(f"-Dlog4j.configuration={_log4j(log_file)}")
        if any(extra):
            settings[key] = " ".join(filter(None, extra))
    return settings


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _local_threads(master: str) -> int:
    match = re.fullmatch(r"local\[(\d+)(?:,.*)?\]", master)
    return int(match[1]) if match else (1 if master == "local" else os.cpu_count() or 1)


def _log4j(log_file: Path) -> str:
    """A logging configuration beside the log: warnings and errors, into that file."""
    file = log_file.with_suffix(".log4j.properties")
    file.write_text(
        "log4j.rootCategory=WARN, file\n"
        "log4j.appender.file=org.apache.log4j.FileAppender\n"
        f"log4j.appender.file.File={log_file.as_posix()}\n"
        "log4j.appender.file.layout=org.apache.log4j.PatternLayout\n"
        "log4j.appender.file.layout.ConversionPattern=%d{HH:mm:ss} %p %c{1}: %m%n\n"
    )
    return file.as_uri()


# --- the JVM ---


def _launch(settings: Mapping[str, str], runtime: java.Java, log_file: Path) -> tuple[Any, subprocess.Popen[bytes]]:
    """Starts the JVM with nothing on the terminal; its own output joins the log."""
    from pyspark import SparkConf
    from pyspark.java_gateway import launch_gateway

    context = _context_class()
    if context._active_spark_context is not None:
        raise EngineError("this process has a Spark session already.", hint="Stop it first: the engine starts one of its own.")
    conf = SparkConf(loadDefaults=False)
    for key, value in settings.items():
        conf.set(key, value)
    with log_file.open("ab") as output, _environment(JAVA_HOME=str(runtime.home), SPARK_LOCAL_IP=_local_ip(settings)):
        try:
            gateway = launch_gateway(conf=conf, popen_kwargs={"stdout": output, "stderr": output})
        except (RuntimeError, OSError) as error:
            raise EngineError(f"Spark does not start: {_last_words(log_file) or error}", where="engine") from None
    return gateway, gateway.proc


def _context_class() -> Any:
    """PySpark's class that knows the running JVM; the attributes used here are its own, absent from its type stubs."""
    from pyspark import SparkContext

    return SparkContext


def _local_ip(settings: Mapping[str, str]) -> str | None:
    return "127.0.0.1" if settings["spark.master"].startswith("local") else None


@contextmanager
def _environment(**values: str | None) -> Iterator[None]:
    """Sets environment variables that are not None, for a child process."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update({name: value for name, value in values.items() if value is not None})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _start(settings: Mapping[str, str], gateway: Any, log_file: Path) -> Any:
    from py4j.protocol import Py4JError
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

    try:
        conf = SparkConf(_jvm=gateway.jvm)
        for key, value in settings.items():
            conf.set(key, value)
        return SparkSession(SparkContext(conf=conf, gateway=gateway))
    except Py4JError as error:
        raise EngineError(f"Spark does not start: {_reason(error)}", where="engine") from None


def _stop(spark: Any, gateway: Any, process: subprocess.Popen[bytes]) -> None:
    """Stops Spark, closes the JVM's input and waits for its end, so that the next session gets its own settings."""
    context = _context_class()
    with suppress(Exception):
        if spark is not None:
            spark.stop()
    with suppress(Exception):
        gateway.shutdown()
    context._active_spark_context = context._gateway = context._jvm = None
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# --- failures ---


def _is_refusal(error: Any) -> bool:
    """Whether the query failed in OpenMLDB's parser, planner or compiler."""
    text = str(error)
    return "UnsupportedHybridSe" in text or "HybridSeException" in text or "SQLException" in text or "Fail to" in text


def _reason(error: BaseException) -> str:
    """The first lines of a Java failure without its stack."""
    java_exception = getattr(error, "java_exception", None)
    text = str(error)
    if java_exception is not None:
        with suppress(Exception):
            text = java_exception.toString()
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("at ")]
    return " ".join(lines)[:2000]


def _crash_file(log_file: Path) -> Path:
    """Where the JVM writes what it was doing when it crashed; by itself it would take the user's working folder."""
    return log_file.with_suffix(".crash.log")


def crash_of(log_file: Path) -> str | None:
    """How the JVM crashed, such as "SIGSEGV (0xb) at pc=0x00007f, pid=7, tid=9, in C  [libc.so.6+0x156219]"; None where it did not."""
    try:
        lines = [line.lstrip("# ").strip() for line in _crash_file(log_file).read_text(errors="replace").splitlines()]
    except OSError:
        return None
    log.debug("what Java wrote of its crash:\n%s", "\n".join(lines)[:100_000])
    reason = next((line for line in lines if line.startswith(("SIG", "Internal Error", "Out of Memory"))), "")
    frame = next((lines[place + 1] for place, line in enumerate(lines[:-1]) if line == "Problematic frame:"), "")
    return ", in ".join(filter(None, (reason, frame))) or "it does not say why"


def _last_words(log_file: Path) -> str:
    """Why the JVM ended, from its log: the first line that names an exception, else the last lines."""
    try:
        lines = [line.strip() for line in log_file.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return ""
    log.debug("Spark's log:\n%s", "\n".join(lines))
    named = next((line for line in lines if re.search(r"(Exception|Error)\b.*: ", line) and not line.startswith("at ")), None)
    return named[:1000] if named else " ".join(lines[-_LOG_TAIL_LINES:])[:1000]
