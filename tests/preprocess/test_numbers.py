"""Numbers as quantile buckets, and as standardised numbers."""

from __future__ import annotations

import math
import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jdrec.features.types import SqlType
from jdrec.preprocess.bucket import Bucket, quantile_bounds
from jdrec.preprocess.canonical import bucket_ids
from jdrec.preprocess.standard import Moments, Standard

NAN = float("nan")


def bucket(bounds: list[float], sql_type: SqlType = SqlType.DOUBLE) -> Bucket:
    return Bucket("f", sql_type, bounds, *bucket_ids("f", len(bounds) + 1, 10))


@pytest.mark.parametrize(
    ("sample", "buckets", "bounds"),
    [
        ([1, 2, 2, 3, NAN], 4, [2.0, 3.0]),  # few distinct values: a bucket each
        ([1, 2, 3, 4, 5, 6, 7, 8], 4, [3.0, 5.0, 7.0]),  # quarters
        ([0] * 90 + list(range(1, 11)), 4, []),  # three quartiles are the smallest value itself
        ([0] * 50 + list(range(1, 51)), 4, [1.0, 26.0]),
        ([5, 5], 4, []),
        ([NAN, math.inf], 4, []),
        ([], 4, []),
    ],
)
def test_bounds(sample: list[float], buckets: int, bounds: list[float]) -> None:
    assert quantile_bounds(np.array(sample, np.float64), buckets) == bounds


def test_buckets() -> None:
    codec = bucket([3.0, 5.0])
    values = [-math.inf, 2.9, 3.0, 4.9, 5.0, math.inf, None, NAN]
    assert codec.buckets(pa.array(values)).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    ids, null = bucket_ids("f", 3, 10)
    assert codec.column(pa.array(values)).tolist() == [ids[0], ids[0], ids[1], ids[1], ids[2], ids[2], null, null]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(width=32)), max_size=8), st.lists(st.floats(-10, 10), max_size=5, unique=True))
def test_a_value_falls_where_its_column_says(values: list[float | None], bounds: list[float]) -> None:
    for codec in (bucket(sorted(bounds), SqlType.FLOAT), Standard("f", SqlType.FLOAT, 1.5, 0.3, -2.0, 7.0)):
        assert codec.column(pa.array(values, pa.float32())).tolist() == [codec.value(value) for value in values]


def number(bits: int) -> float:
    return struct.unpack("<d", struct.pack("<q", bits))[0]


def test_standardised() -> None:
    codec = Standard("f", SqlType.INT, 4.0, 2.0, 0.0, 10.0)
    assert [number(bits) for bits in codec.column(pa.array([4, 8, None, 3], pa.int32()))] == [0.0, 2.0, 0.0, -0.5]


def test_unusual_numbers_stay_finite() -> None:
    codec = Standard("f", SqlType.DOUBLE, 4.0, 2.0, 0.0, 10.0)
    values = [math.inf, -math.inf, NAN, 1e300]
    expected = [3.0, -2.0, 0.0, float(np.finfo(np.float32).max)]
    assert [number(bits) for bits in codec.column(pa.array(values))] == expected
    assert [number(codec.value(value)) for value in values] == expected


def test_a_constant_is_zero() -> None:
    codec = Standard("f", SqlType.DOUBLE, 4.0, 0.0, 4.0, 4.0)
    assert number(codec.value(4.0)) == 0.0
    assert number(codec.value(5.0)) == 1.0


def test_rounded_to_what_samples_hold() -> None:
    bits = Standard("f", SqlType.DOUBLE, 0.0, 3.0, 0.0, 1.0).value(1.0)
    assert number(bits) == float(np.float32(1 / 3))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=5), max_size=5))
def test_moments_do_not_depend_on_batches(batches: list[list[float]]) -> None:
    moments = Moments()
    for batch in batches:
        moments.update(np.array([*batch, NAN, math.inf]))
    everything = np.array([value for batch in batches for value in batch])
    assert moments.count == len(everything)
    if len(everything):
        assert moments.mean == pytest.approx(everything.mean(), rel=1e-9, abs=1e-6)
        assert moments.std == pytest.approx(everything.std(), rel=1e-6, abs=1e-4)
        assert (moments.min, moments.max) == (everything.min(), everything.max())
