"""Each aggregate by literal examples; most are what OpenMLDB's engine printed for the same rows."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.engines.conftest import feature_set_of
from tests.engines.tables import batch, write_tables


def running(type_: str, values: list[Any], expr: str, tmp_path: Path, window: str = "rows: 100") -> list[Any]:
    """The expression over the rows up to each row of a column x."""
    columns = {"id": "string", "k": "string", "ts": "timestamp", "x": type_, "w": "int"}
    text = f"windows: {{w: {{partition_by: k, {window}}}}}\nfeatures: {{y: {{over: w, expr: '{expr}'}}}}"
    feature_set = feature_set_of({"t1": columns}, text)
    rows = [{"id": str(n), "k": "a", "ts": 1000 * n, "x": value, "w": n} for n, value in enumerate(values)]
    return [row["y"] for row in batch(feature_set, write_tables(feature_set, {"t1": rows}, tmp_path), tmp_path)]


@pytest.mark.parametrize(
    ("type_", "values", "expr", "expected"),
    [
        # NULL counts as the type's zero value.
        ("int", [5, None, 7, 5, 3], "distinct_count(x)", [1, 2, 3, 3, 4]),
        ("int", [0, None, 1], "distinct_count(x)", [1, 1, 2]),
        ("string", ["x", None, ""], "distinct_count(x)", [1, 2, 2]),
        ("int", [None], "distinct_count(x)", [1]),
        ("double", [0.0, -0.0, None], "distinct_count(x)", [1, 1, 1]),
        ("bool", [True, None, False], "distinct_count(x)", [1, 2, 2]),
        ("date", [None, date(1970, 1, 1), None], "distinct_count(x)", [1, 2, 2]),  # OpenMLDB's zero date is none
        # A NULL expression counts as what it gives of zeros.
        ("int", [None, 0, 2], "distinct_count(x + 1)", [1, 1, 2]),
        ("int", [None, -1, 2], "distinct_count(x + 1)", [1, 2, 3]),
        ("string", [None, "", "a", "A"], "distinct_count(upper(x))", [1, 1, 2, 2]),
        ("string", [None, "", "q"], 'distinct_count(concat(x, "q"))', [1, 1, 2]),
        ("string", [None, "", "q"], 'distinct_count(if_null(x, "q"))', [1, 2, 2]),
        ("double", [None, 0.0, 1.0], "distinct_count(exp(x))", [1, 1, 2]),
        ("timestamp", [None, 0, 3600000], "distinct_count(hour(x))", [1, 1, 2]),
        ("int", [None, 0, 5], "distinct_count(x > -1)", [1, 1, 1]),
        ("int", [None, 0, 5], "distinct_count(x in (3, 5))", [1, 1, 2]),
        ("int", [None, 0, 5], "distinct_count(case when w > 0 then x else 7 end)", [1, 2, 3]),
        ("int", [None, None, 9], "distinct_count(if_null(x, 9) + x)", [1, 1, 2]),  # 9 + 0
        ("int", [None, 0, 5], "distinct_count(hash64(x))", [1, 1, 2]),
        # Each NaN is a value of its own, and never the smallest or largest.
        ("double", [4.0, -1.0, 4.0, -1.0, 9.0], "distinct_count(sqrt(x))", [1, 2, 2, 3, 4]),
        ("double", [-1.0, 4.0, 9.0, -1.0], "min(sqrt(x))", [1.7976931348623157e308, 2.0, 2.0, 2.0]),
        ("double", [-1.0, 4.0, 9.0, None], "max(sqrt(x))", [-1.7976931348623157e308, 2.0, 3.0, 3.0]),
        # Ties by the smaller key: numbers by value, strings by bytes.
        ("string", ["x", None, "", "y", "x"], "topn_frequency(x, 3)", ["x,NULL,NULL", "x,NULL,NULL", ",x,NULL", ",x,y", "x,,y"]),
        (
            "int",
            [10, 9, -1, 100, 2],
            "topn_frequency(x, 4)",
            ["10,NULL,NULL,NULL", "9,10,NULL,NULL", "-1,9,10,NULL", "-1,9,10,100", "-1,2,9,10"],
        ),
        (
            "string",
            ["10", "100", "9", "B", "a"],
            "topn_frequency(x, 5)",
            ["10,NULL,NULL,NULL,NULL", "10,100,NULL,NULL,NULL", "10,100,9,NULL,NULL", "10,100,9,B,NULL", "10,100,9,B,a"],
        ),
        ("string", ["z", "z", "y", "y", "y"], "topn_frequency(x, 1)", ["z", "z", "z", "y", "y"]),
        ("int", [None, None], "topn_frequency(x, 3)", ["NULL,NULL,NULL"] * 2),
        ("double", [0.1, 1e20], "topn_frequency(x, 2)", ["0.100000,NULL", "0.100000,100000000000000000000.000000"]),
        ("float", [123456789.125], "topn_frequency(x, 1)", ["123456792.000000"]),
        ("timestamp", [1000], "topn_frequency(x, 1)", ["1970-01-01 08:00:01"]),
        ("string", ["x", None, "", "y", "x"], "top1_ratio(x)", [1.0, 1.0, 0.5, 1 / 3, 0.5]),
        ("int", [None, 4], "top1_ratio(x)", [0.0, 1.0]),
        ("int", [None, 4, None], "count(x)", [0, 1, 1]),
        ("int", [None, 4, None], "count(*)", [1, 2, 3]),
        # A sum keeps its column's type: integers wrap around, floats add up in single precision, the newest first.
        ("int", [2147483647, 10], "sum(x)", [2147483647, -2147483639]),
        ("smallint", [32767, 1], "sum(x)", [32767, -32768]),
        ("bigint", [9223372036854775807, 1], "sum(x)", [9223372036854775807, -9223372036854775808]),
        ("int", [None, None, 3], "sum(x)", [None, None, 3]),
        ("float", [16777216.0, 1.0, 1.0], "sum(x)", [16777216.0, 16777216.0, 16777218.0]),
        ("double", [1e16, 1.0, 1.0], "sum(x)", [1e16, 1e16, 1.0000000000000002e16]),
        ("int", [None, 1, 2], "avg(x)", [None, 1.0, 1.5]),
        ("bigint", [None, 3, -5], "min(x)", [None, 3, -5]),
        ("bigint", [None, 3, -5], "max(x)", [None, 3, 3]),
        ("string", ["b", "a", "", "c"], "min(x)", ["b", "a", "", ""]),
        ("string", ["b", "é", "", "z"], "max(x)", ["b", "é", "é", "é"]),
        ("double", [-1.5, 2.5, -3.5], "max(x)", [-1.5, 2.5, 2.5]),
        ("float", [-1.5, 2.5, -3.5], "min(x)", [-1.5, -1.5, -3.5]),
        ("timestamp", [5000, 1000], "min(x)", [5000, 1000]),
        ("string", [None, "a", "b"], "first_value(x)", [None, None, None]),
        ("string", ["a", None, "b"], "at(x, 1)", [None, "a", None]),
        ("string", ["a", None, "b"], "lag(x, 2)", [None, None, "a"]),
        ("int", [1, None, 5, 6], "count_where(x, x > 1)", [0, 0, 1, 2]),
        ("int", [1, None, 5, 6], "count_where(*, isnull(x) or x > 5)", [0, 1, 1, 2]),
        ("string", ["x", None, "", "y", "x"], "count_where(x, x = at(x, 0))", [1, 0, 1, 1, 2]),
        ("string", ["x", None, "x", "y", "x"], "count_where(w, x = at(x, 0) and w > 0)", [0, 0, 1, 1, 2]),
        ("int", [1, 2, 3], "sum(x * 2 + w)", [2, 7, 15]),
        ("int", [1, 2, 3], "sum(x) / count(x)", [1.0, 1.5, 2.0]),
    ],
)
def test_running_aggregate(type_: str, values: list[Any], expr: str, expected: list[Any], tmp_path: Path) -> None:
    assert running(type_, values, expr, tmp_path) == expected


def test_the_tutorials_count_of_the_current_value(tmp_path: Path) -> None:
    expr = "case when !isnull(at(x, 0)) then count_where(x, x = at(x, 0)) else null end"
    assert running("string", ["x", None, "", "y", "x"], expr, tmp_path) == [1, None, 1, 1, 2]


def test_single_precision_average_adds_up_in_double(tmp_path: Path) -> None:
    assert running("float", [0.1, 0.2, 0.3], "avg(x)", tmp_path)[-1] == 0.2000000054637591


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("count(*)", 0),
        ("distinct_count(x)", 0),
        ("topn_frequency(x, 3)", ""),
        ("top1_ratio(x)", 0.0),
        ("sum(w)", None),
        ("avg(w)", None),
        ("min(x)", None),
        ("first_value(x)", None),
        ("count_where(*, w = 1)", 0),
    ],
)
def test_empty_window(expr: str, expected: Any, tmp_path: Path) -> None:
    assert running("string", ["x"], expr, tmp_path, window="rows: 3, end: 1") == [expected]


def test_tallies_slide_over_a_long_group(tmp_path: Path) -> None:
    """Counts kept while a window slides equal counts made afresh, through growth, shrinkage and many values."""
    values = [str((n * n) % 37) if n % 11 else None for n in range(3000)]
    window, size = "range: 100d, max_size: 50", 50
    distinct = running("string", values, "distinct_count(x)", tmp_path / "1", window)
    ratio = running("string", values, "top1_ratio(x)", tmp_path / "2", window)
    for last in (0, 10, 49, 50, 51, 777, 2999):
        seen = values[max(0, last + 1 - size) : last + 1]
        there = [value for value in seen if value is not None]
        assert distinct[last] == len({value or "" for value in seen})
        assert ratio[last] == (max(there.count(value) for value in there) / len(there) if there else 0.0)
