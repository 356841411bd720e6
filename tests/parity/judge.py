"""Runs a case on both engines and compares; one Spark session serves many cases."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jdrec.compare import CompareReport, compare_tables
from jdrec.config import EngineConfig, load
from jdrec.dataset.tables import TableSet, open_tables
from jdrec.engines import extract
from jdrec.engines.embedded.plan import make_plan
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

SETTINGS = EngineConfig(
    name="spark",
    master="local[2]",
    driver_memory="3g",
    spark_conf={"spark.sql.shuffle.partitions": 2, "spark.openmldb.groupby.partitions": 2, "spark.sql.adaptive.enabled": False},
)


def open_judge(folder: Path) -> Any:
    """A context manager with a Spark session small enough for tests."""
    return open_session(SETTINGS, timezone="Asia/Shanghai", log_file=folder / "spark.log")


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        case: with the features that both engines take.
        refused: feature to the message of the engine that does not take it; the comparison is without it.
        report: the differences; None if an engine did not run.
        failure: which engine did not run, and why.
    """

    case: Case
    refused: dict[str, str]
    report: CompareReport | None
    failure: str | None = None

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


def judge(session: Session, case: Case) -> Outcome:
    """Both engines over one case, without the features that one of them refuses."""
    with tempfile.TemporaryDirectory(prefix="jdrec.parity.") as folder:
        root = Path(folder)
        case.write(root)
        who, refused = "definition", {}
        try:
            case, refused = accepted(session, case, root)
            feature_set = resolve(case.config(root))
            tables = open_tables(feature_set, root, feature_set.timezone)
            who = "embedded"
            extract(feature_set, tables, root / "embedded.parquet", threads=1, progress=Progress.silent())
            who = "spark"
            judged = spark_values(session, feature_set, tables, root)
        except JdrecError as error:
            return Outcome(case, refused, None, f"{who}: {error}")
        return Outcome(case, refused, compare_tables(feature_set, pq.read_table(root / "embedded.parquet"), judged, "embedded", "spark"))


def accepted(session: Session, case: Case, root: Path) -> tuple[Case, dict[str, str]]:
    """The case without the features that an engine refuses before it reads data, and their messages."""
    feature_set = resolve(case.config(root))
    refused: dict[str, str] = {}
    for feature in feature_set.features:
        if not feature.is_block_key:
            try:
                make_plan(alone(feature_set, feature))
            except CheckError as error:
                refused[feature.name] = f"embedded: {error.message}"
    names = [name for name in case.features["features"] if name not in refused]
    reasons = dict(_refusals(session, case, names, root))
    names = [name for name in names if name not in reasons]
    while names and (message := _refusal(session, case, names, root)) is not None:  # each is fine alone
        good, bad = 0, len(names)  # the longest beginning that compiles lies in [good, bad)
        while bad - good > 1:
            middle = (good + bad) // 2
            good, bad = (middle, bad) if _refusal(session, case, names[:middle], root) is None else (good, middle)
        reasons[names[bad - 1]] = f"beside others: {message}"
        del names[bad - 1]
    return case.only(names), refused | {name: f"spark: {message}" for name, message in reasons.items()}


def _refusals(session: Session, case: Case, names: list[str], root: Path) -> Iterator[tuple[str, str]]:
    """Features that OpenMLDB does not compile even alone, and why, found by halving."""
    message = _refusal(session, case, names, root) if names else None
    if message is None:
        return
    if len(names) == 1:
        yield names[0], message
        return
    middle = len(names) // 2
    yield from _refusals(session, case, names[:middle], root)
    yield from _refusals(session, case, names[middle:], root)


def _refusal(session: Session, case: Case, names: list[str], root: Path) -> str | None:
    """OpenMLDB's reason not to compile these features together; None if it does."""
    feature_set = resolve(case.only(names).config(root))
    tables = open_tables(feature_set, root, feature_set.timezone)
    try:
        session.query(feature_query(feature_set), {name: read_table(session.spark, tables[name], root) for name in tables})
    except CompilerError as error:
        return error.message
    return None


def alone(feature_set: FeatureSet, feature: Feature) -> FeatureSet:
    """The feature set with one feature, in its block."""
    block = next(block for block in feature_set.blocks if feature in block.features)
    return replace(feature_set, blocks=(replace(block, features=(block.features[0], feature)),))


def spark_values(session: Session, feature_set: FeatureSet, tables: TableSet, root: Path) -> pa.Table:
    """What the judge says, rows in the request table's order."""
    from py4j.protocol import Py4JJavaError

    frames = {name: read_table(session.spark, tables[name], root) for name in tables}
    result = features_of(feature_set, session.query(feature_query(feature_set), frames))
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
