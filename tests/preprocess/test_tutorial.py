"""The tutorial's encoding: Spark's CSV text, pandas' types, xxh64 of the text; pandas itself is the judge."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pytest
import xxhash
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jdrec.errors import DataError
from jdrec.features.types import SqlType
from jdrec.preprocess.csv_text import csv_text
from jdrec.preprocess.pandas_types import MISSING, TypeGuess, parse_float, typed_text
from jdrec.preprocess.tutorial import ColumnTypeFitter, Tutorial

ZONE = ZoneInfo("Asia/Shanghai")
pandas_before_3 = pytest.mark.skipif(int(pd.__version__.split(".")[0]) >= 3, reason="pandas 3 parses floats in another way")


@pytest.mark.parametrize(
    ("value", "sql_type", "text"),
    [
        (None, SqlType.INT, "null"),
        (" 1,,NULL\n", SqlType.STRING, "1,,NULL"),
        (-5, SqlType.BIGINT, "-5"),
        (1, SqlType.BOOL, "true"),
        (1_459_419_080_000, SqlType.TIMESTAMP, "2016-03-31T18:11:20.000+08:00"),
        (-1, SqlType.TIMESTAMP, "1970-01-01T07:59:59.999+08:00"),
        (16_891, SqlType.DATE, "2016-03-31"),
        (0.019200000911951065, SqlType.FLOAT, "0.0192"),
        (0.019200000911951065, SqlType.DOUBLE, "0.019200000911951065"),
        (1.0, SqlType.DOUBLE, "1.0"),
        (0.001, SqlType.DOUBLE, "0.001"),
        (0.00012, SqlType.DOUBLE, "1.2E-4"),
        (1234567.0, SqlType.DOUBLE, "1234567.0"),
        (12345678.0, SqlType.DOUBLE, "1.2345678E7"),
        (1e10, SqlType.FLOAT, "1.0E10"),
        (-2.5, SqlType.DOUBLE, "-2.5"),
        (0.0, SqlType.DOUBLE, "0.0"),
        (-0.0, SqlType.DOUBLE, "-0.0"),
        (float("nan"), SqlType.DOUBLE, "NaN"),
        (float("-inf"), SqlType.FLOAT, "-Infinity"),
    ],
)
def test_text_in_the_csv(value: Any, sql_type: SqlType, text: str) -> None:
    assert csv_text(value, sql_type, ZONE) == text


def test_utc_is_written_as_z() -> None:
    assert csv_text(0, SqlType.TIMESTAMP, ZoneInfo("UTC")) == "1970-01-01T00:00:00.000Z"
    with pytest.raises(DataError, match="outside the years"):
        csv_text(10**17, SqlType.TIMESTAMP, ZONE)


def cells(texts: list[str]) -> list[str]:
    guess = TypeGuess()
    guess.update(texts)
    return [typed_text(text, guess.type()) for text in texts]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["80005", "007"], ["80005", "7"]),
        (["1", "null"], ["1.0", "nan"]),
        (["0.0192", "2"], ["0.0192", "2.0"]),
        (["1,,NULL", "NULL", ""], ["1,,NULL", "nan", "nan"]),
        (["true", "false"], ["True", "False"]),
        (["true", "null"], ["True", "nan"]),
        (["1", "x"], ["1", "x"]),
        (["1.2E-4", "Infinity"], ["0.00012", "inf"]),
        (["null"], ["nan"]),
        (["18446744073709551615"], ["18446744073709551615"]),
        (["9223372036854775808", "null"], ["9223372036854775808", "null"]),
    ],
)
def test_cells_as_pandas_reads_them(texts: list[str], expected: list[str]) -> None:
    assert cells(texts) == expected == read_by_pandas(texts)


def read_by_pandas(texts: list[str]) -> list[str]:
    lines = "\n".join('"' + text.replace('"', '""') + '"' for text in texts)
    return [str(value) for value in pd.read_csv(io.StringIO(f"x\n{lines}\n"))["x"]]


NUMBERS = st.one_of(
    st.integers(-(2**66), 2**66).map(str),
    st.integers(-9, 9).map(str),
    st.floats().map(repr),
    st.floats(width=32).map(lambda value: csv_text(value, SqlType.FLOAT, ZONE)),
    st.floats().map(lambda value: csv_text(value, SqlType.DOUBLE, ZONE)),
    st.text("0123456789.+-eE", min_size=1, max_size=8),
)
WORDS = st.one_of(st.sampled_from([*sorted(MISSING), "true", "FALSE", "inf", "-Infinity", "1e5", "-0"]), st.text("ab,1N ", max_size=3))


@pandas_before_3
@settings(max_examples=150, deadline=None)
@given(st.one_of(st.lists(NUMBERS, min_size=1, max_size=5), st.lists(st.one_of(NUMBERS, WORDS), min_size=1, max_size=5)))
@example(["", "-9223372036854775808"])
@example(["-1", "18446744073709551616"])
@example(["123456789012345678901234567890.5"])
@example(["9223372036854775808", "-0.0"])
@example(["1E-310", "4.9E-324", "1.7976931348623157E308"])
@example(["true", "True", ""])
def test_types_are_those_of_pandas(texts: list[str]) -> None:
    trimmed = [text.strip() for text in texts]  # as Spark writes them
    assert cells(trimmed) == read_by_pandas(trimmed)


@pandas_before_3
@settings(max_examples=80, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False).map(repr))
def test_floats_are_parsed_as_by_pandas(text: str) -> None:
    parsed = parse_float(text)
    assert parsed is not None
    assert read_by_pandas([text, "0.5"])[0] == repr(parsed)


def fitted(sql_type: SqlType, *batches: list[Any]) -> Tutorial:
    fitter = ColumnTypeFitter("f", sql_type, "Asia/Shanghai")
    for batch in batches:
        fitter.update(pa.array(batch, sql_type.arrow))
    return Tutorial("f", sql_type, fitter.type(), 10, "Asia/Shanghai")


def id_of(text: str) -> int:
    return xxhash.xxh64_intdigest(text.encode(), 10)


def ids(codec: Tutorial, sql_type: SqlType, values: list[Any]) -> list[int]:
    return [value % 2**64 for value in codec.column(pa.array(values, sql_type.arrow)).tolist()]


def test_a_column_is_typed_over_all_batches() -> None:
    codec = fitted(SqlType.STRING, ["3", "1"], ["2", None])
    assert codec.column_type == "integers with gaps"
    assert ids(codec, SqlType.STRING, ["3", None, "3", ""]) == [id_of("3.0"), id_of("nan"), id_of("3.0"), id_of("nan")]


def test_typed_columns() -> None:
    assert ids(fitted(SqlType.BIGINT, [4, 26]), SqlType.BIGINT, [4]) == [id_of("4")]
    assert ids(fitted(SqlType.INT, [4, None]), SqlType.INT, [4, None]) == [id_of("4.0"), id_of("nan")]
    assert ids(fitted(SqlType.FLOAT, [0.0192]), SqlType.FLOAT, [0.0192, 0.0]) == [id_of("0.0192"), id_of("0.0")]
    moment = dt.datetime(2016, 3, 31, 10, 11, 20, tzinfo=dt.timezone.utc)
    assert ids(fitted(SqlType.TIMESTAMP, [moment]), SqlType.TIMESTAMP, [moment]) == [id_of("2016-03-31T18:11:20.000+08:00")]
    assert ids(fitted(SqlType.BOOL, [True, None]), SqlType.BOOL, [True, False]) == [id_of("True"), id_of("False")]
    assert ids(fitted(SqlType.DATE, [dt.date(2016, 3, 31)]), SqlType.DATE, [dt.date(2016, 3, 31)]) == [id_of("2016-03-31")]


def test_online_a_value_is_typed_as_its_training_column_was() -> None:
    codec = fitted(SqlType.STRING, ["1", None])
    assert codec.value("3") % 2**64 == id_of("3.0")
    assert codec.value(None) == codec.value("") == codec.value("NULL") == codec.null_id
    assert codec.value("new text") % 2**64 == id_of("new text")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_value_has_the_id_that_its_column_gives_it(data: st.DataObject) -> None:
    kinds = {SqlType.STRING: st.text(max_size=9), SqlType.INT: st.integers(-99, 99), SqlType.FLOAT: st.floats(width=32)}
    sql_type = data.draw(st.sampled_from(sorted(kinds)))
    values = data.draw(st.lists(st.one_of(st.none(), kinds[sql_type]), min_size=1, max_size=6))
    codec = fitted(sql_type, values)
    assert codec.column(pa.array(values, sql_type.arrow)).tolist() == [codec.value(value) for value in values]
