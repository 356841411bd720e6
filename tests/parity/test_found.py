"""Differences that random feature sets found, each as a literal case: what OpenMLDB gives, and so the embedded engine too."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jdrec.dataset.tables import open_tables
from jdrec.engines import extract
from jdrec.engines.spark.session import Session
from jdrec.features.resolve import resolve
from jdrec.features.types import SqlType
from jdrec.progress import Progress
from tests.parity.data import START_MS, RandomTable
from tests.parity.generate import Case
from tests.parity.judge import spark_values

T = SqlType
N = None


@dataclass(frozen=True)
class Found:
    """A small case and what OpenMLDB's batch engine gives for it, feature by feature, in the request table's order.

    Attributes:
        rows: of the request table req (rid, k1 string, v int, l bigint, d double, b bool); ts is a second later in each.
        union: rows of table u1 with the same columns and times, its time called `at_ms` if a bigint is wanted.
        joined: rows (k1, x) of table j1.
        derived: columns of both req and u1.
        judged: whether OpenMLDB gives the same; not where its result is not defined, see docs/parity.md.
    """

    name: str
    features: dict[str, Any]
    expected: dict[str, list[Any]]
    rows: list[tuple[Any, ...]] = field(default_factory=lambda: [("a", 10 + n, n, float(n), n % 2 == 0) for n in range(5)])
    times: list[int] = field(default_factory=lambda: [1000 * n for n in range(5)])
    union: list[tuple[int, str, int | None]] = field(default_factory=list)
    joined: list[tuple[Any, int]] = field(default_factory=list)
    windows: dict[str, Any] = field(default_factory=dict)
    joins: dict[str, Any] = field(default_factory=dict)
    derived: dict[str, str] = field(default_factory=dict)
    judged: bool = True

    def case(self) -> Case:
        columns = {"rid": T.STRING, "k1": T.STRING, "v": T.INT, "l": T.BIGINT, "d": T.DOUBLE, "b": T.BOOL, "ts": T.TIMESTAMP}
        request = [
            dict(zip(columns, (f"r{n}", *row, START_MS + time), strict=True))
            for n, (row, time) in enumerate(zip(self.rows, self.times, strict=True))
        ]
        union = [{"k1": key, "at_ms": START_MS + time, "v": v, "b": True} for time, key, v in self.union]
        tables = {
            "req": RandomTable(columns, request),
            "u1": RandomTable({"k1": T.STRING, "at_ms": T.BIGINT, "v": T.INT, "b": T.BOOL}, union),
            "j1": RandomTable({"k1": T.STRING, "x": T.INT}, [{"k1": key, "x": x} for key, x in self.joined]),
        }
        section = {
            "request": {"table": "req", "key": "rid", "time": "ts"},
            "joins": self.joins,
            "windows": self.windows,
            "derived": dict.fromkeys(("req", "u1"), self.derived),
            "features": {name: {"kind": "drop", **feature} for name, feature in self.features.items()},
        }
        return Case(0, section, tables, {"req": "ts", "u1": "at_ms", "j1": ""})


W = {"over": "w"}
CASES = [
    Found(
        "NULL in a LAST JOIN's key matches nothing",
        {"x": {"from": "j", "expr": "x"}},
        {"x": [1, N, 2]},
        rows=[("a", 0, 0, 0.0, True), (N, 0, 0, 0.0, True), ("", 0, 0, 0.0, True)],
        times=[0, 1000, 2000],
        joins={"j": {"last_join": "j1", "on": "k1"}},
        joined=[("a", 1), ("", 2), (N, 3)],
    ),
    Found(
        "minus is 0 - x, so that there is no -0.0",
        {"minus": {"expr": "-d"}, "minus_of_mean": {"over": "w", "expr": "-avg(l)"}},
        {"minus": [0.0, -1.0, -2.0, -3.0, -4.0], "minus_of_mean": [0.0, -0.5, -1.5, -2.5, -3.5]},
        windows={"w": {"partition_by": "k1", "rows": 1}},
    ),
    Found(
        "at alone ignores the frame, within an expression it looks into it (a frame that ends at the current row)",
        {
            "alone": {**W, "expr": "at(v, 3)"},
            "within": {**W, "expr": "at(v, 3) + 0"},
            "in_a_call": {**W, "expr": "if_null(at(v, 3), 99)"},
            "near": {**W, "expr": "at(v, 1) + 0"},
        },
        {"alone": [N, N, N, 10, 11], "within": [N] * 5, "in_a_call": [99] * 5, "near": [N, 10, 11, 12, 13]},
        windows={"w": {"partition_by": "k1", "rows": 1}},
    ),
    Found(
        "at within an expression, in a frame before the current row",
        {
            "alone": {**W, "expr": "at(v, 0)"},
            "newest": {**W, "expr": "at(v, 0) + 0"},
            "next": {**W, "expr": "at(v, 1) + 0"},
            "same": {**W, "expr": "count_where(v, v = at(v, 0))"},
        },
        {
            "alone": [10, 11, 12, 13, 14],
            "newest": [N, N, 10, 11, 12],
            "next": [N, N, N, 10, 11],
            "same": [0, 0, 1, 1, 1],
        },
        windows={"w": {"partition_by": "k1", "rows": 3, "end": 2}},
    ),
    Found(
        "at within an expression, without the current row",
        {"newest": {**W, "expr": "at(v, 0) + 0"}, "same": {**W, "expr": "count_where(v, v = at(v, 0))"}},
        {"newest": [N, 10, 11, 12, 13], "same": [0, 1, 1, 1, 1]},
        windows={"w": {"partition_by": "k1", "range": "3s", "exclude": "current_row"}},
    ),
    Found(
        "times before 1970 are cut towards zero, as C does",
        {name: {"expr": f"{name}(l)"} for name in ("second", "minute", "hour", "day", "year")},
        {
            "second": [0, -1, -59, 0, 0, 0, 0, -39],
            "minute": [0, 0, 0, -1, 0, 0, 0, -46],
            "hour": [7, 7, 7, 7, 0, 0, -16, -1],
            "day": [1, 1, 1, 1, 1, 1, 31, 31],
            "year": [1970, 1970, 1970, 1970, 1970, 1970, 1969, 1966],
        },
        rows=[("a", 0, ms, 0.0, True) for ms in (-39, -1000, -59999, -60001, -28800000, -28800001, -86400001, -99999999999)],
        times=[1000 * n for n in range(8)],
    ),
    Found(
        "a union ordered by a bigint keeps the milliseconds of the request's timestamp, and fills a bool",
        {"sum": {**W, "expr": "sum(v)"}, "where": {**W, "expr": "count_where(v, b)"}},
        {"sum": [1, 2, 12], "where": [1, 1, 2]},
        rows=[("a", 0, 0, 0.0, True)] * 3,
        times=[500, 1001, 2500],
        union=[(0, "a", 1), (500, "a", 2), (1500, "a", 4), (2001, "a", 8)],
        windows={"w": {"union": "u1", "partition_by": "k1", "range": "1s", "end": 1, "exclude": "instances"}},
    ),
    Found(
        "a select list of conversions alone gives the same as any other",
        {"ms": {"expr": "bigint(ts)"}, "text": {"expr": "string(l)"}, "yes": {"expr": "true"}},
        {"ms": [START_MS, START_MS + 500], "text": ["7", "-8"], "yes": [True, True]},
        rows=[("a", 0, 7, 0.0, True), ("a", 0, -8, 0.0, True)],
        times=[0, 500],
    ),
    Found(
        "a drawdown counts NaN as a value, and starts anew at it",
        {"fall": {**W, "expr": "drawdown(log2(v))"}},
        {"fall": [N, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5, 0.75]},
        rows=[("a", v, 0, 0.0, True) for v in (N, -1, 16, 4, -1, 16, 256, 4)],
        times=[1000 * n for n in range(8)],
        windows={"w": {"partition_by": "k1", "rows": 9}},
    ),
    Found(
        "a max_size above a ROWS frame over the same rows leaves it whole",
        {"three": {**W, "expr": "count(*)"}, "newest": {"over": "s", "expr": "count(*)"}},
        {"three": [1, 2, 3, 3, 3], "newest": [1, 2, 3, 4, 4]},
        windows={"w": {"partition_by": "k1", "rows": 2}, "s": {"partition_by": "k1", "range": "1m", "max_size": 4}},
    ),
    Found(
        "upper, lower and reverse of ''",
        {**{name: {"expr": f"{name}(if_null(k1, ''))"} for name in ("upper", "lower", "reverse")}, "most": {**W, "expr": "upper(max(k1))"}},
        {"upper": ["", "AB", ""], "lower": ["", "ab", ""], "reverse": ["", "ba", ""], "most": ["", "AB", N]},
        rows=[("", 0, 0, 0.0, True), ("ab", 0, 0, 0.0, True), (N, 0, 0, 0.0, True)],
        times=[0, 1000, 2000],
        windows={"w": {"partition_by": "k1", "rows": 1}},
        judged=False,
    ),
    Found(
        "the same of text that is not empty",
        {name: {"expr": f"{name}(concat('x', if_null(k1, '')))"} for name in ("upper", "lower", "reverse")},
        {"upper": ["X", "XAB", "X"], "lower": ["x", "xab", "x"], "reverse": ["x", "bax", "x"]},
        rows=[("", 0, 0, 0.0, True), ("ab", 0, 0, 0.0, True), (N, 0, 0, 0.0, True)],
        times=[0, 1000, 2000],
    ),
    Found(
        "text that is a hexadecimal number",
        {"whole": {"expr": "int(k1)"}, "real": {"expr": "double(k1)"}},
        {"whole": [31, -5, 10, N, 7, N, 1], "real": [31.0, -5.0, 10.0, N, 7.0, 1.5, N]},
        rows=[(text, 0, 0, 0.0, True) for text in ("0x1F", "-0X5", "010", "0x", " 7", "0x1.8", "0x1 ")],
        times=[1000 * n for n in range(7)],
    ),
    Found(
        "zeros of both signs are written as they are",
        {"least": {**W, "expr": "min_cate(d / v, l)"}},
        {"least": ["0:-0.000000", "0:-0.000000,1:0.000000", "0:-0.000000,1:0.000000,2:0.500000"]},
        rows=[("a", -1, 0, 0.0, True), ("a", 1, 1, 0.0, True), ("a", 2, 2, 1.0, True)],
        times=[0, 1000, 2000],
        windows={"w": {"partition_by": "k1", "rows": 9}},
    ),
    Found(
        "a sum begins with 0, so that it is never -0",
        {"sum": {**W, "expr": "sum(d / v)"}, "mean": {**W, "expr": "avg(d / v)"}},
        {"sum": [0.0, 0.0, 1.0], "mean": [0.0, 0.0, 0.3333333333333333]},
        rows=[("a", -1, 0, 0.0, True), ("a", -2, 1, 0.0, True), ("a", 2, 2, 2.0, True)],
        times=[0, 1000, 2000],
        windows={"w": {"partition_by": "k1", "rows": 9}},
    ),
    Found(
        "a category's sum begins with its first value, so that it may be -0",
        {"sum": {**W, "expr": "sum_cate(d / v, l)"}, "mean": {**W, "expr": "avg_cate(d / v, l)"}},
        {
            "sum": ["0:-0.000000", "0:-0.000000", "0:-0.000000,1:0.000000"],
            "mean": ["0:-0.000000", "0:-0.000000", "0:-0.000000,1:0.000000"],
        },
        rows=[("a", -1, 0, 0.0, True), ("a", -2, 0, 0.0, True), ("a", 2, 1, 0.0, True)],
        times=[0, 1000, 2000],
        windows={"w": {"partition_by": "k1", "rows": 9}},
    ),
    Found(
        "NaN has a sign, and logarithms of negative numbers have none",
        {
            "ln": {"expr": "string(ln(d))"},
            "log2": {"expr": "string(log2(d))"},
            "log10": {"expr": "string(log10(d))"},
            "root": {"expr": "string(sqrt(d))"},
            "mean": {**W, "expr": "avg_cate(ln(d), v)"},
        },
        {
            "ln": ["-inf", "nan", "0"],
            "log2": ["-inf", "nan", "0"],
            "log10": ["-inf", "nan", "0"],
            "root": ["0", "-nan", "1"],
            "mean": ["0:-inf", "0:-inf,1:nan", "0:-inf,1:nan,2:0.000000"],
        },
        rows=[("a", 0, 0, 0.0, True), ("a", 1, 0, -2.0, True), ("a", 2, 0, 1.0, True)],
        times=[0, 1000, 2000],
        windows={"w": {"partition_by": "k1", "rows": 9}},
    ),
    Found(
        "a derived column made of a derived key has, in the row for the request, the key's value",
        {"share": {**W, "expr": "top1_ratio(e2)"}, "sum": {**W, "expr": "sum(e2)"}, "least": {**W, "expr": "min(e2)"}},
        {"share": [1.0, 1.0, 1.0], "sum": [11, 33, 33], "least": [11, 11, 11]},
        rows=[("a", 10, 0, 0.0, True), ("a", 10, 0, 0.0, True), ("a", N, 0, 0.0, True)],
        times=[0, 3000, 4000],
        union=[(1000, "a", 10), (2000, "b", N)],
        windows={"w": {"partition_by": "e1", "union": "u1", "range": "5s", "exclude": "instances"}},
        derived={"e1": "if_null(v, 10)", "e2": "e1 + 1"},
    ),
    Found(
        "hash64 of a comparison that is negated twice",
        {"hash": {"expr": "hash64(not ((k1 rlike '[0-9]{2}') >= (v < l)))"}},
        {"hash": [-4728684028706075820, 5161771770385946686]},
        rows=[("a1", 1, 0, 0.0, True), ("a1", 0, 1, 0.0, True)],
        times=[0, 1000],
        judged=False,
    ),
    Found(
        "-0.0 is the smaller zero, while OpenMLDB takes the one that it meets first",
        {"most": {**W, "expr": "max(d / v)"}, "least": {**W, "expr": "min(d / v)"}},
        {"most": [0.0, 0.0], "least": [0.0, -0.0]},
        rows=[("a", 1, 0, 0.0, True), ("a", -1, 0, 0.0, True)],
        times=[0, 1000],
        windows={"w": {"partition_by": "k1", "rows": 9}},
        judged=False,
    ),
    Found(
        "bytes that are no text",
        {"char": {"expr": "char(v)"}, "unhex": {"expr": "unhex('3A2')"}, "substr": {"expr": "substr(k1, 1, 1)"}},
        {"char": ["A", "\ufffd"], "unhex": ["\x03\ufffd"] * 2, "substr": ["\ufffd", "a"]},
        rows=[("京", 65, 0, 0.0, True), ("a", 1970, 0, 0.0, True)],
        times=[0, 1000],
        judged=False,
    ),
    Found(
        "months, as far as dates go",
        {
            name: {"expr": f"string(add_months(date('2016-03-31'), {months}))"}
            for name, months in (("back", -13), ("on", 1), ("far", 95_000))
        },
        {"back": ["2015-02-28"], "on": ["2016-04-30"], "far": ["9932-11-30"]},
        rows=[("a", 0, 0, 0.0, True)],
        times=[0],
    ),
]


@pytest.mark.parametrize("found", CASES, ids=lambda found: found.name)
def test_embedded(found: Found, tmp_path: Path) -> None:
    case = found.case()
    case.write(tmp_path)
    feature_set = resolve(case.config(tmp_path))
    extract(feature_set, open_tables(feature_set, tmp_path, "UTC"), tmp_path / "x.parquet", threads=1, progress=Progress.silent())
    table = pq.read_table(tmp_path / "x.parquet")
    assert {name: repr(table[name].to_pylist()) for name in found.expected} == {name: repr(v) for name, v in found.expected.items()}


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize("found", [found for found in CASES if found.judged], ids=lambda found: found.name)
def test_judge(found: Found, tmp_path: Path, session: Session) -> None:
    case = found.case()
    case.write(tmp_path)
    feature_set = resolve(case.config(tmp_path))
    table = spark_values(session, feature_set, open_tables(feature_set, tmp_path, "UTC"), tmp_path)
    assert {name: repr(table[name].to_pylist()) for name in found.expected} == {name: repr(v) for name, v in found.expected.items()}
