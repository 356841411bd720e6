"""The canonical encoding: literal ids, and one id for one value whatever it came in."""

from __future__ import annotations

import datetime as dt
import io
import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from jdrec.errors import DataError
from jdrec.features.types import SqlType
from jdrec.preprocess import canonical
from jdrec.preprocess.arrow import one_array
from jdrec.preprocess.canonical import Canonical

UTC = dt.timezone.utc
STRINGS = [-8982732812767529259, 6487128669788175962, -580841909059404763]
INTEGERS = [-3106959069437451525, -5992593709396384467, -580841909059404763]
DOUBLES = [-8555164444891672948, 5028811124325342008, -580841909059404763]
SHANGHAI = dt.timezone(dt.timedelta(hours=8))


def ids(sql_type: SqlType, values: list[Any], arrow: pa.DataType | None = None, name: str = "f") -> list[int]:
    return Canonical(name, sql_type, 10).column(pa.array(values, arrow)).tolist()


def test_literal_ids() -> None:
    """A change here makes every stored model void."""
    assert ids(SqlType.STRING, ["80005", "", None]) == STRINGS
    assert ids(SqlType.BIGINT, [80005, 0, None]) == INTEGERS
    assert ids(SqlType.DOUBLE, [0.5, float("nan"), None]) == DOUBLES


def test_the_specification_step_by_step() -> None:
    seed = xxhash.xxh64_intdigest(b"sbrand", 10)
    assert ids(SqlType.STRING, ["Ω"], name="brand")[0] % 2**64 == xxhash.xxh64_intdigest("Ω".encode(), seed)
    seed = xxhash.xxh64_intdigest(b"tbrand", 10)
    millisecond = (1_459_419_080_000).to_bytes(8, "little")
    assert ids(SqlType.TIMESTAMP, [1_459_419_080_000], name="brand")[0] % 2**64 == xxhash.xxh64_intdigest(millisecond, seed)
    null = xxhash.xxh64_intdigest(b"", xxhash.xxh64_intdigest(b"nbrand", 10))
    assert ids(SqlType.DATE, [None], pa.date32(), name="brand")[0] % 2**64 == null


def test_null_is_a_value_of_its_own() -> None:
    for sql_type, zero in ((SqlType.STRING, ""), (SqlType.INT, 0), (SqlType.DOUBLE, float("nan")), (SqlType.BOOL, False)):
        null, other = ids(sql_type, [None, zero])
        assert null != other


def test_fields_are_salted_by_name() -> None:
    assert ids(SqlType.STRING, ["0"], name="a") != ids(SqlType.STRING, ["0"], name="b")
    assert ids(SqlType.STRING, [None], name="a") != ids(SqlType.STRING, [None], name="b")
    assert ids(SqlType.STRING, ["5"]) != ids(SqlType.BIGINT, [5])


def test_the_declared_type_decides_not_the_files() -> None:
    assert ids(SqlType.BIGINT, [5, None], pa.int8()) == ids(SqlType.BIGINT, [5, None], pa.int64())
    assert ids(SqlType.INT, [5], pa.uint64()) == ids(SqlType.INT, [5], pa.int32()) == ids(SqlType.BIGINT, [5])
    assert ids(SqlType.INT, ["5", None]) == ids(SqlType.INT, [5, None])  # text of a CSV
    assert ids(SqlType.STRING, [80005], pa.int64()) == ids(SqlType.STRING, ["80005"])  # a CSV reader's guess
    assert ids(SqlType.FLOAT, [0.0192], pa.float64()) == ids(SqlType.FLOAT, [0.0192], pa.float32())
    assert ids(SqlType.DOUBLE, [0.0192]) != ids(SqlType.FLOAT, [0.0192])  # another value: a float is rounded to 32 bits
    assert ids(SqlType.DOUBLE, [0.5]) == ids(SqlType.FLOAT, [0.5])
    assert ids(SqlType.DOUBLE, [16777217], pa.int64()) == ids(SqlType.DOUBLE, [16777217.0])
    assert ids(SqlType.DOUBLE, [-0.0]) == ids(SqlType.DOUBLE, [0.0])
    assert ids(SqlType.BOOL, [True, False, None]) == ids(SqlType.BOOL, ["true", "false", None])
    assert ids(SqlType.DATE, [dt.date(2016, 3, 31)]) == ids(SqlType.DATE, ["2016-03-31"])
    assert ids(SqlType.DATE, [dt.date(2016, 3, 31)], pa.date64()) == ids(SqlType.DATE, [dt.date(2016, 3, 31)], pa.date32())


def test_every_nan_is_one_value() -> None:
    other_nan = np.array([0x7FF8000000000000, 0xFFF8000000000001], np.uint64).view(np.float64)
    first, second = Canonical("f", SqlType.DOUBLE, 10).column(pa.array(other_nan))
    assert first == second == Canonical("f", SqlType.DOUBLE, 10).value(math.nan)


def test_a_timestamp_is_an_instant() -> None:
    instant = dt.datetime(2016, 3, 31, 10, 11, 20, 123000, tzinfo=UTC)
    expected = ids(SqlType.TIMESTAMP, [1_459_419_080_123, None], pa.int64())
    for unit in ("ms", "us", "ns"):
        for zone in ("UTC", "Asia/Shanghai"):
            assert ids(SqlType.TIMESTAMP, [instant, None], pa.timestamp(unit, zone)) == expected
    assert ids(SqlType.TIMESTAMP, [instant.replace(tzinfo=None), None], pa.timestamp("us")) == expected
    assert Canonical("f", SqlType.TIMESTAMP, 10).value(instant.astimezone(SHANGHAI)) == expected[0]
    assert Canonical("f", SqlType.TIMESTAMP, 10).value(1_459_419_080_123) == expected[0]
    early = dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)  # floored to -1 ms, not cut to 0
    assert ids(SqlType.TIMESTAMP, [early], pa.timestamp("us", "UTC")) == ids(SqlType.TIMESTAMP, [-1], pa.int64())
    assert Canonical("f", SqlType.TIMESTAMP, 10).value(early) == ids(SqlType.TIMESTAMP, [-1], pa.int64())[0]


def test_slices_and_dictionaries_are_read_in_place() -> None:
    codec = Canonical("f", SqlType.TIMESTAMP, 10)
    column = pa.array([5_000_000, None, 7_000_000, None, 9_000_000], pa.timestamp("us", "UTC"))
    assert codec.column(column.slice(1, 3)).tolist() == codec.column(column).tolist()[1:4]
    strings = pa.array(["x", None, "y", "", "x"])
    expected = ids(SqlType.STRING, ["x", None, "y", "", "x"])

    assert Canonical("f", SqlType.STRING, 10).column(one_array(strings.dictionary_encode())).tolist() == expected
    assert Canonical("f", SqlType.STRING, 10).column(strings.slice(2)).tolist() == expected[2:]
    assert Canonical("f", SqlType.STRING, 10).column(strings.cast(pa.large_string())).tolist() == expected
    assert len(Canonical("f", SqlType.STRING, 10).column(pa.array([], pa.string()))) == 0
    assert ids(SqlType.STRING, [None, None], pa.null()) == ids(SqlType.STRING, [None, None])


ROWS: list[dict[str, Any]] = [
    {"s": "a,b", "i": 5, "f": 0.0192, "d": 1e-7, "b": True, "day": "2016-03-31", "t": 1459419080000},
    {"s": "0", "i": -1, "f": 3.0, "d": 0.1, "b": False, "day": "1969-12-31", "t": 0},
    {"s": None, "i": None, "f": None, "d": None, "b": None, "day": None, "t": None},
]
TYPES = {
    "s": SqlType.STRING,
    "i": SqlType.INT,
    "f": SqlType.FLOAT,
    "d": SqlType.DOUBLE,
    "b": SqlType.BOOL,
    "day": SqlType.DATE,
    "t": SqlType.TIMESTAMP,
}


def test_parquet_csv_json_and_python_give_the_same_ids() -> None:
    """Each reader guesses its own physical types: int64, double, date32, string."""
    text = "s,i,f,d,b,day,t\n" + '"a,b",5,0.0192,1e-7,true,2016-03-31,1459419080000\n' + "0,-1,3,0.1,false,1969-12-31,0\n,,,,,,\n"
    options = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
    from_csv = pyarrow.csv.read_csv(io.BytesIO(text.encode()), convert_options=options)
    from_json = pyarrow.json.read_json(io.BytesIO("\n".join(map(json.dumps, ROWS)).encode()))
    buffer = io.BytesIO()
    typed = {
        "s": pa.array(["a,b", "0", None]),
        "i": pa.array([5, -1, None], pa.int32()),
        "f": pa.array([0.0192, 3.0, None], pa.float32()),
        "d": pa.array([1e-7, 0.1, None]),
        "b": pa.array([True, False, None]),
        "day": pa.array([dt.date(2016, 3, 31), dt.date(1969, 12, 31), None]),
        "t": pa.array([1459419080000, 0, None], pa.timestamp("ms", "UTC")),
    }
    pq.write_table(pa.table(typed), buffer)
    from_parquet = pq.ParquetFile(buffer).read()
    for name, sql_type in TYPES.items():
        codec = Canonical(name, sql_type, 10)
        expected = [codec.value(row[name]) for row in ROWS]
        for table in (from_csv, from_json, from_parquet):
            assert codec.column(table[name].combine_chunks()).tolist() == expected, (name, table[name].type)


@pytest.mark.parametrize(
    ("sql_type", "values", "arrow"),
    [
        (SqlType.SMALLINT, [70000], pa.int64()),
        (SqlType.INT, [1.5], pa.float64()),
        (SqlType.INT, ["five"], pa.string()),
        (SqlType.STRING, [1.5], pa.float64()),
        (SqlType.TIMESTAMP, ["2016-03-31"], pa.string()),
        (SqlType.DATE, ["yesterday"], pa.string()),
    ],
)
def test_a_value_of_another_type_is_an_error(sql_type: SqlType, values: list[Any], arrow: pa.DataType) -> None:
    with pytest.raises(DataError, match="'clicks'"):
        Canonical("clicks", sql_type, 10).column(pa.array(values, arrow))
    with pytest.raises(DataError, match=f"is no {sql_type.value}, which 'clicks' is declared to be"):
        Canonical("clicks", sql_type, 10).value(values[0])


SCALARS = {
    SqlType.BOOL: st.booleans(),
    SqlType.SMALLINT: st.integers(-(2**15), 2**15 - 1),
    SqlType.BIGINT: st.integers(-(2**63), 2**63 - 1),
    SqlType.FLOAT: st.floats(width=32),
    SqlType.DOUBLE: st.floats(),
    SqlType.STRING: st.text(max_size=40),
    SqlType.DATE: st.dates(),
    SqlType.TIMESTAMP: st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1), timezones=st.sampled_from([UTC, SHANGHAI])),
}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_value_has_the_id_that_its_column_gives_it(data: st.DataObject) -> None:
    sql_type = data.draw(st.sampled_from(sorted(SCALARS)))
    values = data.draw(st.lists(st.one_of(st.none(), SCALARS[sql_type]), max_size=6))
    codec = Canonical("f", sql_type, 10)
    arrow = pa.timestamp("us", "UTC") if sql_type is SqlType.TIMESTAMP else sql_type.arrow
    assert codec.column(pa.array(values, arrow)).tolist() == [codec.value(value) for value in values]


def test_bucket_ids_are_salted_too() -> None:
    first, null = canonical.bucket_ids("a", 3, 10)
    second, _ = canonical.bucket_ids("b", 3, 10)
    assert len({*first.tolist(), *second.tolist(), null}) == 7
    assert null == Canonical("a", SqlType.INT, 10).null_id
