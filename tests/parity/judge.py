"""Runs a case on both engines and compares; one Spark session serves many cases."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jdrec.compare import CompareReport, compare_files
from jdrec.config import EngineConfig, load
from jdrec.dataset.tables import TableSet, open_tables
from jdrec.engines import extract
from jdrec.engines.embedded.planner import make_plan
from jdrec.engines.spark.extract import check_types
from jdrec.engines.spark.query import feature_query, features_of
from jdrec.engines.spark.session import Session, open_session
from jdrec.engines.spark.staging import read_table
from jdrec.errors import CheckError, CompilerError, ConfigError, JdrecError
from jdrec.features.functions import FUNCTIONS
from jdrec.features.functions.examples import examples
from jdrec.features.resolve import resolve
from jdrec.features.spec import Feature, FeatureSet
from jdrec.features.types import SqlType
from jdrec.progress import Progress
from tests.parity.generate import Case

# Tables are tiny: what costs is planning and compiling, so one task a stage, no generated code (which Spark heeds only while it is tested),
# and no optimizing compiler for the JVM.
SETTINGS = EngineConfig(
    name="spark",
    master="local[2]",
    driver_memory="3g",
    spark_conf={
        "spark.sql.shuffle.partitions": 1,
        "spark.openmldb.groupby.partitions": 1,
        "spark.sql.adaptive.enabled": False,
        "spark.sql.codegen.wholeStage": False,
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dspark.testing=true",
    },
)
_END_TIMEOUT_S = 20  # from the broken connection to the end of a JVM that writes its report
DATABASE = "default_db"  # what OpenMLDB calls the database of tables that are registered without one


class Judge:
    """OpenMLDB's engine in a Spark session small enough for tests.

    Its native code ends the JVM now and then: it is started anew, and the set run again, once.

    Attributes:
        session: the session that runs now.
        restarts: how often the JVM had ended.
    """

    def __init__(self, folder: Path):
        self._folder, self._stack, self.restarts = folder, ExitStack(), 0
        self.session: Session = self._open()

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __call__(self, case: Case) -> Outcome:
        """Both engines over one case, without the features that one of them refuses."""
        return (
            self._tried(case)
            or self._tried(case)
            or Outcome(case, {}, None, "spark: OpenMLDB's native code ended the JVM twice.", ended=True)
        )

    def _tried(self, case: Case) -> Outcome | None:
        """None, and a new session, if the JVM ended."""
        from py4j.protocol import Py4JError

        try:
            return _judged(self.session, case)
        except (Py4JError, OSError):
            try:
                self.session.process.wait(_END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                pass
            else:
                self._stack.close()
                self.session, self.restarts = self._open(), self.restarts + 1
                return None
            raise

    def _open(self) -> Session:
        return self._stack.enter_context(open_session(SETTINGS, timezone="Asia/Shanghai", log_file=self._folder / "spark.log"))


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        case: with the features that both engines take.
        refused: feature to the message of the engine that does not take it; the comparison is without it.
        report: the differences; None if an engine did not run.
        failure: which engine did not run, and why.
        ended: OpenMLDB's native code ended the JVM, each time.
    """

    case: Case
    refused: dict[str, str]
    report: CompareReport | None
    failure: str | None = None
    ended: bool = False

    @property
    def agrees(self) -> bool:
        return self.failure is None and self.report is not None and self.report.cells == 0

    @property
    def lines(self) -> list[str]:
        return [self.failure] if self.failure else self.report.lines() if self.report else []


@cache
def computable() -> tuple[str, ...]:
    """Functions that the embedded engine has at least in one form."""
    columns = {f"c_{type_.value}": type_.value for type_ in SqlType} | {"id": "string", "time": "timestamp"}
    table = {"path": "t.parquet", "time": "time", "columns": columns}
    found = []
    for name, function in FUNCTIONS.items():
        for call in examples(function):
            text = f"size({call})" if function.gives_strings else call
            section = {
                "request": {"table": "t", "key": "id", "time": "time"},
                "windows": {"w": {"partition_by": "c_string", "rows": 3}},
                "features": {"x": {"expr": text, "kind": "drop", **({"over": "w"} if function.is_aggregate else {})}},
            }
            try:
                make_plan(resolve(load({"dataset": {"root": ".", "database": "d", "tables": {"t": table}}, "features": section})))
            except ConfigError:
                continue
            found.append(name)
            break
    return tuple(found)


def _judged(session: Session, case: Case) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="jdrec.parity.") as folder:
        root = Path(folder)
        case.write(root)
        who = "definition"
        refused: dict[str, str] = {}
        try:
            case, refused = computed(case, root)
            who = "spark"
            tables = _tables(case, root)
            frames = {name: read_table(session.spark, tables[name], root) for name in tables}
            case, result, more = planned(session, case, frames, root)
            refused |= more
            feature_set = resolve(case.config(root))
            judged = written(feature_set, tables, result, root)
            who = "embedded"
            extract(feature_set, tables, root / "embedded.parquet", threads=1, progress=Progress.silent())
        except JdrecError as error:
            return Outcome(case, refused, None, f"{who}: {error}")
        pq.write_table(judged, root / "spark.parquet")
        return Outcome(case, refused, compare_files(feature_set, root / "embedded.parquet", root / "spark.parquet", "embedded", "spark"))


def computed(case: Case, root: Path) -> tuple[Case, dict[str, str]]:
    """The case without the features that the embedded engine refuses, and its messages."""
    feature_set = resolve(case.config(root))
    refused: dict[str, str] = {}
    for feature in feature_set.features:
        if not feature.is_block_key:
            try:
                make_plan(alone(feature_set, feature))
            except CheckError as error:
                refused[feature.name] = f"embedded: {error.message}"
    return case.only([name for name in case.features["features"] if name not in refused]), refused


def planned(session: Session, case: Case, frames: Mapping[str, Any], root: Path) -> tuple[Case, Any, dict[str, str]]:
    """OpenMLDB's plan, a Spark DataFrame, of the features that it takes; the messages for the others."""

    def refusal(names: list[str], run: Callable[[FeatureSet], Any]) -> str | None:
        try:
            run(resolve(case.only(names).config(root)))
        except CompilerError as error:
            return error.message
        return None

    def plan(feature_set: FeatureSet) -> None:
        plans.append(features_of(feature_set, session.query(feature_query(feature_set), frames)))

    plans: list[Any] = []
    names = list(case.features["features"])
    refused: dict[str, str] = {}
    while refusal(names, plan) is not None:
        compile_only = partial(_compile, session, frames)
        try_it = partial(refusal, run=compile_only if refusal(names, compile_only) is not None else plan)
        refused |= _refusals(names, try_it)
        names = [name for name in names if name not in refused]
        while names and (message := try_it(names)) is not None:  # each is fine alone
            good, bad = 0, len(names)  # the longest beginning that compiles lies in [good, bad)
            while bad - good > 1:
                middle = (good + bad) // 2
                good, bad = (middle, bad) if try_it(names[:middle]) is None else (good, middle)
            refused[names[bad - 1]] = f"spark: beside others: {message}"
            del names[bad - 1]
    return case.only(names), plans[-1], refused


def _refusals(names: list[str], refusal: Callable[[list[str]], str | None]) -> dict[str, str]:
    """Features that OpenMLDB does not take even alone, and why, found by halving."""
    message = refusal(names) if names else None
    if message is None:
        return {}
    if len(names) == 1:
        return {names[0]: f"spark: {message}"}
    middle = len(names) // 2
    return _refusals(names[:middle], refusal) | _refusals(names[middle:], refusal)


def _compile(session: Session, frames: Mapping[str, Any], feature_set: FeatureSet) -> None:
    """Compiles the query without planning it on Spark, which is several times quicker.

    Raises:
        CompilerError: OpenMLDB refuses the query.
    """
    from py4j.protocol import Py4JJavaError

    jvm = session.spark._jvm
    tables = jvm.PythonUtils.toScalaMap({name: frame._jdf for name, frame in frames.items()})
    databases = jvm.java.util.ArrayList()
    databases.add(jvm.com._4paradigm.openmldb.batch.utils.HybridseUtil.getDatabase(DATABASE, tables))
    engine = jvm.com._4paradigm.hybridse.sdk.SqlEngine
    try:
        engine(feature_query(feature_set), databases, engine.createDefaultEngineOptions(), DATABASE).close()
    except Py4JJavaError as error:
        raise CompilerError(error.java_exception.toString()) from None


def _tables(case: Case, root: Path) -> TableSet:
    feature_set = resolve(case.config(root))
    return open_tables(feature_set, root, feature_set.timezone)


def alone(feature_set: FeatureSet, feature: Feature) -> FeatureSet:
    """The feature set with one feature, in its block."""
    block = next(block for block in feature_set.blocks if feature in block.features)
    return replace(feature_set, blocks=(replace(block, features=(block.features[0], feature)),))


def spark_values(session: Session, feature_set: FeatureSet, tables: TableSet, root: Path) -> pa.Table:
    """What the judge says, rows in the request table's order."""
    frames = {name: read_table(session.spark, tables[name], root) for name in tables}
    return written(feature_set, tables, features_of(feature_set, session.query(feature_query(feature_set), frames)), root)


def written(feature_set: FeatureSet, tables: TableSet, result: Any, root: Path) -> pa.Table:
    """The rows of a Spark DataFrame, in the request table's order."""
    from py4j.protocol import Py4JJavaError

    check_types(feature_set, result)
    try:
        result.write.parquet((root / "judged").as_uri())
    except Py4JJavaError as error:
        raise JdrecError(f"Spark failed: {error.java_exception.toString()[:300]} {str(error)[-2000:]}") from None
    schema = pa.schema([(feature.name, feature.type.arrow) for feature in feature_set.features])
    judged = pq.read_table(root / "judged", schema=None).cast(schema)
    key = feature_set.features[0].name
    wanted = pa.concat_arrays([part[feature_set.request_key] for part in tables[feature_set.request_table].read([feature_set.request_key])])
    assert judged.num_rows == len(wanted), f"{judged.num_rows} rows of {len(wanted)} requests"
    place = {value: row for row, value in enumerate(judged[key].to_pylist())}
    return judged.take(pa.array([place[value] for value in wanted.to_pylist()], pa.int64()))
