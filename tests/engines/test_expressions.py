"""Row expressions: values, NULLs and types by OpenMLDB's rules."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.engines.conftest import feature_set_of
from tests.engines.tables import batch, write_tables

COLUMNS = {
    "id": "string", "ts": "timestamp", "i": "int", "j": "int", "l": "bigint", "m": "smallint", "f": "float", "d": "double",
    "b": "bool", "c": "bool", "s": "string", "day": "date",
}  # fmt: skip
EMPTY: dict[str, Any] = dict.fromkeys(COLUMNS)


def values(exprs: list[str], tmp_path: Path, **row: Any) -> list[Any]:
    """The expressions for one request row; columns that are not given are NULL."""
    features = "\n".join(f'  x{n}: {{expr: "{expr}"}}' for n, expr in enumerate(exprs))
    feature_set = feature_set_of({"t1": COLUMNS}, f"features:\n{features}")
    files = write_tables(feature_set, {"t1": [{**EMPTY, "id": "1", "ts": 0, **row}]}, tmp_path)
    result = batch(feature_set, files, tmp_path)[0]
    return [result[f"x{n}"] for n in range(len(exprs))]


@pytest.mark.parametrize(
    ("expr", "row", "expected"),
    [
        ("i + j", {"i": 2147483647, "j": 1}, -2147483648),  # an int stays one and wraps around
        ("i + l", {"i": 2147483647, "l": 1}, 2147483648),
        ("m * m", {"m": 300}, 24464),
        ("i - 3", {"i": 1}, -2),
        ("i / j", {"i": 7, "j": 2}, 3.5),
        ("i / j", {"i": 7, "j": 0}, None),  # a division by zero is NULL
        ("d / f", {"d": 1.0, "f": 0.0}, None),
        ("i div j", {"i": -7, "j": 2}, -3),
        ("i div j", {"i": -7, "j": 0}, None),
        ("i % j", {"i": -7, "j": 3}, -1),
        ("i % j", {"i": 7, "j": 0}, None),
        ("-i", {"i": 5}, -5),
        ("1 / -d", {"d": 0.0}, None),
        ("i + j", {"i": 5}, None),
        ("f + f", {"f": 0.5}, 1.0),
        ("ts + 1000", {"ts": 500}, 1500),
        ("i = l", {"i": 5, "l": 5}, True),
        ("i < d", {"i": 1, "d": 1.5}, True),
        ("i = j", {"i": 5}, None),
        ("s = 'x'", {"s": "x"}, True),
        ("s < 'é'", {"s": "z"}, True),  # strings compare by bytes
        ("s >= 'a'", {"s": ""}, False),
        ("ts >= ts", {"ts": 1}, True),
        ("b and c", {"b": False}, False),  # false and NULL
        ("b and c", {"b": True}, None),
        ("b or c", {"c": True}, True),
        ("b or c", {"c": False}, None),
        ("b xor c", {"b": True, "c": True}, False),
        ("b xor c", {"b": True}, None),
        ("not b", {"b": True}, False),
        ("not b", {}, None),
        ("isnull(i)", {}, True),
        ("i is null", {"i": 0}, False),
        ("i is not null", {"i": 0}, True),
        ("if_null(i, -1)", {}, -1),
        ("ifnull(s, 'none')", {"s": ""}, ""),
        ("nvl(s, 'none')", {}, "none"),
        ("i in (1, 2, 3)", {"i": 2}, True),
        ("i in (1, 2, 3)", {"i": 4}, False),
        ("i in (1, j)", {"i": 4}, None),
        ("i not in (1, 2)", {"i": 4}, True),
        ("i between 1 and 3", {"i": 3}, True),
        ("i not between 1 and 3", {"i": 3}, False),
        ("case when i > 1 then 'big' when i > 0 then 'one' else 'none' end", {"i": 1}, "one"),
        ("case when i > 1 then 'big' when i > 0 then 'one' else 'none' end", {}, "none"),  # a NULL condition does not hold
        ("case when i > 1 then i end", {"i": 1}, None),
        ("case s when 'a' then 1 when 'b' then 2 else 0 end", {"s": "b"}, 2),
        ("case when b then i else l end", {"b": True, "i": 3}, 3),
        ("bigint(i)", {"i": 3}, 3),
        ("int(d)", {"d": -1.9}, -1),
        ("smallint(i)", {"i": 65537}, 1),
        ("double(s)", {"s": "1.5"}, 1.5),
        ("int(s)", {"s": "12"}, 12),
        ("int(s)", {"s": "12x"}, None),
        ("int(s)", {"s": "99999999999"}, None),
        ("bool(s)", {"s": "Yes"}, True),
        ("bool(i)", {"i": 2}, True),
        ("string(i)", {"i": -12}, "-12"),
        ("timestamp(l)", {"l": 1000}, 1000),
        ("timestamp(l)", {"l": -1}, None),
        ("bigint(ts)", {"ts": 1000}, 1000),
    ],
)  # fmt: skip
def test_value(expr: str, row: dict[str, Any], expected: Any, tmp_path: Path) -> None:
    found = values([expr], tmp_path, **row)[0]
    assert found == expected and type(found) is type(expected)


def test_calendar_is_in_utc_plus_8(tmp_path: Path) -> None:
    names = ["dayofweek", "day", "month", "year", "hour", "minute", "second"]
    calls = [f"{name}(ts)" for name in names]
    assert values(calls, tmp_path, ts=0) == [5, 1, 1, 1970, 8, 0, 0]  # a Thursday
    assert values(["dayofweek(ts)", "hour(ts)"], tmp_path, ts=57_599_999) == [5, 23]  # 15:59:59.999Z
    assert values(["dayofweek(ts)", "day(ts)"], tmp_path, ts=57_600_000) == [6, 2]
    assert values(calls, tmp_path, ts=1_459_419_080_000) == [5, 31, 3, 2016, 18, 11, 20]
    assert values(["dayofweek(day)", "day(day)", "year(day)"], tmp_path, day=datetime.date(2016, 2, 29)) == [2, 29, 2016]
    assert values(["dayofweek(l)", "dayofweek(day)"], tmp_path, l=0) == [5, None]


def test_minus_of_zero_is_zero(tmp_path: Path) -> None:
    assert str(values(["-d"], tmp_path, d=0.0)[0]) == "0.0"


def test_the_tutorials_weekday(tmp_path: Path) -> None:
    expr = "case when 1 < dayofweek(timestamp(ts)) and dayofweek(timestamp(ts)) < 7 then 1 else 0 end"
    saturday = 1_459_555_200_000  # 2016-04-02 00:00:00 UTC
    assert [values([expr], tmp_path, ts=saturday + day * 86_400_000)[0] for day in range(3)] == [0, 0, 1]


def test_constants_and_columns_pass_through(tmp_path: Path) -> None:
    row = {"s": "", "d": 0.1, "b": False, "day": datetime.date(1969, 12, 31), "l": -(2**63), "f": 0.5}
    assert values(["s", "d", "b", "day", "l", "f", "i", "1", "'x'"], tmp_path, **row) == [
        "",
        0.1,
        False,
        datetime.date(1969, 12, 31),
        -(2**63),
        0.5,
        None,
        1,
        "x",
    ]
