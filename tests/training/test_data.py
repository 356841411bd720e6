from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jdrec.errors import DataError, StageError
from jdrec.features.spec import Encoding
from jdrec.training.data import RawSplit, ShuffledStream, Split, read_layout
from jdrec.training.vocabulary import Vocabulary


def write(folder: Path, label: list[float], price: list[float], brand: list[int]) -> None:
    fields = [{"name": "price", "column": "I1", "encoding": "numeric"}, {"name": "brand", "column": "C1", "encoding": "hash"}]
    (folder / "data_info.json").write_text(json.dumps({"label": "Label", "fields": fields}))
    pq.write_table(pa.table({"Label": label, "I1": price, "C1": brand, "other": ["x"] * len(label)}), folder / "train.parquet")


def read(folder: Path) -> tuple[RawSplit, Split]:
    layout = read_layout(folder)
    raw = RawSplit.read(folder, "train", layout)
    return raw, Split(raw, Vocabulary.learn(layout.names, layout.encodings, raw.columns))


def test_reads_the_layout_and_maps_ids(tmp_path: Path) -> None:
    write(tmp_path, [0.0, 1.0, 0.0], [0.5, -1.5, 2.0], [70, -3, 70])
    layout = read_layout(tmp_path)
    assert (layout.label, layout.names, layout.columns) == ("Label", ("price", "brand"), ("I1", "C1"))
    assert layout.encodings == (Encoding.NUMERIC, Encoding.HASH)
    _, split = read(tmp_path)
    batch = split.batch(np.array([2, 1]))
    assert batch.rows.tolist() == [[0, 3], [0, 2]]
    assert batch.scale is not None and batch.scale.tolist() == [[2.0, 1.0], [-1.5, 1.0]]
    assert batch.labels.tolist() == [0.0, 1.0]
    assert [array.dtype for array in (batch.rows, batch.scale, batch.labels)] == [np.int32, np.float32, np.float32]


def test_a_split_in_order(tmp_path: Path) -> None:
    write(tmp_path, [0.0, 1.0, 0.0, 1.0, 1.0], [0.0] * 5, [5, 4, 3, 2, 1])
    _, split = read(tmp_path)
    assert [batch.rows[:, 1].tolist() for batch in split.batches(2)] == [[6, 5], [4, 3], [2]]


@pytest.mark.parametrize(
    ("label", "price", "message"),
    [
        ([0.0, 2.0], [0.0, 0.0], r"1 labels are neither 0 nor 1, first 2\.0 in row 1"),
        ([0.0, float("nan")], [0.0, 0.0], "1 labels are neither 0 nor 1"),
        ([0.0, 1.0], [0.0, float("inf")], "column I1 has 1 values that are not finite numbers, first in row 1"),
    ],
)
def test_bad_values_are_counted_and_placed(tmp_path: Path, label: list[float], price: list[float], message: str) -> None:
    write(tmp_path, label, price, [1, 2])
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_missing_files_and_columns(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"data_info\.json is missing"):
        read_layout(tmp_path)
    write(tmp_path, [0.0, 1.0], [0.0, 1.0], [1, 2])
    layout = read_layout(tmp_path)
    with pytest.raises(StageError, match=r"valid\.parquet is missing"):
        RawSplit.read(tmp_path, "valid", layout)
    pq.write_table(pa.table({"Label": [0.0], "I1": [1.0]}), tmp_path / "train.parquet")
    with pytest.raises(DataError, match="has no column C1"):
        RawSplit.read(tmp_path, "train", layout)


def stream(tmp_path: Path, seed: int, batch_size: int = 4, rows: int = 10) -> ShuffledStream:
    write(tmp_path, [0.0, 1.0] * (rows // 2), [0.0] * rows, list(range(rows)))
    return ShuffledStream(read(tmp_path)[1], batch_size, seed)


def brands(stream: ShuffledStream, batches: range) -> list[int]:
    return [int(row) for k in batches for row in stream.batch(k).rows[:, 1] - 2]


def test_every_epoch_has_every_sample_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    order = brands(stream(tmp_path, seed=1), range(5))  # 20 samples: two epochs, a batch across their border
    assert sorted(order[:10]) == sorted(order[10:]) == list(range(10))
    assert order[:10] != order[10:]
    assert order != brands(stream(tmp_path, seed=2), range(5))


def test_a_batch_depends_on_the_seed_and_its_number_alone(tmp_path: Path) -> None:
    whole = brands(stream(tmp_path, seed=1), range(8))
    assert brands(stream(tmp_path, seed=1), range(5, 8)) == whole[20:]


def test_a_batch_larger_than_the_split(tmp_path: Path) -> None:
    order = brands(stream(tmp_path, seed=1, batch_size=25), range(2))
    assert [order.count(i) for i in range(10)] == [5] * 10
