"""The adapter on a CPU, in one process: the same training as the CPU's own adapter, whatever way the batches come in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pytest

from jdrec.config import TrainerConfig
from jdrec.models import ModelSpec
from jdrec.models.initial import EMBEDDING
from jdrec.training.data import Batch
from jdrec.training.host_adapter import HostAdapter
from jdrec.training.torch_cuda import unsupported
from jdrec.training.torch_cuda.fast import FastAdapter
from jdrec.training.torch_cuda.losses import Losses
from jdrec.training.torch_cuda.processes import Processes
from jdrec.training.torch_library import torch_network
from tests.training.torch_cuda.conftest import BATCH, random_batches

pytestmark = pytest.mark.torch


def config(**values: Any) -> TrainerConfig:
    return msgspec.convert({"framework": "torch", "batch_size": BATCH, **values}, TrainerConfig)


@dataclass
class Samples:
    """A split, and a stream of its batches in order."""

    batches: list[Batch]
    batch_size: int = BATCH
    positive_weight: float = 1.0
    shares: tuple = ()

    def __post_init__(self) -> None:
        self.split = self
        self.rows = np.concatenate([batch.rows for batch in self.batches])
        self.labels = np.concatenate([batch.labels for batch in self.batches])
        scales = [batch.scale for batch in self.batches]
        self.scale = None if scales[0] is None else np.concatenate(scales)
        self.values = self.scale

    def index(self, k: int) -> np.ndarray:
        return np.arange(k * BATCH, (k + 1) * BATCH)

    def batch(self, index: Any) -> Batch:
        return Batch(self.rows[index], None if self.scale is None else self.scale[index], self.labels[index])


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


@pytest.mark.parametrize("scaled", [False, True])
def test_batches_gathered_ahead_are_the_same_batches(spec: ModelSpec, scaled: bool) -> None:
    batches = [batch if scaled else Batch(batch.rows, None, batch.labels) for batch in random_batches(40)]
    one, two = (FastAdapter(spec, config(), 7, Processes("cpu")) for _ in range(2))
    ahead = two.batches(Samples(batches))
    for k in [*range(20), *range(3, 8)]:  # a restart on the way
        one.train_batch(batches[k], 1e-2)
        two.train_batch(ahead.batch(k), 1e-2)
    assert_same(one.weights(), two.weights())
    assert ahead.index(2).tolist() == list(range(2 * BATCH, 3 * BATCH))


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
