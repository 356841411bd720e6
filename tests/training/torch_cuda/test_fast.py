"""The adapter on a CPU, in one process: the same training as the CPU's own adapter, whatever way the batches come in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from jdrec.config import TrainerConfig
from jdrec.models import ModelSpec
from jdrec.models.initial import EMBEDDING
from jdrec.training.data import Batch
from jdrec.training.host_adapter import HostAdapter
from jdrec.training.torch_cuda import unsupported
from jdrec.training.torch_cuda.fast import FastAdapter
from jdrec.training.torch_cuda.feed import copy_samples
from jdrec.training.torch_cuda.inputs import Inputs, Shape
from jdrec.training.torch_cuda.losses import Losses
from jdrec.training.torch_cuda.processes import Processes
from jdrec.training.torch_library import torch_network
from tests.training.torch_cuda.conftest import BATCH, random_batches

pytestmark = pytest.mark.torch


def config(**values: Any) -> TrainerConfig:
    return msgspec.convert({"framework": "torch", "batch_size": BATCH, **values}, TrainerConfig)


class Samples:
    """A split, and a stream of its batches in order."""

    batch_size = BATCH

    def __init__(self, batches: list[Batch], positive_weight: float = 1.0, folder: Path | None = None):
        self.split: Any = self
        self.positive_weight = np.float32(positive_weight)
        self.rows = in_folder(np.concatenate([batch.rows for batch in batches]), folder, "rows")
        self.labels = in_folder(np.concatenate([batch.labels for batch in batches]), folder, "labels")
        self.scale = None if batches[0].scale is None else np.concatenate([batch.scale for batch in batches if batch.scale is not None])
        self.numeric = [self.rows.shape[1] - 1]
        self.values = None if self.scale is None else in_folder(self.scale[:, self.numeric], folder, "values")

    def index(self, k: int) -> np.ndarray:
        k %= len(self.labels) // BATCH  # an epoch follows the other: threads gather ahead
        return np.arange(k * BATCH, (k + 1) * BATCH)

    def batch(self, index: Any) -> Batch:
        labels = self.labels[index]
        weights = None if self.positive_weight == 1 else np.where(labels > 0.5, self.positive_weight, np.float32(1))
        return Batch(self.rows[index], None if self.scale is None else self.scale[index], labels, weights)


def in_folder(array: np.ndarray, folder: Path | None, name: str) -> np.ndarray:
    """The array itself, or mapped from a file."""
    if folder is None:
        return array
    result = np.memmap(folder / name, array.dtype, "w+", shape=array.shape)
    result[...] = array
    return result


def assert_same(left: dict[str, np.ndarray], right: dict[str, np.ndarray], atol: float = 0.0) -> None:
    assert left.keys() == right.keys()
    for key, value in left.items():
        np.testing.assert_allclose(right[key], value, atol=atol, rtol=0, err_msg=key)


def test_training_is_that_of_the_plain_adapter(spec: ModelSpec) -> None:
    fast, plain = FastAdapter(spec, config(), 7, Processes("cpu")), HostAdapter(spec, config(), torch_network, 7)
    assert_same(plain.weights(), fast.weights())
    batches = random_batches(8)
    for batch in batches:
        assert float(fast.train_batch(batch, 1e-2)) == pytest.approx(float(plain.train_batch(batch, 1e-2)), rel=1e-5)
    assert_same(plain.weights(), fast.weights(), 3e-5)
    np.testing.assert_allclose(fast.logits(batches[0]), plain.logits(batches[0]), atol=1e-4)


@pytest.mark.parametrize(("scaled", "positive_weight", "on_disk"), [(False, 1.0, False), (True, 1.0, True), (True, 3.0, False)])
def test_batches_gathered_ahead_are_the_same_batches(
    spec: ModelSpec, scaled: bool, positive_weight: float, on_disk: bool, tmp_path: Path
) -> None:
    batches = [batch if scaled else Batch(batch.rows, None, batch.labels) for batch in random_batches(40)]
    samples = Samples(batches, positive_weight, tmp_path if on_disk else None)
    one, two = (FastAdapter(spec, config(), 7, Processes("cpu")) for _ in range(2))
    ahead = two.batches(samples)
    for k in [*range(20), *range(3, 8)]:  # a restart on the way
        one.train_batch(samples.batch(samples.index(k)), 1e-2)
        two.train_batch(ahead.batch(k), 1e-2)
    assert_same(one.weights(), two.weights())
    assert ahead.index(2).tolist() == list(range(2 * BATCH, 3 * BATCH))


@pytest.mark.parametrize("index", [range(BATCH + 1), range(BATCH - 1), range(-1, BATCH - 1), range(BATCH, 2 * BATCH)])
def test_samples_that_are_not_there_are_not_gathered(spec: ModelSpec, index: range) -> None:
    samples = Samples([Batch(batch.rows, None, batch.labels) for batch in random_batches(1)])
    shape = Shape(BATCH, samples.rows.shape[1])
    with pytest.raises(IndexError, match=f"for a batch of {BATCH} of {BATCH}"):
        copy_samples(samples, np.array(index), Inputs(shape, torch.zeros(1 << 20, dtype=torch.uint8)))  # type: ignore[arg-type]


def test_a_training_goes_on_where_it_was(spec: ModelSpec) -> None:
    spec = msgspec.structs.replace(spec, dropout=0.2)
    batches = random_batches(10)
    whole = FastAdapter(spec, config(), 7, Processes("cpu"))
    for batch in batches:
        last = whole.train_batch(batch, 1e-2)
    first, second = (FastAdapter(spec, config(), seed, Processes("cpu")) for seed in (7, 7))
    for batch in batches[:4]:
        first.train_batch(batch, 1e-2)
    second.train_batch(batches[9], 1e-2)  # what a load has to undo
    second.load(first.weights(), first.state())
    for batch in batches[4:]:
        resumed = second.train_batch(batch, 1e-2)
    assert_same(whole.weights(), second.weights())
    assert_same(whole.state(), second.state())
    assert float(last) == float(resumed)


def test_losses_are_fetched_together_and_not_kept_for_ever() -> None:
    fetched = []

    def fetch() -> tuple[np.ndarray, int]:
        fetched.append(5)
        return np.array([0.5, 0.2, 0.3, 0.4], np.float32), 5  # of steps 5, 2, 3, 4

    losses = Losses(fetch)
    assert [losses.at(step) for step in (2, 3, 4, 5)] == pytest.approx([0.2, 0.3, 0.4, 0.5])
    assert len(fetched) == 1
    with pytest.raises(LookupError, match="loss of step 1 is not there: 4 are kept, 5 steps were done"):
        losses.at(1)


def test_what_the_fast_step_lacks_is_named(spec: ModelSpec) -> None:
    assert unsupported(spec, config(amp="bf16")) is None
    assert unsupported(msgspec.structs.replace(spec, name="dcn_v2"), config()) == "model dcn_v2"
    assert unsupported(msgspec.structs.replace(spec, dnn=()), config()) == "model without hidden layers"
    assert unsupported(spec, config(optimizer="adagrad")) == "optimizer adagrad"
    assert unsupported(spec, config(clip_norm=1.0)) == "clipping"
    assert unsupported(spec, config(amp="fp16")) == "fp16"


def test_table_has_the_untrained_rows_of_the_seed(spec: ModelSpec) -> None:
    weights = FastAdapter(spec, config(), 7, Processes("cpu")).weights()
    assert weights[EMBEDDING].shape == (spec.rows, 7)
    assert weights["dnn.0.weight"].shape == (24, 24) and weights["dnn.6.bias"].tolist() == [0]
