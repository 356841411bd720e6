"""A table that is partly in host memory: the same training as with the whole table on the device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from jdrec.errors import TrainingError
from jdrec.features.spec import Encoding
from jdrec.models import ModelSpec
from jdrec.training.torch_cuda import make_adapter
from jdrec.training.torch_cuda.cached import CachedTable, most_frequent, places
from jdrec.training.torch_cuda.fast import FastAdapter
from jdrec.training.torch_cuda.hot_rows import row_counts, rows_on_gpu
from jdrec.training.torch_cuda.layout import RowLayout
from jdrec.training.torch_cuda.processes import Processes
from jdrec.training.vocabulary import Vocabulary
from tests.training.torch_cuda.conftest import random_batches
from tests.training.torch_cuda.test_fast import assert_same, config

pytestmark = pytest.mark.torch
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"))]


def counts_of(spec: ModelSpec) -> np.ndarray:
    return np.bincount(np.concatenate([batch.rows.reshape(-1) for batch in random_batches(3)]), minlength=spec.rows)


def test_the_most_frequent_rows_come_first() -> None:
    hot = most_frequent(np.array([5, 0, 9, 1, 7, 2]), 3)
    assert hot.tolist() == [True, False, True, False, True, False]
    assert places(hot).tolist() == [0, 3, 1, 4, 2, 5]


def test_rows_are_counted_with_the_vocabulary() -> None:
    encodings = (Encoding.HASH, Encoding.NUMERIC, Encoding.HASH)
    ids = (np.array([3, 8]), np.empty(0, np.int64), np.array([-1]))
    vocabulary = Vocabulary(("a", "b", "c"), encodings, ids)
    vocabulary.counts = (np.array([4, 6]), np.empty(0, np.int64), np.array([10]))
    assert row_counts(vocabulary, 10).tolist() == [10, 4, 6, 10, 10, 10]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("hot", [1, 40])
def test_parts_go_in_and_come_out_in_the_order_of_the_rows(hot: int, device: str) -> None:
    random = np.random.default_rng(0)
    table = CachedTable(random.integers(0, 100, 100), hot, RowLayout(3), torch.device(device))
    values = {name: random.random((100, 4), np.float32) for name in ("weight", "first", "second")}
    for name, value in values.items():
        table.fill(name, value)
    assert len(table) == 100 and table.state.shape == (hot, 16) and table.rest.device.type == "cpu"
    for name, value in values.items():
        assert np.array_equal(table.collect(name, 100, Processes(device)), value)
    assert np.array_equal(table.first_row()[0, :3].cpu().numpy(), values["weight"][0, :3])
    table.clear("first")
    assert not table.collect("first", 100, Processes(device)).any() and table.collect("second", 100, Processes(device)).all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("hot", [1, 200, 1000])
def test_training_is_that_of_a_table_on_the_device(spec: ModelSpec, hot: int, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jdrec.training.torch_cuda.hot_rows.rows_on_gpu", lambda spec, config, processes: hot)
    split = FastAdapter(spec, config(), 7, Processes(device), counts_of(spec))
    monkeypatch.undo()
    whole = FastAdapter(spec, config(), 7, Processes(device))
    assert isinstance(split._table, CachedTable) and len(split._table.state) == hot
    assert_same(whole.weights(), split.weights())
    tolerance = 0.0 if device == "cpu" else 1e-4
    batches = random_batches(12)
    for batch in batches:
        assert float(split.train_batch(batch, 1e-2)) == pytest.approx(float(whole.train_batch(batch, 1e-2)), rel=tolerance, abs=0)
    assert_same(whole.weights(), split.weights(), tolerance)
    assert_same(whole.state(), split.state(), tolerance)
    np.testing.assert_allclose(split.logits(batches[0]), whole.logits(batches[0]), atol=10 * tolerance)


def test_memory_decides_how_many_rows_are_on_the_gpu(spec: ModelSpec) -> None:
    assert rows_on_gpu(spec, config(), 1) == spec.rows == 1054
    assert rows_on_gpu(spec, config(table_gpu_mb=1), 1) == 1054  # 96 bytes a row: all of them
    large = ModelSpec("deepfm", tuple(type(f)(f.name, f.encoding, 100_000) for f in spec.fields), 6, (24,), 0.0)
    assert rows_on_gpu(large, config(table_gpu_mb=1), 1) == 2**20 // (4 * RowLayout(6).floats)


def test_what_cannot_be_in_host_memory_is_said(spec: ModelSpec) -> None:
    with pytest.raises(
        TrainingError, match=r"trainer.table_gpu_mb: Only the faster step keeps rows in host memory, and it has no clipping\."
    ):
        make_adapter(spec, config(table_gpu_mb=1, clip_norm=1.0), 0, "cpu", counts_of(spec))


def test_two_processes_with_rows_in_host_memory_train_as_one(tmp_path: Path) -> None:
    from tests.training.torch_cuda.test_sharded import run_in
    from tests.training.torch_cuda.training import trained

    losses, expected, _ = trained("deepfm", "cpu")
    for found in run_in(2, "host_memory", tmp_path):
        np.testing.assert_allclose(found.pop("losses"), losses, rtol=1e-5)
        for key, value in expected.items():
            np.testing.assert_allclose(found[key], value, atol=1e-4 if key == "logits" else 3e-5, err_msg=key)
