"""Functions of one row by literal examples; the expected values are what OpenMLDB's engine on Spark gave."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.engines.conftest import feature_set_of
from tests.engines.tables import batch, write_tables

COLUMNS = {"id": "string", "ts": "timestamp", "i": "int", "l": "bigint", "f": "float", "d": "double", "s": "string", "c": "string", "a": "date", "b": "bool", "m": "smallint"}  # fmt: skip
ROWS: list[dict[str, Any]] = [
    {"i": 12, "l": 5, "f": 0.5, "d": -2.5, "s": "abc,d:e", "c": "u", "a": date(2016, 2, 29), "b": True, "m": -4},
    {"i": -1, "l": None, "f": -2.5, "d": 0.1, "s": "10", "c": "", "a": None, "b": False, "m": 7},
    {"i": None, "l": 0, "f": None, "d": None, "s": None, "c": "zz", "a": date(1970, 1, 1), "b": None, "m": None},
]


def values(expr: str, root: Path) -> list[Any]:
    feature_set = feature_set_of({"t1": COLUMNS}, f'features: {{y: {{expr: "{expr}"}}}}')
    rows = [{"id": str(n), "ts": 1467302400000 + n, **row} for n, row in enumerate(ROWS)]
    return [row["y"] for row in batch(feature_set, write_tables(feature_set, {"t1": rows}, root), root)]


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("concat(c, i, d, b)", ["u12-2.5true", "-10.1false", None]),
        ("concat_ws('-', c, m)", ["u--4", "-7", None]),
        ("substr(s, -2)", [":e", "10", None]),
        ("substr(s, 2, 2)", ["bc", "0", None]),
        ("substr(s, 0)", ["", "", None]),
        ("char_length(s)", [7, 2, None]),
        ("upper(s)", ["ABC,D:E", "10", None]),
        ("replace(s, 'b', 'xy')", ["axyc,d:e", "10", None]),
        ("replace(s, '', 'y')", ["abc,d:e", "10", None]),
        ("reverse(s)", ["e:d,cba", "01", None]),
        ("s like 'a%_e'", [True, False, None]),
        ("s not like '1_'", [True, False, None]),
        ("ilike_match(s, 'AB%')", [True, False, None]),
        ("like_match(s, '%e%')", [True, False, None]),
        ("hex(s)", ["6162632C643A65", "3130", None]),
        ("hex(m)", ["FFFC", "7", None]),
        ("hex(d)", ["FFFFFFFFFFFFFFFD", "0", None]),
        ("unhex(s)", [None, "\x10", None]),
        ("join(split(s, ','), '|')", ["abc|d:e", "10", ""]),
        ("join(split_by_key(s, ',', ':'), '|')", ["d", "", ""]),
        ("join(split_by_value(s, ',', ':'), '|')", ["e", "", ""]),
        ("size(split(s, ','))", [2, 1, 0]),
        ("nvl2(s, i, m)", [12, -1, None]),
    ],
)
def test_strings(expr: str, expected: list[Any], tmp_path: Path) -> None:
    assert values(expr, tmp_path) == expected


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("abs(m)", [4, 7, None]),
        ("ceil(d)", [-2.0, 1.0, None]),
        ("floor(i)", [12, -1, None]),
        ("round(d)", [-3.0, 0.0, None]),
        ("round(i, -1)", [10, 0, None]),
        ("round(d, 1)", [-2.5, 0.1, None]),
        ("truncate(d)", [-2.0, 0.0, None]),
        ("sqrt(f)", [0.7071067690849304, None, None]),
        ("pow(i, 2)", [144.0, 1.0, None]),
        ("log(2, i)", [math.log(12) / math.log(2), None, None]),
        ("atan2(i, m)", [math.atan2(12, -4), math.atan2(-1, 7), None]),
        ("radians(i)", [0.20943951023931953, -0.017453292519943295, None]),
        ("radians(2147483647)", [37480660.27288565] * 3),
        ("pmod(m, 3)", [2, 1, None]),
        ("pmod(m, 0)", [None, None, None]),
        ("maximum(i, m)", [12, 7, None]),
        ("minimum(l, i)", [5, -1, None]),  # where a NULL is compared, the second
    ],
)
def test_numbers(expr: str, expected: list[Any], tmp_path: Path) -> None:
    got = values(expr, tmp_path)
    assert [None if isinstance(value, float) and math.isnan(value) else value for value in got] == expected


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("dayofyear(a)", [60, None, 1]),
        ("weekofyear(a)", [9, None, 1]),
        ("last_day(a)", [date(2016, 2, 29), None, date(1970, 1, 31)]),
        ("add_months(a, -12)", [date(2015, 2, 28), None, date(1969, 1, 1)]),
        ("add_months(date('2012-01-31'), 1)", [date(2012, 2, 29)] * 3),
        ("date_format(a, '%d.%m.%Y')", ["29.02.2016", None, "01.01.1970"]),
        ("date_format(ts, '%Y-%m-%d %H:%M')", ["2016-07-01 00:00"] * 3),
        ("datediff(a, '2016-01-01')", [59, None, -16801]),
        ("datediff('2016-02-29 20:00:00', a)", [1, None, 16861]),  # the text is read in UTC
        ("unix_timestamp('2016-02-29 10:11:12')", [1456711872] * 3),
        ("date(ts)", [date(2016, 7, 1)] * 3),
        ("date('20160229')", [date(2016, 2, 29)] * 3),
        ("date(s)", [None, None, None]),
        ("timestamp(a)", [1456675200000, None, -28800000]),
        ("string(ts)", ["2016-07-01 00:00:00"] * 3),
        ("string(a)", ["2016-02-29", None, "1970-01-01"]),
        ("string(d)", ["-2.5", "0.1", None]),
        ("string(b)", ["true", "false", None]),
        # Before 1970 towards zero, as C divides.
        ("second(-59999L)", [-59] * 3),
        ("minute(-60001L)", [-1] * 3),
        ("hour(-86400000L)", [-16] * 3),
        ("day(-28800001L)", [1] * 3),
        ("year(-99999999999L)", [1966] * 3),
    ],
)
def test_dates_and_casts(expr: str, expected: list[Any], tmp_path: Path) -> None:
    assert values(expr, tmp_path) == expected
