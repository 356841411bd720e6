"""Derived columns, joins on joins, conditions of joins, windows over joined columns, unions of several tables: batch and request time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jdrec.online.session import RequestSession
from tests.engines.conftest import feature_set_of
from tests.engines.tables import batch, plain, write_tables

TABLES = {
    "t1": {"id": "string", "ts": "timestamp", "pair": "string", "n": "int"},
    "e": {"pair": "string", "ts": "timestamp", "what": "string", "v": "int"},
    "g": {"pair": "string", "ts": "timestamp", "what": "string", "v": "int", "more": "int"},
    "p": {"user": "string", "brand": "string", "at": "timestamp", "v": "int"},
    "b": {"brand": "string", "at": "timestamp", "size": "int"},
}
DATA: dict[str, list[dict[str, Any]]] = {
    "t1": [
        {"id": "1", "ts": 1000, "pair": "u_x", "n": 1},
        {"id": "2", "ts": 2000, "pair": "u_y", "n": 2},
        {"id": "3", "ts": 3000, "pair": "w_x", "n": None},
        {"id": "4", "ts": 4000, "pair": "u_x", "n": 9},
        {"id": "5", "ts": 5000, "pair": None, "n": 5},
    ],
    "e": [
        {"pair": "u_x", "ts": 500, "what": "see", "v": 1},
        {"pair": "u_z", "ts": 1500, "what": "buy", "v": 2},
        {"pair": "w_x", "ts": 1600, "what": "see", "v": 4},
        {"pair": "u_y", "ts": 3500, "what": "see", "v": 8},
        {"pair": None, "ts": 100, "what": "see", "v": 16},
    ],
    "g": [{"pair": "u_q", "ts": 3600, "what": "buy", "v": 32, "more": 0}, {"pair": "w_q", "ts": 100, "what": "see", "v": 64, "more": 0}],
    "p": [
        {"user": "u", "brand": "A", "at": 900, "v": 1},
        {"user": "u", "brand": "B", "at": 3000, "v": 5},
        {"user": "w", "brand": None, "at": 100, "v": 7},
        {"user": "u", "brand": "C", "at": 2500, "v": 3},
    ],
    "b": [{"brand": "A", "at": 0, "size": 10}, {"brand": "B", "at": 0, "size": 20}, {"brand": "C", "at": 9000, "size": 30}],
}
DERIVED = """
derived:
  t1: {user: "join(split_by_key(pair, ',', '_'), '')", key: "if_null(user, '')", doubled: "2 * n"}
  e: {user: "join(split_by_key(pair, ',', '_'), '')", late: "ts + 1000", big: "v > 3"}
  g: {user: "join(split_by_key(pair, ',', '_'), '')"}
"""


def computed(settings: str, root: Path) -> list[Any]:
    """The feature y of each request; the same at request time, where requests arrive in order and other tables are known before."""
    feature_set = feature_set_of(TABLES, DERIVED + settings)
    files = write_tables(feature_set, DATA, root)
    result = batch(feature_set, files, root, threads=2)
    session = RequestSession(feature_set, files, preload=["e", "g", "p", "b"])
    for row, expected in zip(DATA["t1"], result, strict=True):
        assert plain(feature_set, session.compute([row])) == [expected]
        session.insert("t1", [row])
    late = RequestSession(feature_set, files, preload=[])
    for name, rows in DATA.items():
        late.insert(name, rows if name != "t1" else [])
    for row, expected in zip(DATA["t1"], result, strict=True):
        assert plain(feature_set, late.compute([row])) == [expected]
        late.insert("t1", [row])
    return [row["y"] for row in result]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("features: {y: {expr: 'key'}}", ["u", "u", "w", "u", ""]),
        ("features: {y: {expr: 'doubled + n'}}", [3, 6, None, 27, 15]),
        # As key, order and input of windows.
        ("windows: {w: {partition_by: user, rows: unbounded}}\nfeatures: {y: {over: w, expr: sum(doubled)}}", [2, 6, None, 24, 10]),
        (
            "windows: {w: {union: e, partition_by: user, range: unbounded, exclude: instances, end: 0s open}}\n"
            "features: {y: {over: w, expr: sum(v)}}",
            [1, 3, 4, 11, 16],
        ),
        (
            "windows: {w: {union: e, partition_by: pair, order_by: late, range: 9s, exclude: instances, end: 0s open}}\n"
            "features: {y: {over: w, expr: 'count_where(*, big)'}}",
            [0, 0, 1, 0, 1],
        ),
        # Tables of a union have the columns that they share.
        (
            "windows: {w: {union: [e, g], partition_by: user, range: 1h, exclude: instances, end: 0s open}}\n"
            'features: {y: {over: w, expr: "sum_cate(v, what)"}}',
            ["see:1", "buy:2,see:1", "see:68", "buy:34,see:9", "see:16"],
        ),
        # A filled request column.
        (
            "windows: {w: {union: e, partition_by: user, range: 1h, request_row: {v: n}}}\n"
            "features: {y: {over: w, expr: 'count_where(v, v = at(v, 0))'}}",
            [2, 2, 0, 1, 1],
        ),
        # Joins.
        ("joins: {p: {last_join: p, on: {user: user}}}\nfeatures: {y: {expr: p.v}}", [3, 3, 7, 3, None]),
        ("joins: {p: {last_join: p, on: {user: user}, order_by: at}}\nfeatures: {y: {expr: p.v}}", [5, 5, 7, 5, None]),
        (
            "joins: {p: {last_join: p, on: {user: user}, order_by: at, where: 'at < t1.ts'}}\nfeatures: {y: {expr: p.v}}",
            [1, 1, 7, 5, None],
        ),
        (
            "joins: {p: {last_join: p, on: {user: user}, where: 'v < 5 and at > t1.ts'}}\nfeatures: {y: {expr: p.v}}",
            [3, 3, None, None, None],
        ),
        (
            "joins: {p: {last_join: p, on: {user: user}, order_by: at}, b: {last_join: b, on: {p.brand: brand}}}\n"
            "features: {y: {expr: b.size}}",
            [20, 20, None, 20, None],
        ),
        (
            "joins: {p: {last_join: p, on: {user: user}}, b: {last_join: b, on: {p.brand: brand}, where: 'at < p.at'}}\n"
            'features: {y: {expr: "if_null(b.size, p.v)"}}',
            [3, 3, 7, 3, None],
        ),
    ],
)
def test_values(settings: str, expected: list[Any], tmp_path: Path) -> None:
    assert computed(settings, tmp_path) == expected


WINDOW_OVER_A_JOIN = (
    "joins: {p: {last_join: p, on: {user: user}, order_by: at, where: 'at < t1.ts'}}\n"
    "windows: {w: {partition_by: user, rows: 9}}\nfeatures: {y: {over: w, expr: 'sum(p.v) + 0 * count(n)'}}"
)


def test_windows_over_joined_columns(tmp_path: Path) -> None:
    assert computed(WINDOW_OVER_A_JOIN, tmp_path) == [1, 2, 7, 7, None]
