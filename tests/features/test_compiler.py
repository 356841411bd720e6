"""OpenMLDB's own compiler in its child process: what it accepts, refuses, crashes on; and when it is not there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jdrec.errors import CompilerError, MissingExtra
from jdrec.features import compiler
from jdrec.features.resolve import resolve
from jdrec.features.spec import FeatureSet
from jdrec.features.sql import query
from jdrec.features.types import SqlType
from tests.features.small import config, with_features


@pytest.fixture(scope="module")
def feature_set() -> FeatureSet:
    return resolve(config())


@pytest.mark.compiler
def test_output_columns(feature_set: FeatureSet) -> None:
    compiled = compiler.check_sql(feature_set, "select id, price, dayofweek(at_time) as weekday from visit")
    assert compiled.columns == (("id", SqlType.STRING), ("price", SqlType.DOUBLE), ("weekday", SqlType.INT))


@pytest.mark.compiler
@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select nothing from visit", "offline (batch mode): Fail to find column nothing"),
        (
            "select sum(price) as total from visit",
            "as a deployment (request mode): Aggregate over a table cannot be supported in online serving",
        ),
        ("selekt id", 'offline (batch mode): Syntax error: Expected end of input but got identifier "selekt" [at 1:1]'),
    ],
)
def test_refusals(feature_set: FeatureSet, sql: str, message: str) -> None:
    with pytest.raises(CompilerError) as caught:
        compiler.check_sql(feature_set, sql)
    assert str(caught.value) == f"OpenMLDB's compiler refuses it {message}"


@pytest.mark.compiler
def test_a_long_message_is_cut(feature_set: FeatureSet) -> None:
    with pytest.raises(CompilerError) as caught:
        compiler.check_sql(feature_set, f"select {'n' * 1000} from visit")
    assert len(str(caught.value)) < 400
    assert str(caught.value).endswith("nnn...")


@pytest.mark.compiler
@pytest.mark.parametrize(
    ("features", "where"),
    [
        ({"fine": "price", "bad": "fnord(price)"}, "features.features.bad"),
        (
            {"fine": {"over": "clicks_7d", "expr": "count(kind)"}, "bad": {"from": "product", "expr": "fnord(brand)"}},
            "features.features.bad",
        ),
    ],
)
def test_the_feature_to_blame_is_named(monkeypatch: pytest.MonkeyPatch, features: dict[str, object], where: str) -> None:
    """A function that jdrec believed in, and the compiler does not know."""
    from jdrec.features import functions
    from jdrec.features.functions import ANY, Argument, Function

    fnord = Function("fnord", "scalar", (Argument("x", ANY),), SqlType.INT, nulls="", doc="")
    monkeypatch.setitem(functions.FUNCTIONS, "fnord", fnord)
    monkeypatch.setitem(functions._BY_ANY_NAME, "fnord", fnord)
    with pytest.raises(CompilerError) as caught:
        compiler.check(resolve(with_features(**features)))
    assert caught.value.where == where
    assert caught.value.message.startswith("OpenMLDB's compiler refuses it offline (batch mode): Fail to resolve expression: fnord(")


@pytest.mark.compiler
def test_features_that_are_refused_only_together_are_named() -> None:
    """Each alone compiles; so do all but one of them."""
    branch = {"over": "visits_3", "expr": "price > 1 and count(item) / first_value(item) is null"}
    features = {"mean": {"over": "visits_3", "expr": "avg(price)"}, "middle": {"over": "visits_3", "expr": "median(price)"}, "bad": branch}
    compiler.check(resolve(with_features(mean=features["mean"], bad=branch)))
    with pytest.raises(CompilerError) as caught:
        compiler.check(resolve(with_features(amount="price", **features)))
    assert str(caught.value) == (
        "features.features.middle: OpenMLDB's compiler refuses it offline (batch mode): Fail to find var %117(merged_state). "
        "It takes it without features.features.bad."
    )


@pytest.mark.compiler
def test_a_query_for_batch_mode_alone_has_its_types_checked_by_sub_query() -> None:
    """The compiler tells the output columns of what request mode takes only."""
    changes = {
        "features.derived": {"visit": {"pair": "concat(user, item)"}},
        "features.windows": {"w": {"partition_by": "pair", "rows": 3}},
    }
    pairs = {"over": "w", "expr": "distinct_count(pair)"}
    assert compiler.check(resolve(config(**changes, **{"features.features": {"f": pairs}})), deployable=False).columns is None
    wrong = {"expr": "unhex(`user`)", "openmldb_only": True, "type": "bigint"}
    with pytest.raises(CompilerError) as caught:
        compiler.check(resolve(config(**changes, **{"features.features": {"f": pairs, "g": wrong}})), deployable=False)
    assert str(caught.value) == "features.features.g: it is bigint here, but OpenMLDB's compiler makes g a string."


@pytest.mark.compiler
def test_several_windows_over_joined_columns_compile() -> None:
    """Frames that OpenMLDB does not evaluate as one: in one sub-query it finds the joined columns of the first only."""
    windows = {
        "rows": {"partition_by": "user", "rows": 3},
        "before": {"partition_by": "user", "range": "7d", "end": "0s open"},
        "by_item": {"partition_by": "item", "range": "7d"},
    }
    features = {f"{name}_brands": {"over": name, "expr": "distinct_count(product.brand)"} for name in windows}
    compiled = compiler.check(resolve(config(**{"features.windows": windows, "features.features": features})))
    assert compiled.columns is not None and len(compiled.columns) == 7


@pytest.mark.compiler
def test_a_type_that_differs_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from jdrec.features import functions

    monkeypatch.setitem(functions._BY_ANY_NAME, "hour", replace(functions.FUNCTIONS["hour"], result=SqlType.BIGINT))
    with pytest.raises(CompilerError) as caught:
        compiler.check(resolve(with_features(when="hour(at_time)")))
    assert str(caught.value) == "features.features.when: it is bigint here, but OpenMLDB's compiler makes when a int."


@pytest.mark.compiler
def test_names_and_windows_of_all_sorts_compile() -> None:
    """Reserved words, several unions, every exclusion, casts of the order column, zero values of every type."""
    types = {
        "a": "bool",
        "b": "smallint",
        "c": "int",
        "d": "bigint",
        "e": "float",
        "f": "double",
        "g": "string",
        "h": "date",
        "i": "timestamp",
    }
    events = {"path": "e", "time": "order", "columns": {**types, "user": "string", "order": "timestamp", "id": "string"}}
    feature_set = resolve(
        config(
            **{
                "dataset.tables.left": events,
                "dataset.tables.right": events,
                "features.windows": {
                    "window": {"union": ["left", "right"], "partition_by": "user", "range": "7d open", "end": "0s open", "max_size": 9},
                    "group": {"union": "left", "partition_by": {"g": "user"}, "rows": "9 open", "exclude": ["current_time", "current_row"]},
                    "clicks": {"union": "click", "partition_by": ["user", "item"], "range": "1d", "exclude": ["instances", "current_time"]},
                },
                "features.features": {
                    "select": {"over": "window", "expr": "if_null(max(i), timestamp(0)) + 1"},
                    "union": {"over": "group", "expr": "case when lag(h, 1) is not null then count(a) / count(*) else 0 end"},
                    "from": {
                        "over": "clicks",
                        "expr": "count_where(kind, kind in ('a', 'b\\'c') and not kind like '%x' or cost between 1 and 2)",
                    },
                },
            }
        )
    )
    assert feature_set.blocks[1].key == "request_id"
    columns = compiler.check(feature_set).columns
    assert columns is not None and len(columns) == 7


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Puts other code in the openmldb wheel's place."""

    def replace_by(code: str) -> None:
        native = tmp_path / "openmldb" / "native"
        native.mkdir(parents=True)
        (tmp_path / "openmldb" / "__init__.py").touch()
        (native / "__init__.py").touch()
        (native / "sql_router_sdk.py").write_text(code, encoding="utf-8")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return replace_by


def test_a_missing_wheel_is_a_missing_extra(feature_set: FeatureSet, stand_in: Callable[[str], None]) -> None:
    stand_in("raise ImportError('no such wheel here')")
    with pytest.raises(MissingExtra) as caught:
        compiler.check_sql(feature_set, "select id from visit")
    assert str(caught.value) == "OpenMLDB's compiler (no such wheel here) is not installed. Install it with: pip install 'jdrec[openmldb]'"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import time\ntime.sleep(600)", "OpenMLDB's compiler gave no answer within 2 s."),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "OpenMLDB's compiler crashed on this query (signal 11)."),
        ("raise SystemExit(3)", "OpenMLDB's compiler crashed on this query (exit code 3)."),
    ],
)
def test_a_compiler_that_hangs_or_dies(feature_set: FeatureSet, stand_in: Callable[[str], None], code: str, message: str) -> None:
    stand_in(code)
    with pytest.raises(CompilerError) as caught:
        compiler.check_sql(feature_set, "select id from visit", timeout_s=2)
    assert str(caught.value) == message


def test_reading_the_language_imports_nothing_heavy() -> None:
    """resolve and checks are on the way of every command, so they must not cost start-up time."""
    code = "import sys, jdrec.features.resolve, jdrec.features.checks; print(sorted({'jinja2', 'pyarrow', 'numba', 'numpy', 'pandas', 'openmldb'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.compiler
def test_the_small_query_compiles(feature_set: FeatureSet) -> None:
    assert compiler.check_sql(feature_set, query(feature_set, "0.9")).columns == (("id_1", SqlType.STRING), ("amount", SqlType.DOUBLE))
