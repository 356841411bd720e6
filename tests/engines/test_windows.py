"""Frames and window attributes: what OpenMLDB 0.9.2's engine was seen to compute, on the smallest tables that show it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engines.conftest import feature_set_of
from tests.engines.tables import batch, write_tables

ROWS = {"k": "string", "ts": "timestamp", "v": "bigint"}
TABLES = {"t1": {"id": "string", **ROWS}, "t2": ROWS, "t3": ROWS}
# A sum of powers of two names the rows that went into it.
TIED = list(zip((1, 2, 4, 8, 16, 32, 64), (1, 2, 3, 3, 3, 4, 10), strict=True))
FEW = list(zip((1, 2, 4, 8), (2, 4, 4, 6), strict=True))
OTHERS = list(zip((256, 512, 1024, 2048, 4096, 8192, 16384), (1, 2, 4, 4, 5, 6, 7), strict=True))


def rows(values: list[tuple[int, int]], key: str | None = "a") -> list[dict[str, Any]]:
    """Rows of (v, second)."""
    return [{"id": str(place), "k": key, "ts": 1000 * second, "v": v} for place, (v, second) in enumerate(values)]


def over(window: str, expr: str, tmp_path: Path, **tables: list[dict[str, Any]]) -> list[Any]:
    """The expression over the window, for each row of t1."""
    feature_set = feature_set_of(TABLES, f"windows: {{w: {{partition_by: k, {window}}}}}\nfeatures: {{x: {{over: w, expr: '{expr}'}}}}")
    every = {"t1": rows(FEW), "t2": rows(OTHERS), "t3": [], **tables}
    return [row["x"] for row in batch(feature_set, write_tables(feature_set, every, tmp_path), tmp_path)]


@pytest.mark.parametrize(
    ("window", "sums"),
    [
        ("rows: 2", [1, 3, 7, 14, 28, 56, 112]),  # the current row and two before it
        ("rows: 2 open", [1, 3, 6, 12, 24, 48, 96]),
        ("rows: 2, end: 1", [None, 1, 3, 6, 12, 24, 48]),
        ("rows: 2, end: 0 open", [None, 1, 3, 6, 12, 24, 48]),
        ("rows: 100", [1, 3, 7, 15, 31, 63, 127]),  # of rows at one time a row sees those that came before it
        ("range: 100s", [1, 3, 7, 15, 31, 63, 127]),
        ("range: 1s", [1, 3, 6, 14, 30, 60, 64]),  # inclusive
        ("range: 1s open", [1, 2, 4, 12, 28, 32, 64]),
        ("range: 1000", [1, 3, 6, 14, 30, 60, 64]),  # a bare number is milliseconds
        ("range: 100s, end: 1s", [None, 1, 3, 3, 3, 31, 63]),
        ("range: 100s, end: 0s open", [None, 1, 3, 3, 3, 31, 63]),
        ("range: 10s, max_size: 2", [1, 3, 6, 12, 24, 48, 96]),  # the current row counts
        ("range: 10s, max_size: 1", [1, 2, 4, 8, 16, 32, 64]),
        ("range: 10s, max_size: 2, exclude: current_row", [None, 1, 3, 6, 12, 24, 48]),  # two besides it
        ("range: 10s, max_size: 2, end: 1s", [None, 1, 3, 3, 3, 24, 48]),
        ("range: 10s, max_size: 2, exclude: current_time", [1, 3, 6, 10, 18, 48, 96]),
    ],
)
def test_frames(window: str, sums: list[int | None], tmp_path: Path) -> None:
    assert over(window, "sum(v)", tmp_path, t1=rows(TIED)) == sums


@pytest.mark.parametrize(
    ("window", "counts"),
    [
        ("union: t2", [3, 6, 7, 10]),  # its own table's earlier rows, and all of t2 up to now, equal times included
        ("union: t2, exclude: instances", [3, 5, 5, 7]),
        ("union: t2, exclude: current_time", [2, 4, 4, 9]),
        ("union: t2, exclude: [instances, current_row]", [2, 4, 4, 6]),
        ("union: t2, exclude: [instances, current_time]", [2, 3, 3, 6]),
        ("union: t2, exclude: [instances, current_row, current_time]", [1, 2, 2, 5]),
        ("exclude: instances", [1, 1, 1, 1]),  # without a union: the current row alone
    ],
)
def test_union_attributes(window: str, counts: list[int], tmp_path: Path) -> None:
    assert over(f"{window}, range: 100s", "count(*)", tmp_path) == counts


@pytest.mark.parametrize(
    ("exclude", "sums"),
    [
        ("[]", [1, 3, 7, 15]),
        ("instances", [1, 2, 4, 8]),
        ("current_time", [1, 3, 5, 15]),
        ("current_row", [None, 1, 3, 7]),
        ("[current_row, current_time]", [None, 1, 1, 7]),
    ],
)
def test_exclusions_without_union(exclude: str, sums: list[int | None], tmp_path: Path) -> None:
    assert over(f"exclude: {exclude}, range: 100s", "sum(v)", tmp_path) == sums


def test_union_rows_fill_columns_that_the_request_does_not(tmp_path: Path) -> None:
    # The request's own v is 0 among the union's rows: only keys and time are taken over.
    assert over("union: t2, exclude: instances, range: 100s", "sum(v)", tmp_path) == [768, 3840, 3840, 16128]
    assert over("union: t2, exclude: instances, range: 100s", "at(v, 0)", tmp_path) == [0, 0, 0, 0]
    assert over("union: t2, exclude: instances, range: 100s", "at(v, 1)", tmp_path) == [512, 2048, 2048, 8192]


@pytest.mark.parametrize(("union", "values"), [("[t2, t3]", [0, 2, 8, 1, 4]), ("[t3, t2]", [0, 8, 2, 4, 1])])
def test_equal_times_first_table_of_the_union_is_newer(union: str, values: list[int], tmp_path: Path) -> None:
    tables = {"t1": rows([(5, 9)]), "t2": rows([(1, 3), (2, 3)]), "t3": rows([(4, 3), (8, 3)])}
    if union == "[t2, t3]":
        values = [0, 2, 1, 8, 4]  # within a table the later row is newer
    else:
        values = [0, 8, 4, 2, 1]
    window = f"union: {union}, exclude: instances, range: 100s"
    assert [over(window, f"at(v, {n})", tmp_path / str(n), **tables)[0] for n in range(5)] == values


def test_equal_times_own_rows_are_newer_than_the_unions(tmp_path: Path) -> None:
    tables = {"t1": rows([(1, 3), (2, 3)]), "t2": rows([(4, 3)])}
    found = [over("union: t2, range: 100s", f"at(v, {n})", tmp_path / str(n), **tables) for n in range(4)]
    assert [column[1] for column in found] == [0, 0, 4, None]  # itself, the row before it, then t2's


def test_at_ignores_the_frame(tmp_path: Path) -> None:
    assert over("rows: 1", "at(v, 2)", tmp_path, t1=rows(TIED)) == [None, None, 1, 2, 4, 8, 16]
    assert over("range: 1s, max_size: 1, exclude: current_row", "at(v, 1)", tmp_path, t1=rows(TIED)) == [None, 1, 2, 4, 8, 16, 32]
    assert over("rows: 2, end: 1", "at(v, 0)", tmp_path, t1=rows(TIED)) == [1, 2, 4, 8, 16, 32, 64]
    assert over("range: 9s, exclude: current_time", "at(v, 1)", tmp_path, t1=rows(TIED)) == [None, 1, 2, 2, 2, 16, 32]


@pytest.mark.parametrize(
    ("window", "expr", "values"),
    [
        ("rows: 1", "at(v, 3)", [None, None, None, 10, 11]),
        ("rows: 1", "at(v, 3) + 0", [None, None, None, None, None]),
        ("rows: 1", "if_null(at(v, 3), 99)", [99, 99, 99, 99, 99]),
        ("rows: 3, end: 2", "at(v, 0)", [10, 11, 12, 13, 14]),
        ("rows: 3, end: 2", "at(v, 0) + 0", [None, None, 10, 11, 12]),
        ("rows: 3, end: 2", "count_where(v, v = at(v, 0))", [0, 0, 1, 1, 1]),
        ("rows: 3, end: 2", "count_where(k, v = at(v, 0))", [0, 0, 1, 1, 1]),
        ("range: 3s, exclude: current_row", "at(v, 0) + 0", [None, 10, 11, 12, 13]),
        ("range: 3s, exclude: current_row", "count_where(v, v = at(v, 0))", [0, 1, 1, 1, 1]),
        ("range: 3s, max_size: 2", "at(v, 1) + 0", [None, 10, 11, 12, 13]),
        ("range: 3s, max_size: 2", "at(v, 2) + 0", [None] * 5),
    ],
)
def test_at_within_an_expression_looks_into_the_frame(window: str, expr: str, values: list[int | None], tmp_path: Path) -> None:
    tables = {"t1": rows([(10 + second, second) for second in range(5)])}
    assert over(window, expr, tmp_path, **tables) == values


def test_null_keys_are_a_group_of_their_own(tmp_path: Path) -> None:
    tables = {"t1": [*rows([(1, 1)], None), *rows([(2, 2)], ""), *rows([(4, 3)], None), *rows([(8, 4)], "")]}
    assert over("range: 100s", "sum(v)", tmp_path, **tables) == [1, 2, 5, 10]


def test_bounds_do_not_reach_before_1970(tmp_path: Path) -> None:
    # OpenMLDB's clamp: a row at the epoch itself is seen by a window that ends before it began.
    assert over("range: 100s, end: 5s", "sum(v)", tmp_path, t1=rows([(1, 0), (2, 3), (4, 5)])) == [None, 1, 1]


def test_empty_tables(tmp_path: Path) -> None:
    assert over("union: t2, exclude: instances, range: 9s", "count(*)", tmp_path, t1=[], t2=[]) == []
    assert over("union: t2, exclude: instances, range: 9s", "count(*)", tmp_path / "2", t2=[]) == [1, 1, 1, 1]
