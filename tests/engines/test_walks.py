"""Aggregates over whole frames by literal examples; the expected values are what OpenMLDB's engine on Spark gave for the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jdrec.engines.embedded import frames
from jdrec.engines.embedded.joins import portions
from jdrec.online.session import RequestSession
from tests.engines.conftest import feature_set_of
from tests.engines.tables import batch, plain, write_tables

COLUMNS = {"id": "string", "k": "string", "ts": "timestamp", "x": "int", "d": "double", "s": "string", "c": "string", "b": "bool"}
ROWS: list[dict[str, Any]] = [
    {"x": 3, "d": 0.5, "s": "x", "c": "u", "b": True},
    {"x": None, "d": 2.0, "s": None, "c": "v", "b": False},
    {"x": 0, "d": None, "s": "", "c": "u", "b": None},
    {"x": 7, "d": 1.0, "s": "x", "c": None, "b": True},
    {"x": 3, "d": 0.25, "s": "y", "c": "w", "b": True},
]
R = [{"id": str(n), "k": "a", "ts": 1000 * n, **row} for n, row in enumerate(ROWS)]


def running(expr: str, root: Path, window: str = "rows: 100") -> list[Any]:
    """An expression over the rows up to each row, in batch and, which has to be the same, at request time."""
    text = f'windows: {{w: {{partition_by: k, {window}}}}}\nfeatures: {{y: {{over: w, expr: "{expr}"}}}}'
    feature_set = feature_set_of({"t1": COLUMNS}, text)
    files = write_tables(feature_set, {"t1": R}, root)
    result = [row["y"] for row in batch(feature_set, files, root, threads=2)]
    session = RequestSession(feature_set, files, preload=[])
    online = []
    for row in R:
        online += [found["y"] for found in plain(feature_set, session.compute([row]))]
        session.insert("t1", [row])
    assert online == result
    return result


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        # A zero is not there for sum and avg, though it is for min and max; a NULL condition is false.
        ("sum_where(x, x < 7)", [3, 3, 3, 3, 6]),
        ("sum_where(x, x = 0)", [None] * 5),
        ("avg_where(x, c = 'u')", [3.0] * 5),
        ("min_where(x, c = 'u')", [3, 3, 0, 0, 0]),
        ("max_where(x, b)", [3, 3, 3, 7, 7]),
        ("max_where(d, not b)", [None, 2.0, 2.0, 2.0, 2.0]),
        # Conditions that look at other rows of the frame.
        ("count_where(x, x > at(x, 0))", [0, 0, 1, 0, 1]),
        ("count_where(*, d < at(d, 1))", [0, 0, 1, 0, 2]),
        ("sum_where(d, s = at(s, 0) or x = at(x, 1))", [0.5, 0.5, None, 1.5, 1.25]),
        ("min_where(x, x >= at(x, 0))", [3, None, 0, 7, 3]),
        # The n-th oldest, or newest, row for which the condition holds; NULL is a value.
        ("nth_value_where(x, 2, d > 0)", [None, None, None, None, None]),
        ("nth_value_where(s, 1, d > 0)", ["x"] * 5),
        ("nth_value_where(x, -2, b)", [None, None, None, 3, 7]),
        ("median(x)", [3.0, 3.0, 1.5, 3.0, 3.0]),
        ("median(d)", [0.5, 1.25, 1.25, 1.0, 0.75]),
        ("var_pop(x)", [0.0, 0.0, 2.25, 8.222222222222223, 6.1875]),
        ("var_samp(x)", [None, None, 4.5, 12.333333333333334, 8.25]),
        ("stddev(x)", [None, None, 2.1213203435596424, 3.5118845842842465, 2.8722813232690143]),
        ("stddev_pop(x)", [0.0, 0.0, 1.5, 2.8674417556808756, 2.48746859276655]),
        ("ew_avg(x, 0.5)", [3.0, 3.0, 1.0, 4.428571428571429, 3.6666666666666665]),
        ("ew_avg(x, 1.0)", [3.0, 3.0, 0.0, 7.0, 3.0]),
        ("drawdown(x)", [0.0, 0.0, 1.0, 1.0, 1.0]),
        ("drawdown(d)", [0.0, 0.0, 0.0, 0.5, 0.875]),
        ("entropy(s)", [0.0, 0.0, 1.0, 0.9182958340544896, 1.5]),
        ("top(x, 3)", ["3", "3", "3,0", "7,3,0", "7,3,3"]),
        ("top(s, 2)", ["x", "x", "x,", "x,x", "y,x"]),
        ("top(d, 1)", ["0.500000", "2.000000", "2.000000", "2.000000", "2.000000"]),
        ("median(x) - avg(x) + count_where(x, b)", [1.0, 1.0, 1.0, 1.6666666666666665, 2.75]),
        # NULL is counted as what the expression is of zero.
        ("distinct_count(x + 1)", [1, 2, 2, 3, 3]),
    ],
)
def test_running_values(expr: str, expected: list[Any], tmp_path: Path) -> None:
    assert running(expr, tmp_path) == expected


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("count_cate(d, c)", ["u:1", "u:1,v:1", "u:1,v:1", "u:1,v:1", "u:1,v:1,w:1"]),
        ("sum_cate(x, c)", ["u:3", "u:3", "u:3", "u:3", "u:3,w:3"]),
        ("avg_cate(x, c)", ["u:3.000000", "u:3.000000", "u:1.500000", "u:1.500000", "u:1.500000,w:3.000000"]),
        ("min_cate_where(d, b, c)", ["u:0.500000", "u:0.500000", "u:0.500000", "u:0.500000", "u:0.500000,w:0.250000"]),
        ("max_cate(d, x)", ["3:0.500000", "3:0.500000", "3:0.500000", "3:0.500000,7:1.000000", "3:0.500000,7:1.000000"]),
        ("top_n_key_count_cate_where(d, d > 0, c, 2)", ["u:1", "v:1,u:1", "v:1,u:1", "v:1,u:1", "w:1,v:1"]),
        ("top_n_value_sum_cate_where(d, d > 0, c, 2)", ["u:0.500000", *["v:2.000000,u:0.500000"] * 4]),
        ("top_n_value_count_cate_where(d, d > 0, c, 2)", ["u:1", "v:1,u:1", "v:1,u:1", "v:1,u:1", "w:1,v:1"]),
        ("top_n_key_ratio_cate(x, x > 0, c, 2)", ["u:1.000000", "u:1.000000", "u:0.500000", "u:0.500000", "w:1.000000,u:0.500000"]),
        ("top_n_value_ratio_cate(x, x > 0, c, 1)", ["u:1.000000", "u:1.000000", "u:0.500000", "u:0.500000", "w:1.000000"]),
        ("count_cate_where(x, x = at(x, 0), c)", ["u:1", "", "u:1", "", "u:1,w:1"]),
    ],
)
def test_categories(expr: str, expected: list[Any], tmp_path: Path) -> None:
    assert running(expr, tmp_path) == expected


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("median(x)", [None, 3.0, 3.0, 0.0, 3.5]),
        ("top(x, 2)", ["", "3", "3", "0", "7,0"]),
        ("count_cate(x, c)", ["", "u:1", "u:1", "u:1", "u:1"]),
        ("sum_where(x, x > at(x, 1))", [None, None, None, None, 7]),
        ("entropy(x)", [None, 0.0, 0.0, 0.0, 1.0]),
    ],
)
def test_frames_without_the_current_row_may_be_empty(expr: str, expected: list[Any], tmp_path: Path) -> None:
    assert running(expr, tmp_path, "range: 2s, end: 1s") == expected


def test_a_text_of_categories_ends_where_it_would_be_too_long(tmp_path: Path) -> None:
    columns = {"id": "string", "k": "string", "ts": "timestamp", "c": "string"}
    feature_set = feature_set_of(
        {"t1": columns}, "windows: {w: {partition_by: k, rows: 9}}\nfeatures: {y: {over: w, expr: 'count_cate(k, c)'}}"
    )
    rows = [{"id": str(n), "k": "a", "ts": n, "c": str(n) * 1000} for n in range(5)]
    got = [row["y"] for row in batch(feature_set, write_tables(feature_set, {"t1": rows}, tmp_path), tmp_path)]
    assert got[-1] == ",".join(f"{str(n) * 1000}:1" for n in range(4))


def test_many_frames_are_taken_in_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = running("top(x, 2)", tmp_path)
    monkeypatch.setattr(frames, "MOST_CELLS", 2)
    assert list(portions(np.array([1, 1, 3, 0, 2]), 2)) == [(0, 2), (2, 3), (3, 5)]
    assert running("top(x, 2)", tmp_path) == whole


def test_equal_calls_are_computed_once(tmp_path: Path) -> None:
    from jdrec.engines.embedded.planner import make_plan

    text = "windows: {w: {partition_by: k, rows: 3}}\nfeatures: {y: {over: w, expr: 'median(x) + median(x) + stddev(x)'}}"
    (store,) = make_plan(feature_set_of({"t1": COLUMNS}, text)).stores
    assert ([walk.name for walk in store.walks], len(store.aggregates), len(store.columns)) == (["median", "stddev"], 1, 1)


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        # Of NaN alone min and max are the finite numbers that any other would beat; where a NaN comes first under a condition, it stays.
        ("min(sqrt(d))", [1.7976931348623157e308, 2.0, 2.0, 2.0]),
        ("max(sqrt(d))", [-1.7976931348623157e308, 2.0, 3.0, 3.0]),
        ("string(min_where(sqrt(d), k = 'a'))", ["-nan", "2", "2", "-nan"]),
        ("max_where(sqrt(d), d > at(d, 1))", [None, 2.0, 3.0, None]),
        ("max_cate(sqrt(d), k)", ["a:-nan", "a:2.000000", "a:3.000000", "a:-nan"]),
        ("min_cate(sqrt(d), k)", ["a:-nan", "a:2.000000", "a:2.000000", "a:-nan"]),
    ],
)
def test_what_is_no_number(expr: str, expected: list[Any], tmp_path: Path) -> None:
    feature_set = feature_set_of(
        {"t1": COLUMNS}, f'windows: {{w: {{partition_by: k, rows: 9}}}}\nfeatures: {{y: {{over: w, expr: "{expr}"}}}}'
    )
    rows = [{"id": str(n), "k": "a", "ts": 1000 * n, "d": value} for n, value in enumerate([-1.0, 4.0, 9.0, -1.0])]
    assert [row["y"] for row in batch(feature_set, write_tables(feature_set, {"t1": rows}, tmp_path), tmp_path)] == expected
