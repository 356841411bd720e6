"""The fitted encoder: JSON round trip, batches, rows, samples."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from jdrec.errors import DataError, StageError
from jdrec.features.spec import Encoding
from jdrec.features.types import SqlType
from jdrec.preprocess.canonical import Canonical, bucket_ids
from jdrec.preprocess.encoder import Encoder, Field, Scheme

FIELDS = (
    Field("rate", "rate", SqlType.FLOAT, Encoding.NUMERIC, mean=0.1, std=0.2, least=0.0, greatest=1.0),
    Field("clicks", "clicks", SqlType.BIGINT, Encoding.BUCKET, bounds=(1.0, 5.0)),
    Field("brand", "brand", SqlType.STRING, Encoding.HASH, column_type="integers with gaps"),
    Field("seen", "seen", SqlType.TIMESTAMP, Encoding.HASH),
)
MOMENT = dt.datetime(2016, 3, 31, 10, 11, 20, tzinfo=dt.timezone.utc)
ROWS: list[dict[str, Any]] = [
    {"rate": 0.5, "clicks": 7, "brand": "5", "seen": MOMENT, "more": 1},
    {"rate": None, "clicks": None, "brand": None, "seen": None, "more": 1},
    {"rate": 0.1, "clicks": 0, "brand": "", "seen": 1_459_419_080_000, "more": 1},
]


def encoder(scheme: Scheme = "canonical") -> Encoder:
    return Encoder(FIELDS, scheme, 10, "Asia/Shanghai", "bought", "Label", {"user": "keep_user"})


def batch(times: int = 1) -> pa.Table:
    columns = {
        "seen": pa.array([MOMENT, None, MOMENT] * times, pa.timestamp("ms", "UTC")),
        "more": pa.array([1, 1, 1] * times),
        "brand": pa.array(["5", None, ""] * times),
        "rate": pa.array([0.5, None, 0.1] * times, pa.float32()),
        "clicks": pa.array([7, None, 0] * times),
    }
    return pa.table(columns)


def test_a_matrix_of_ids_and_numbers() -> None:
    ids = encoder().encode(batch())
    assert ids.dtype == np.int64 and ids.shape == (3, 4) and ids.flags.c_contiguous
    numbers = np.ascontiguousarray(ids[:, 0]).view(np.float64)
    assert numbers.tolist() == [np.float32((0.5 - 0.1) / 0.2), 0.0, np.float32((float(np.float32(0.1)) - 0.1) / 0.2)]
    buckets, null = bucket_ids("clicks", 3, 10)
    assert ids[:, 1].tolist() == [buckets[2], null, buckets[0]]
    brand, seen = Canonical("brand", SqlType.STRING, 10), Canonical("seen", SqlType.TIMESTAMP, 10)
    assert ids[:, 2].tolist() == [brand.value("5"), brand.null_id, brand.value("")]
    assert ids[:, 3].tolist() == [seen.value(MOMENT), seen.null_id, seen.value(MOMENT)]


@pytest.mark.parametrize("scheme", ["canonical", "tutorial"])
def test_few_rows_many_rows_and_plain_rows_agree(scheme: Scheme) -> None:
    this = encoder(scheme)
    few, many, plain = this.encode(batch()), this.encode(batch(100)), this.encode_rows(ROWS)
    assert few.tolist() == plain.tolist() == many[:3].tolist() == many[-3:].tolist()
    assert [this.encode_row(row) for row in ROWS] == plain.tolist()
    assert this.encode_rows([]).shape == (0, 4)


@pytest.mark.parametrize("scheme", ["canonical", "tutorial"])
def test_json_round_trip(scheme: Scheme, tmp_path: Path) -> None:
    file = tmp_path / "encoder.json"
    file.write_text(encoder(scheme).to_json())
    again = Encoder.load(file)
    assert again == encoder(scheme)
    assert again.encode(batch()).tolist() == encoder(scheme).encode(batch()).tolist()


def test_samples_hold_the_same_matrix() -> None:
    this = encoder()
    columns = this.sample_columns(this.columns(batch()))
    assert [column.type for column in columns] == [pa.float32(), pa.int64(), pa.int64(), pa.int64()]
    samples = pa.table(columns, names=["rate", "clicks", "brand", "seen"])
    assert this.read_samples(samples).tolist() == this.encode(batch()).tolist()


def test_what_cannot_be_encoded() -> None:
    with pytest.raises(DataError, match="the value of feature 'brand' is missing"):
        encoder().encode_row({"rate": 1.0, "clicks": 1})
    with pytest.raises(DataError, match="the column of feature 'brand' is missing"):
        encoder().encode(batch().drop_columns(["brand"]))
    with pytest.raises(DataError, match="'many' is no bigint, which 'clicks' is declared to be"):
        encoder().encode_row({**ROWS[0], "clicks": "many"})


def test_what_is_no_encoder(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"encoder.json is missing\. Run task=preprocess first"):
        Encoder.load(tmp_path / "encoder.json")
    content = json.loads(encoder().to_json())
    for broken in ("[]", "{", json.dumps({**content, "format": 0}), json.dumps({**content, "scheme": "other"})):
        with pytest.raises(StageError, match="no encoder of this version"):
            Encoder.from_json(broken)
