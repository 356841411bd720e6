"""Functions of one row by literal examples; the expected values are what OpenMLDB's engine on Spark gave."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from jdrec.engines.embedded.json_text import get_json_object
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
        ("s ilike 'AB%'", [True, False, None]),
        ("s not ilike 'AB%'", [False, True, None]),
        ("s like 'abc!,%' escape '!'", [True, False, None]),
        ("s like 'abc!%' escape '!'", [False, False, None]),
        ("s ilike 'ABC%' escape ''", [True, False, None]),
        ("s rlike '[a-c]+,.*'", [True, False, None]),
        ("s not rlike 'abc'", [True, True, None]),  # the whole has to match
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
    ("pattern", "flags", "expected"),
    [
        ("a+b", "c", [True, False, False, False]),
        ("A+B", "i", [True, False, False, False]),
        ("A+B", "ic", [False] * 4),  # the later one counts
        ("a.b", "c", [False] * 4),
        ("a.b", "s", [False, True, False, False]),
        ("a$[^b]b", "m", [False, True, False, False]),
        ("a$[^b]b", "c", [False] * 4),
        ("a**b?", "c", [True, False, False, True]),  # a repetition of a repetition
        ("[[:digit:]]{2}", "c", [False, False, True, False]),
        ("[0-9]{2}{1}", "c", [False, False, True, False]),
        ("\\\\\\\\d+", "c", [None] * 4),  # \\d for YAML and for SQL; POSIX has none
        ("(?:a)b", "c", [None] * 4),
        ("a)|(b", "c", [None] * 4),
        ("(", "c", [None] * 4),
    ],
)
def test_regular_expressions(pattern: str, flags: str, expected: list[Any], tmp_path: Path) -> None:
    texts = ["ab", "a\nb", "12", ""]
    feature_set = feature_set_of({"t1": COLUMNS}, f"features: {{y: {{expr: \"regexp_like(s, '{pattern}', '{flags}')\"}}, z: {{expr: \"regexp_like(s, concat('{pattern}', if_null(c, '')), '{flags}')\"}}}}")  # fmt: skip
    rows = [{"id": str(n), "ts": 1467302400000 + n, "s": text} for n, text in enumerate([*texts, None])]
    found = batch(feature_set, write_tables(feature_set, {"t1": rows}, tmp_path), tmp_path)
    assert [row["y"] for row in found] == [*expected, None]
    assert [row["z"] for row in found] == [*expected, None]  # a pattern of each row's own


JSON = '{"a": 1, "b": {"c": [10, "x\\ny", null, 1.50 , {"d": [ ]}]}, "a": 2, "m~n": 8, "m/n": 9, "k\\"q": "\\u00e9", "bad": "\\ud800"}'


@pytest.mark.parametrize(
    ("text", "pointer", "expected"),
    [
        (JSON, "/a", "1"),  # the first of that name
        (JSON, "/b", '{"c": [10, "x\\ny", null, 1.50 , {"d": [ ]}]}'),
        (JSON, "/b/c/0", "10"),
        (JSON, "/b/c/1", "x\ny"),
        (JSON, "/b/c/2", "null"),
        (JSON, "/b/c/3", "1.50"),
        (JSON, "/b/c/4", '{"d": [ ]}'),
        (JSON, "/b/c/4/d", "[ ]"),
        (JSON, "/b/c/5", None),
        (JSON, "/b/c/00", None),
        (JSON, "/b/c/-", None),
        (JSON, "/m~0n", "8"),
        (JSON, "/m~1n", "9"),
        (JSON, "/m~2n", None),
        (JSON, '/k\\"q', "é"),  # keys as they are written
        (JSON, '/k"q', None),
        (JSON, "/bad", None),  # half a character
        (JSON, "a", None),
        (JSON, "/a/x", None),
        (" [1, [2, 3]] ", "", "[1, [2, 3]]"),
        (" [1, [2, 3]] ", "/1/1", "3"),
        ('"x"', "", None),
        ("[1, 2", "", None),
        ("", "", None),
    ],
)
def test_json_pointers(text: str, pointer: str, expected: str | None) -> None:
    assert get_json_object(text, pointer) == expected


def test_json(tmp_path: Path) -> None:
    texts = ['{"a": [1, {"b": 2}]}', "[1, [2, 3], {}]", "[]", "{}", "1", "no", None]
    feature_set = feature_set_of({"t1": COLUMNS}, "features: {y: {expr: \"get_json_object(s, '/a/1')\"}, z: {expr: json_array_length(s)}}")
    rows = [{"id": str(n), "ts": 1467302400000 + n, "s": text} for n, text in enumerate(texts)]
    found = batch(feature_set, write_tables(feature_set, {"t1": rows}, tmp_path), tmp_path)
    assert [row["y"] for row in found] == ['{"b": 2}', None, None, None, None, None, None]
    assert [row["z"] for row in found] == [None, 3, 0, None, None, None, None]


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
        ("hash64(i)", [7211846245439209908, 3427172234988467876, None]),
        ("farm_fingerprint(s) = hash64('10')", [False, True, None]),
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
        ("int(a)", [None, None, None]),  # a date is no number
        ("bool(a)", [None, None, None]),
        ("if_null(double(a), 0.5)", [0.5] * 3),
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
