"""Features of all requests by OpenMLDB's batch engine on Spark."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from jdrec.engines.report import ExtractReport
from jdrec.engines.spark.progress import show_stages
from jdrec.engines.spark.query import feature_query, features_of
from jdrec.engines.spark.session import Session, crash_of, open_session
from jdrec.engines.spark.staging import read_files, read_table, stage_positions
from jdrec.errors import DataError, EngineError
from jdrec.features.types import SqlType
from jdrec.files import replacing, replacing_folder

if TYPE_CHECKING:
    from jdrec.config import Config
    from jdrec.dataset.tables import TableSet
    from jdrec.features.spec import FeatureSet
    from jdrec.progress import Progress

log = logging.getLogger(__name__)

POSITION = "jdrec_row_position"
_EXAMPLES = 3
_ROW_GROUP_ROWS = 1 << 20


def extract(feature_set: FeatureSet, tables: TableSet, out: Path, *, config: Config, progress: Progress) -> ExtractReport:
    """Runs the feature query on Spark and writes one Parquet file, with the same columns, types and order of rows as other engines.

    Args:
        tables: the source files; with a cluster, its executors must see them under the same paths.
        out: the file. With engine.keep_parts, Spark's own partitioned directory is left beside it, as features.parts.

    Raises:
        MissingExtra: PySpark is not installed.
        EngineError: Java, the engine's jars or a setting is missing or wrong, or Spark fails.
        CompilerError: OpenMLDB refuses the query.
        DataError: the tables do not fit, or request keys are NULL or not unique.
    """
    start = time.perf_counter()
    with _work_folder(config.engine.work_dir) as work, ExitStack() as stack:
        log_file = work / "spark.log"
        with progress.task("start Spark"):
            session = stack.enter_context(open_session(config.engine, timezone=feature_set.timezone, log_file=log_file))
        with _failures(log_file):
            rows = run(session, feature_set, tables, out, work, progress)
        peak = _peak_memory(session)
        if config.engine.keep_parts:
            with replacing_folder(out.with_suffix(".parts")) as parts:
                for part in (work / "features").iterdir():
                    shutil.move(part, parts)  # the work folder may be on another file system
    return ExtractReport(rows, len(feature_set.features), time.perf_counter() - start, peak)


def run(session: Session, feature_set: FeatureSet, tables: TableSet, out: Path, work: Path, progress: Progress) -> int:
    """The same inside a session; returns the number of rows.

    Spark writes the features as they come; then they are put into the request table's order, by the request key, and into one file.
    """
    frames = {name: read_table(session.spark, tables[name], work) for name in tables}
    result = features_of(feature_set, session.query(feature_query(feature_set), frames))
    check_types(feature_set, result)
    with show_stages(session.spark, progress, "features on Spark"):
        result.write.parquet((work / "features").as_uri())
    key = feature_set.features[0].name
    rows = stage_positions(tables[feature_set.request_table], feature_set.request_key, POSITION, work / "positions.parquet")
    key_type = feature_set.request.columns[feature_set.request_key]
    positions = read_files(
        session.spark, [work / "positions.parquet"], {feature_set.request_key: key_type, POSITION: SqlType.BIGINT}
    ).withColumnRenamed(feature_set.request_key, key)
    with show_stages(session.spark, progress, "sort by request"):
        features = session.spark.read.schema(result.schema).parquet((work / "features").as_uri())
        features.join(positions, key).orderBy(POSITION).write.parquet((work / "ordered").as_uri())
    with replacing(out) as staged:
        if not _merge(feature_set, work / "ordered", staged, rows):
            raise _bad_keys(feature_set, positions, key)
    return rows


def check_types(feature_set: FeatureSet, result: Any) -> None:
    """Compares OpenMLDB's types of the output with the feature set's.

    Raises:
        EngineError: they differ, which is a mistake in the feature language's type rules.
    """
    expected = {SqlType.TIMESTAMP: "timestamp", SqlType.BOOL: "boolean"}
    found = dict(result.dtypes)
    for feature in feature_set.features:
        want = expected.get(feature.type, feature.type.value)
        if found.get(feature.name) != want:
            raise EngineError(f"OpenMLDB gives {found.get(feature.name)}, not {want}.", where=feature.path)


# --- the ordered file ---


def _merge(feature_set: FeatureSet, folder: Path, out: Path, rows: int) -> bool:
    """Joins the ordered parts to one file; False if the rows are not exactly the requests, each once."""
    schema = pa.schema([(feature.name, feature.type.arrow) for feature in feature_set.features])
    expected = 0
    with pq.ParquetWriter(out, schema) as writer:
        for part in sorted(folder.glob("part-*.parquet")):
            with pq.ParquetFile(part) as file:
                for batch in file.iter_batches(_ROW_GROUP_ROWS):
                    found = batch.column(POSITION).to_numpy()
                    if len(found) and (found[0] != expected or (found[1:] != found[:-1] + 1).any()):
                        return False
                    expected += len(found)
                    arrays = [batch.column(f.name).cast(f.type.arrow) for f in feature_set.features]
                    writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return expected == rows


def _bad_keys(feature_set: FeatureSet, positions: Any, key: str) -> DataError:
    """Says which request keys are NULL or come more than once."""
    from pyspark.sql import functions

    column = functions.col(f"`{key}`")
    nulls = positions.where(column.isNull()).count()
    repeated = positions.where(column.isNotNull()).groupBy(column).count().where("count > 1")
    count = repeated.count()
    examples = ", ".join(str(row[0]) for row in repeated.orderBy(functions.desc("count"), column).limit(_EXAMPLES).collect())
    found = [f"{nulls:,} are NULL"] if nulls else []
    found += [f"{count:,} come more than once, e.g. {examples}"] if count else []
    table, name = feature_set.request_table, feature_set.request_key
    return DataError(
        f"request keys {table}.{name} have to be unique, for the query's parts are joined by them: {' and '.join(found)}.",
        where="features.request.key",
    )


# --- around the work ---


@contextmanager
def _work_folder(parent: str | None) -> Iterator[Path]:
    """A folder for what is not kept, removed at the end."""
    if parent is not None:
        Path(parent).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="jdrec.spark.", dir=parent) as work:
        yield Path(work).absolute()


@contextmanager
def _failures(log_file: Path) -> Iterator[None]:
    """Spark's failures as one message; the JVM's log goes to jdrec's."""
    from py4j.protocol import Py4JError, Py4JJavaError
    from pyspark.sql.utils import CapturedException

    try:
        yield
    except (Py4JError, CapturedException) as error:
        if log_file.is_file():
            log.debug("Spark's log:\n%s", log_file.read_text(errors="replace")[-100_000:])
        if (crash := crash_of(log_file)) is not None:
            raise EngineError(
                f"Spark's Java ended with a crash: {crash}.", where="engine", hint="The log has all that Java wrote of it."
            ) from None
        text = error.java_exception.toString() if isinstance(error, Py4JJavaError) else str(error)
        raise EngineError(f"Spark failed: {_causes(text, error)}", where="engine") from None


def _causes(text: str, error: BaseException) -> str:
    """The first line of the failure and of its last cause."""
    lines = [line.strip() for line in f"{text}\n{error}".splitlines()]
    first = next((line for line in lines if line), type(error).__name__)
    causes = [line for line in lines if line.startswith("Caused by:")]
    return f"{first} {causes[-1]}"[:1500] if causes else first[:1500]


def _peak_memory(session: Session) -> int:
    """Most resident memory of the driver's JVM so far, bytes; 0 where the system does not tell."""
    status = Path(f"/proc/{session.process.pid}/status")
    match = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE) if status.is_file() else None
    return int(match[1]) * 1024 if match else 0
