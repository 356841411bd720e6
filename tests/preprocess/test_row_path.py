"""Rows of plain values get the ids that the encoder gives the same values in columns."""

from __future__ import annotations

import datetime
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jdrec.errors import DataError
from jdrec.features.spec import Encoding
from jdrec.features.types import SqlType
from jdrec.preprocess.encoder import Encoder, Field
from jdrec.preprocess.row_path import RowEncoder

VALUES = {
    SqlType.BOOL: st.booleans(),
    SqlType.SMALLINT: st.integers(-(2**15), 2**15 - 1),
    SqlType.INT: st.integers(-(2**31), 2**31 - 1),
    SqlType.BIGINT: st.integers(-(2**63), 2**63 - 1),
    SqlType.FLOAT: st.floats(width=32),
    SqlType.DOUBLE: st.floats(),
    SqlType.STRING: st.text(st.characters(exclude_categories=("Cs",)), max_size=60),
    SqlType.DATE: st.dates(datetime.date(1900, 1, 1)),
    SqlType.TIMESTAMP: st.integers(0, 4_102_444_800_000),
}
NUMBERS = [type for type in VALUES if type.is_number]
FIELDS = (
    *(Field(f"hash_{type.value}", "x", type, Encoding.HASH) for type in VALUES),
    *(Field(f"bucket_{type.value}", "x", type, Encoding.BUCKET, bounds=(-1.5, 0.0, 7.0)) for type in NUMBERS),
    *(Field(f"number_{type.value}", "x", type, Encoding.NUMERIC, mean=0.3, std=1.7, least=-9.0, greatest=9.0) for type in NUMBERS),
    Field("constant", "x", SqlType.INT, Encoding.NUMERIC, mean=4.0, std=0.0, least=4.0, greatest=4.0),
)
ROWS = st.lists(st.tuples(*(st.none() | VALUES[field.type] for field in FIELDS)), min_size=1, max_size=4).flatmap(
    lambda rows: st.sampled_from([rows, rows * 8])  # few and many
)


def batch_of(rows: list[tuple]) -> pa.RecordBatch:
    columns = [pa.array([row[i] for row in rows], field.type.arrow) for i, field in enumerate(FIELDS)]
    return pa.RecordBatch.from_arrays(columns, [field.name for field in FIELDS])


@pytest.mark.parametrize("scheme", ["canonical", "tutorial"])
def test_ids_are_the_encoders(scheme):
    encoder = Encoder(FIELDS, scheme, 10, "Asia/Shanghai", "label", "label", {})
    row_encoder = RowEncoder(encoder, [field.name for field in FIELDS])

    @settings(max_examples=150, deadline=None)
    @given(ROWS)
    def check(rows):
        ids = row_encoder.encode(rows)
        assert (ids.dtype, ids.shape, ids.flags.c_contiguous) == (np.dtype(np.int64), (len(rows), len(FIELDS)), True)
        np.testing.assert_array_equal(ids, encoder.encode(batch_of(rows)))

    check()


def test_zeros_of_both_signs_keep_their_own_text_in_the_tutorials_encoding():
    field = Field("x", "x", SqlType.DOUBLE, Encoding.HASH, column_type="object")
    encoder = Encoder((field,), "tutorial", 10, "Asia/Shanghai", "label", "label", {})
    ids = RowEncoder(encoder, ["x"]).encode([(0.0,), (-0.0,), (0.0,)])
    assert ids[0] == ids[2] == encoder.encode_row({"x": 0.0})
    assert ids[1] == encoder.encode_row({"x": -0.0})


def test_other_columns_are_not_looked_at():
    encoder = Encoder(FIELDS[:1], "canonical", 10, "UTC", "label", "label", {})
    ids = RowEncoder(encoder, ["key", "hash_bool", "label"]).encode([(object(), True, math.nan)])
    assert ids.tolist() == [encoder.encode_row({"hash_bool": True})]


def test_a_missing_column_is_named():
    encoder = Encoder(FIELDS, "canonical", 10, "UTC", "label", "label", {})
    with pytest.raises(DataError, match="'hash_bool' is missing"):
        RowEncoder(encoder, ["x"])


def test_texts_that_pandas_reads_as_missing_have_the_tutorials_id_of_null():
    field = Field("x", "x", SqlType.STRING, Encoding.HASH, column_type="object")
    encoder = Encoder((field,), "tutorial", 10, "Asia/Shanghai", "label", "label", {})
    texts = [None, "", " ", "null", "NULL", "NaN", "\tnan ", "a", " a\n", "ä", "nulls"]
    ids = RowEncoder(encoder, ["x"]).encode([(text,) for text in texts])[:, 0].tolist()
    assert ids == encoder.encode(pa.table({"x": pa.array(texts)})).ravel().tolist()
    assert len(set(ids[:7])) == 1 and ids[7] == ids[8] and len(set(ids)) == 4
