"""Cell by cell: what is the same, what differs, how it is said."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jdrec import compare as module
from jdrec.compare import compare, compare_files, differing
from jdrec.errors import DifferenceError, StageError

NAN = float("nan")


def features(*names: str) -> Any:
    return SimpleNamespace(features=[SimpleNamespace(name=name) for name in names])


def write(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1, None, 3, None], [1, None, 4, 0], [False, False, True, True]),
        (["a", "", None], ["a", None, None], [False, True, False]),
        ([1.0, NAN, NAN, 0.0], [1.0, NAN, None, -0.0], [False, False, True, True]),
        ([True, False], [True, True], [False, True]),
        ([0.1 + 0.2], [0.3], [True]),
    ],
)
def test_values_are_the_same_bit_for_bit(a: list[Any], b: list[Any], expected: list[bool]) -> None:
    assert differing(pa.array(a), pa.array(b)).tolist() == expected


def test_a_tolerance_is_relative_and_for_floats_alone() -> None:
    a, b = pa.array([100.0, 100.0, float("inf"), 1.0]), pa.array([100.5, 102.0, float("inf"), None])
    assert differing(a, b, tolerance=0.01).tolist() == [False, True, False, True]
    assert differing(pa.array([100]), pa.array([101]), tolerance=0.5).tolist() == [True]


def test_files_that_agree(tmp_path: Path) -> None:
    a = write(tmp_path / "a.parquet", key=["x", "y"], n=[1, None])
    report = compare_files(features("key", "n"), a, a)
    assert report.lines() == ["2 rows, 2 features, 0 cells differ"]
    report.raise_if_different()


def test_differences_are_counted_by_feature_with_examples(tmp_path: Path) -> None:
    a = write(tmp_path / "a.parquet", key=["x", "y", "z"], n=[1, None, 3], s=["", "b", "c"], ok=[1.5, 1.5, 1.5])
    b = write(tmp_path / "b.parquet", key=["x", "y", "z"], n=[1, 2, 4], s=[None, "b", "c"], ok=[1.5, 1.5, 1.5])
    report = compare_files(features("key", "n", "s", "ok"), a, b, "embedded", "spark", examples=1)
    assert report.lines() == [
        "n: 2 of 3 cells differ",
        "  'y' (row 1): embedded NULL, spark 2",
        "s: 1 of 3 cells differ",
        "  'x' (row 0): embedded '', spark NULL",
        "3 rows, 4 features, 3 cells differ",
    ]
    with pytest.raises(DifferenceError, match=r"2 features have other values with embedded than with spark: n, s\."):
        report.raise_if_different()


def test_rows_are_compared_in_blocks_whatever_the_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK_ROWS", 4)
    keys = [f"k{i}" for i in range(11)]
    pq.write_table(pa.table({"key": keys, "n": list(range(11))}), tmp_path / "a.parquet", row_group_size=3)
    pq.write_table(pa.table({"key": keys, "n": [*range(10), 99]}), tmp_path / "b.parquet", row_group_size=5)
    report = compare_files(features("key", "n"), tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert report.lines() == ["n: 1 of 11 cells differ", "  'k10' (row 10): a 10, b 99", "11 rows, 2 features, 1 cells differ"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"key": ["x"], "m": [1]}, "a and b give other columns"),
        ({"key": ["x"], "n": pa.array([1], pa.int32())}, "n is int64 with a and int32 with b"),
        ({"key": ["x", "y"], "n": [1, 2]}, "a gives 1 rows where b gives 2"),
        ({"key": pa.array([], pa.string()), "n": pa.array([], pa.int64())}, "a gives 1 rows where b gives 0"),
    ],
)
def test_other_shapes(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    a = write(tmp_path / "a.parquet", key=["x"], n=[1])
    b = write(tmp_path / "b.parquet", **columns)
    with pytest.raises(DifferenceError, match=message):
        compare_files(features("key", "n"), a, b)


def test_an_engine_is_not_compared_with_itself() -> None:
    with pytest.raises(StageError, match=r"compare\.with: spark would be compared with itself"):
        compare(features("key"), {}, "spark", "spark", config=None, progress=None)  # type: ignore[arg-type]
