"""What the engine plans, and what it refuses before it reads any data."""

from __future__ import annotations

import pytest

from jdrec.engines.embedded.planner import make_plan
from jdrec.errors import CheckError, JdrecError
from jdrec.features.spec import FeatureSet
from tests.engines.conftest import feature_set_of

T1 = {"id": "string", "k": "string", "ts": "timestamp", "s": "string", "v": "int", "d": "double"}
TABLES = {"t1": T1, "t2": {"k": "string", "ts": "timestamp", "s": "string", "v": "int", "unused": "int"}}


def plan_of(features: str, windows: str = "w: {partition_by: k, rows: 3}"):  # type: ignore[no-untyped-def]
    return make_plan(feature_set_of(TABLES, f"windows: {{{windows}}}\nfeatures:\n{features}"))


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (
            '{expr: "unhex(`s`)", openmldb_only: true, type: string}',
            "features.features.x: the embedded engine does not compute SQL that is openmldb_only. OpenMLDB itself (engine=openmldb or engine=spark) has it.",
        ),
        (
            "{over: w, expr: 1 + distinct_count(int(s))}",
            "features.features.x: the embedded engine does not compute 'distinct_count(int(s))', for what OpenMLDB counts where its argument is NULL "
            "is not defined: put if_null around that. OpenMLDB itself (engine=openmldb or engine=spark) has it.",
        ),
    ],
)
def test_refusals_name_feature_and_reason(feature: str, message: str) -> None:
    with pytest.raises(JdrecError) as error:
        plan_of(f"  x: {feature}")
    assert str(error.value) == message


@pytest.mark.parametrize(
    "expr",
    [
        "v / v",
        "v % v",
        "date(ts)",
        "year(date(ts))",
        "case when v > 1 then v end",
        "int(s)",
        "timestamp(v)",
        "get_json_object(s, '')",
        "regexp_like(s, s)",
    ],
)
def test_a_null_that_is_not_defined_is_not_counted(expr: str) -> None:
    with pytest.raises(CheckError, match="for what OpenMLDB counts where its argument is NULL is not defined"):
        plan_of(f'  x: {{over: w, expr: "distinct_count({expr})"}}')
    plan_of(f'  x: {{over: w, expr: "distinct_count(isnull({expr}))"}}')


def test_windows_over_the_same_rows_share_a_store() -> None:
    windows = "a: {partition_by: k, rows: 3}, b: {partition_by: k, range: 1d}, c: {partition_by: s, rows: 3}, u: {union: t2, partition_by: k, rows: 3}"
    features = "".join(f"  {name}: {{over: {name}w, expr: count(v)}}\n".replace("w,", ",") for name in "abcu")
    plan = plan_of(features, windows)
    assert [(store.tables, store.keys, len(store.windows)) for store in plan.stores] == [
        ((), ("k",), 2),
        ((), ("s",), 1),
        (("t2",), ("k",), 1),
    ]


def test_one_tally_serves_several_functions_and_equal_calls_are_one() -> None:
    plan = plan_of(
        "  a: {over: w, expr: distinct_count(s)}\n  b: {over: w, expr: top1_ratio(s)}\n  c: {over: w, expr: 'count_where(s, s = at(s, 0))'}\n"
        "  e: {over: w, expr: distinct_count(s) + distinct_count(s)}"
    )
    (store,) = plan.stores
    assert (len(store.tallies), len(store.aggregates), len(store.columns)) == (1, 3, 1)


def test_only_needed_columns_are_read(tutorial: FeatureSet) -> None:
    plan = plan_of("  a: {over: w, expr: sum(v)}", "w: {union: t2, partition_by: k, rows: 3, exclude: instances}")
    assert plan.columns_read("t2") == {"k": True, "ts": True, "v": True}
    assert plan.columns_read("t1") == {"ts": False, "k": True, "id": False}
    assert make_plan(tutorial).columns_read("bo_user") == {
        "user_id": True,
        "age": False,
        "ingestionTime": False,
        "sex": False,
        "user_lv_cd": False,
    }
