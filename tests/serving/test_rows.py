"""Request rows from JSON: every type, every mistake, and nothing that crashes."""

from __future__ import annotations

import datetime
import json

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jdrec.serving.failures import InvalidRequest
from jdrec.serving.rows import RowReader
from tests.serving.small_definitions import COLUMNS, ROW, every_type

READER = RowReader(every_type(), max_rows=3)


def read(row: object) -> list[dict]:
    return READER.read(json.dumps(row).encode())


def refusal(row: object) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as error:
        read(row)
    return error.value


def test_one_row():
    assert read(ROW) == [{**ROW, "day": datetime.date(2016, 3, 31)}]


def test_rows_come_in_order_with_the_tables_column_order():
    backwards = dict(reversed({**ROW, "id": "r2"}.items()))
    rows = read([ROW, backwards])
    assert [row["id"] for row in rows] == ["r1", "r2"]
    assert list(rows[1]) == list(COLUMNS)


def test_null_is_a_value_except_in_key_and_time():
    nulls = {**dict.fromkeys(COLUMNS), "id": "r1", "at": 5}
    assert read(nulls) == [nulls]
    error = refusal({**ROW, "id": None, "at": None})
    assert [(d["field"], d["message"]) for d in error.details] == [("id", "must not be null"), ("at", "must not be null")]


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2016-03-31T18:11:20+08:00", 1459419080000),
        ("2016-03-31 18:11:20", 1459419080000),  # no zone: the data set's, UTC+8
        ("2016-03-31T10:11:20Z", 1459419080000),
        ("2016-03-31T10:11:20.0429Z", 1459419080042),
        ("2016-03-31T10:11Z", 1459419060000),
        ("2016-03-31T15:41:20.5+0530", 1459419080500),
        ("1970-01-01T00:00:00.001Z", 1),
    ],
)
def test_times(text, milliseconds):
    assert read({**ROW, "at": text})[0]["at"] == milliseconds


WRONG = [
    ("at", "yesterday", "must be epoch milliseconds"),
    ("at", "2016-02-30T00:00:00Z", "must be epoch milliseconds"),
    ("at", "0001-01-01T00:00:00+08:00", "is not a time between 1970 and 9999"),
    ("at", 1459419080.5, "must be epoch milliseconds"),
    ("at", -1, "is not a time between 1970 and 9999"),
    ("at", 2**62, "must be epoch milliseconds"),
    ("at", True, "must be epoch milliseconds"),
    ("user", 5, "must be text, not an integer"),
    ("flag", 1, "must be true or false, not an integer"),
    ("flag", "true", "must be true or false, not text"),
    ("small", 2**15, "must be an integer of 16 bits"),
    ("count", -(2**31) - 1, "must be an integer of 32 bits"),
    ("count", 1.0, "must be an integer, not a number"),
    ("count", True, "must be an integer, not true/false"),
    ("count", "1", "must be an integer, not text"),
    ("big", 2**63, "must be an integer of 64 bits"),
    ("rate", 1e39, "is too large for its type"),
    ("rate", [], "must be a number, not a list"),
    ("score_hint", {}, "must be a number, not an object"),
    ("day", "2016-3-31", "must be a date"),
    ("day", "2016-13-01", "must be a date"),
    ("day", "２016-03-31", "must be a date"),
]


@pytest.mark.parametrize(("field", "value", "message"), WRONG)
def test_a_wrong_value_names_row_field_and_type(field, value, message):
    error = refusal([ROW, {**ROW, field: value}])
    assert error.status == 422
    assert [(d["row"], d["field"], d["expected"]) for d in error.details] == [(1, field, COLUMNS[field].value)]
    assert error.details[0]["message"].startswith(message)


def test_a_missing_and_an_unknown_field_with_the_nearest_name():
    row = {**ROW, "usr": "u1"}
    del row["user"]
    error = refusal(row)
    assert [(d["field"], d["message"], d["hint"]) for d in error.details] == [
        ("user", "is missing", ""),
        ("usr", "is not a column of the request table", "Did you mean 'user'?"),
    ]


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"", 400, "invalid_json"),
        (b"{", 400, "invalid_json"),
        (b'{"a": NaN}', 400, "invalid_json"),
        (b'"\xff"', 400, "invalid_json"),
        (b"[" * 100_000, 400, "invalid_json"),
        (b"[]", 400, "no_rows"),
        (b"3", 400, "not_rows"),
        (b"[{}, 3]", 400, "not_rows"),
        (b"[{},{},{},{}]", 413, "too_many_rows"),
    ],
)
def test_a_body_that_is_not_rows(body, status, kind):
    with pytest.raises(InvalidRequest) as error:
        READER.read(body)
    assert (error.value.status, error.value.kind) == (status, kind)


def test_the_list_of_problems_is_bounded():
    error = refusal({f"x{i}": i for i in range(1000)})
    assert len(error.details) == 20


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "at", "x"]), inner, max_size=3),
    max_leaves=8,
)
near_rows = st.fixed_dictionaries({}, optional={name: st.just(value) | json_values for name, value in ROW.items()})


@settings(max_examples=250, deadline=None)
@given(st.one_of(near_rows, st.lists(near_rows, max_size=4), json_values).map(lambda v: json.dumps(v).encode()) | st.binary(max_size=60))
@example(b'{"at": 1e400}')
@example(b'{"id": "\\ud800"}')
def test_any_body_gives_rows_or_a_clear_refusal(body):
    try:
        rows = READER.read(body)
    except InvalidRequest as error:
        assert error.status in (400, 413, 422)
        orjson.dumps(error.details)
    else:
        assert all(list(row) == list(COLUMNS) for row in rows)
