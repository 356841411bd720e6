"""LAST JOIN: which row of the other table a request gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from jdrec.engines.embedded import joins
from tests.engines.conftest import feature_set_of
from tests.engines.tables import batch, write_tables

TABLES = {
    "t1": {"id": "string", "ts": "timestamp", "k": "string", "n": "int"},
    "t2": {"k": "string", "n": "int", "at": "timestamp", "v": "int", "s": "string"},
}
REQUESTS = [
    {"id": str(place), "ts": 9000, "k": k, "n": n} for place, (k, n) in enumerate([("a", 1), ("b", 1), (None, 1), ("", 1), ("a", None)])
]


def joined(join: str, rows: list[tuple], tmp_path: Path, expr: str = "j.v") -> list:
    feature_set = feature_set_of(TABLES, f"joins: {{j: {{last_join: t2, {join}}}}}\nfeatures: {{x: {{expr: '{expr}'}}}}")
    others = [{"k": k, "n": n, "at": at, "v": v, "s": f"s{v}"} for k, n, at, v in rows]
    return [row["x"] for row in batch(feature_set, write_tables(feature_set, {"t1": REQUESTS, "t2": others}, tmp_path), tmp_path)]


ROWS = [("a", 1, 1000, 11), ("a", 1, 5000, 12), ("a", 1, 2000, 13), ("a", 1, 5000, 14), (None, 1, 1000, 15), ("a", None, 0, 16)]


@pytest.mark.parametrize(
    ("join", "expected"),
    [
        ("on: k", [16, None, None, None, 16]),  # the last row of the table; a NULL key matches nothing
        ("on: k, order_by: at", [14, None, None, None, 14]),  # the latest, of equals the last
        ("on: [k, n], order_by: at", [14, None, None, None, None]),
        ("on: {k: k, n: n}", [14, None, None, None, None]),
    ],
)
def test_which_row_is_joined(join: str, expected: list, tmp_path: Path) -> None:
    assert joined(join, ROWS, tmp_path) == expected


def test_a_null_order_is_smaller_than_all(tmp_path: Path) -> None:
    assert joined("on: k, order_by: at", [("a", 1, 7, 1), ("a", 1, None, 2), ("b", 1, None, 3)], tmp_path)[:2] == [1, 3]


def test_strings_and_expressions_of_joined_columns(tmp_path: Path) -> None:
    assert joined("on: k", ROWS, tmp_path, "j.s") == ["s16", None, None, None, "s16"]
    assert joined("on: k", ROWS, tmp_path, "case when isnull(j.v) then -1 else j.v + n end") == [17, -1, -1, -1, None]


def test_an_empty_table_joins_nothing(tmp_path: Path) -> None:
    assert joined("on: k", [], tmp_path) == [None] * 5


CONDITIONS: dict[str, Callable[[dict, dict], bool]] = {
    "at < t1.ts": lambda row, request: row["at"] is not None and row["at"] < request["ts"],
    "t1.ts >= at and v > 3": lambda row, request: row["at"] is not None and row["at"] <= request["ts"] and row["v"] > 3,
    "n = t1.n": lambda row, request: row["n"] is not None and row["n"] == request["n"],
    "t1.n = n and at <= t1.ts and v != 5": lambda row, request: (
        None not in (row["n"], row["at"]) and row["n"] == request["n"] and row["at"] <= request["ts"] and row["v"] != 5
    ),
    "at > t1.ts": lambda row, request: row["at"] is not None and row["at"] > request["ts"],
    "at < t1.ts or n = t1.n": lambda row, request: (
        (row["at"] is not None and row["at"] < request["ts"]) or (row["n"] is not None and row["n"] == request["n"])
    ),
    "v = 7": lambda row, request: row["v"] == 7,
}


@pytest.mark.parametrize("order_by", ["", ", order_by: at"])
@pytest.mark.parametrize("condition", list(CONDITIONS))
def test_the_last_row_that_satisfies_a_condition(condition: str, order_by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joins, "_FIRST_LOOK", 2)
    random = Random(3)
    feature_set = feature_set_of(
        TABLES, f"joins: {{j: {{last_join: t2, on: k{order_by}, where: '{condition}'}}}}\nfeatures: {{x: {{expr: j.s}}}}"
    )
    requests = [
        {"id": str(place), "ts": random.randrange(0, 30), "k": random.choice(["a", "b", "", None]), "n": random.choice([None, 1, 2, 3])}
        for place in range(60)
    ]
    others = [
        {"k": random.choice(["a", "a", "b", None]), "n": random.choice([None, 1, 2, 3]), "at": random.choice([None, *range(30)])}
        | {"v": random.randrange(10), "s": f"s{place}"}
        for place in range(150)
    ]

    def expected(request: dict) -> str | None:
        found = [row for row in others if row["k"] is not None and row["k"] == request["k"]]
        if order_by:
            found.sort(key=lambda row: -1 if row["at"] is None else row["at"])
        return next((row["s"] for row in reversed(found) if CONDITIONS[condition](row, request)), None)

    rows = batch(feature_set, write_tables(feature_set, {"t1": requests, "t2": others}, tmp_path), tmp_path)
    assert [row["x"] for row in rows] == [expected(request) for request in requests]
