"""On a GPU: the same numbers as on the CPU in fp32, step by step and as CUDA graphs."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from jdrec.models import ModelSpec
from jdrec.models.initial import EMBEDDING
from jdrec.training.data import Batch
from jdrec.training.torch_cuda.fast import FastAdapter
from jdrec.training.torch_cuda.graph import DeviceQueue
from jdrec.training.torch_cuda.inputs import Inputs, Pack, Shape
from jdrec.training.torch_cuda.layout import RowLayout
from jdrec.training.torch_cuda.processes import Processes
from jdrec.training.torch_cuda.sharded import ShardedRows
from jdrec.training.torch_cuda.single import SingleRows
from jdrec.training.torch_cuda.step import DeepFMStep
from jdrec.training.torch_cuda.table import Table
from tests.training.torch_cuda.conftest import BATCH, SIZES, random_batches
from tests.training.torch_cuda.test_fast import Samples, config
from tests.training.torch_cuda.test_step import make, saved, start
from tests.training.torch_cuda.training import trained

pytestmark = [pytest.mark.torch, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")]
GPU, CPU = torch.device("cuda"), torch.device("cpu")
SHAPE = Shape(BATCH, len(SIZES), scaled=True)


def on_gpu(spec: ModelSpec, dtype: Any = torch.float32, seed: int = 0) -> tuple[DeepFMStep, Table]:
    table = Table(spec.rows, RowLayout(spec.embedding_dim), GPU)
    step = DeepFMStep(spec, SingleRows(table, BATCH, len(spec.fields)), BATCH, dtype, GPU, seed)
    weights = start(spec, step)
    table.fill("weight", weights[EMBEDDING])
    step.load_dense("weight", weights)
    return step, table


def there(batch: Batch) -> Inputs:
    """The batch on the GPU."""
    host, pack = Pack(SHAPE, 1, CPU), Pack(SHAPE, 1, GPU)
    host.batches[0].fill(batch)
    pack.block.copy_(host.block)
    return pack.batches[0]


@pytest.mark.parametrize("graphs", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("name", ["deepfm", "wide_deep"])
def test_steps_in_fp32_are_those_of_the_cpu(spec: ModelSpec, name: str, dropout: float, graphs: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = False
    spec = msgspec.structs.replace(spec, dropout=dropout, name=name)
    expected, expected_table, inputs = make(spec, seed=9)
    step, table = on_gpu(spec, seed=9)
    batches = random_batches(8)
    for batch in batches:
        inputs.fill(batch)
        expected.learning_rate.fill_(1e-2)
        expected(inputs)
    step.learning_rate.fill_(1e-2)
    if graphs:
        queue = DeviceQueue(step, SHAPE, [table.first_row(), *step.state()], GPU)
        pack = Pack(SHAPE, SHAPE.pack, "pinned")
        for place in (0, 5):  # packs of 5 and 3 batches
            part = batches[place : place + 5]
            for block, batch in zip(pack.batches, part, strict=False):
                block.fill(batch)
            freed = queue.load(pack, len(part))
            for _ in part:
                queue.step()
            freed.synchronize()
        torch.cuda.synchronize()
    else:
        for batch in batches:
            step(there(batch))
    assert int(step.step) == 8
    np.testing.assert_allclose(step.losses[:8].cpu(), expected.losses[:8], rtol=2e-5)
    np.testing.assert_allclose(saved(table), saved(expected_table), atol=1e-4)
    for key, value in step.dense("weight").items():
        np.testing.assert_allclose(value, expected.dense("weight")[key], atol=1e-4, err_msg=key)


def test_bf16_learns_as_fp32_does(spec: ModelSpec) -> None:
    (exact, _), (rough, _) = on_gpu(spec), on_gpu(spec, torch.bfloat16)
    for step in (exact, rough):
        step.learning_rate.fill_(5e-3)
        for batch in random_batches(40):
            step(there(batch))
    assert exact.losses[:3].mean() > 1.3 * exact.losses[37:40].mean()
    assert torch.allclose(exact.losses[:40], rough.losses[:40], rtol=0.05, atol=0.01)


@pytest.mark.parametrize("name", ["deepfm", "wide_deep"])
def test_the_adapter_trains_as_on_the_cpu(name: str) -> None:
    losses, expected, _ = trained(name, "cpu")
    found_losses, found, adapter = trained(name, "cuda")
    assert adapter.device == "cuda"
    np.testing.assert_allclose(found_losses, losses, rtol=1e-4)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, atol=1e-3 if key == "logits" else 2e-4, err_msg=key)


def test_batches_gathered_ahead_arrive_in_order(spec: ModelSpec) -> None:
    batches = random_batches(40)
    one, two = (FastAdapter(spec, config(), 7, Processes("cuda")) for _ in range(2))
    ahead = two.batches(Samples(batches))
    for k in [*range(20), *range(3, 8)]:  # a restart on the way
        first, second = one.train_batch(batches[k], 1e-2), two.train_batch(ahead.batch(k), 1e-2)
    assert float(first) == pytest.approx(float(second), rel=1e-4)
    np.testing.assert_allclose(one.weights()[EMBEDDING], two.weights()[EMBEDDING], atol=1e-4)


class Alone(Processes):
    """One process that exchanges with itself."""

    def exchange(self, received: Any, sent: Any) -> None:
        received.copy_(sent)


@pytest.mark.parametrize("batch", [BATCH, 16])
@pytest.mark.parametrize("graphs", [False, True])
@pytest.mark.parametrize("sharded", [False, True])
def test_a_table_that_exchanges_with_itself_is_that_of_one_device(spec: ModelSpec, sharded: bool, graphs: bool, batch: int) -> None:
    expected, expected_table, inputs = make(spec, batch)
    table = Table(spec.rows, RowLayout(spec.embedding_dim), GPU)
    rows: Any = SingleRows(table, batch, len(spec.fields))
    if sharded:
        rows = ShardedRows(table, spec, batch, torch.float32, Alone("cuda"))
    step = DeepFMStep(spec, rows, batch, torch.float32, GPU, 0)
    weights = start(spec, step)
    table.fill("weight", weights[EMBEDDING])
    step.load_dense("weight", weights)
    shape = Shape(batch, len(spec.fields), scaled=True)
    queue = DeviceQueue(step, shape, [table.first_row(), *step.state()], GPU) if graphs else None
    pack, there = Pack(shape, shape.pack, "pinned"), Pack(shape, 1, GPU)
    for each in (expected, step):
        each.learning_rate.fill_(1e-2)
    torch.cuda.synchronize()
    for k, one in enumerate(random_batches(8, batch)):
        inputs.fill(one)
        expected(inputs)
        pack.batches[0].fill(one)
        if queue is not None:
            queue.load(pack, 1)
            queue.step()
        else:
            there.block.copy_(pack.block[: len(there.block)])
            step(there.batches[0])
        torch.cuda.synchronize()
        assert float(step.losses[k]) == pytest.approx(float(expected.losses[k]), rel=2e-5), k
    np.testing.assert_allclose(saved(table), saved(expected_table), atol=1e-4)
