"""The step written by hand against autograd over the model's own definition, with torch.optim.Adam and the CPU's lazy table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from jdrec.models import ModelSpec, build
from jdrec.models.initial import EMBEDDING, initial_weights
from jdrec.models.namespace import namespace
from jdrec.training.data import Batch
from jdrec.training.torch_cuda.elementwise import activate_, adam_, begin_step_, kept
from jdrec.training.torch_cuda.inputs import Inputs, Pack, Shape
from jdrec.training.torch_cuda.layout import RowLayout
from jdrec.training.torch_cuda.processes import Processes
from jdrec.training.torch_cuda.single import SingleRows
from jdrec.training.torch_cuda.step import DeepFMStep
from jdrec.training.torch_cuda.table import Table
from tests.training.torch_cuda.conftest import BATCH, random_batches

pytestmark = pytest.mark.torch
CPU = torch.device("cpu")


class Plain:
    """The same training with autograd and torch.optim, every parameter updated as the lazy table does."""

    def __init__(self, spec: ModelSpec, weights: dict[str, np.ndarray], masks: Any = None):
        self.model = build(namespace(torch, **({"Dropout": lambda p: Masked(masks)} if masks is not None else {})), spec)
        self.model.load_state_dict({name: torch.tensor(value) for name, value in weights.items() if name != EMBEDDING})
        self.optimizer = torch.optim.Adam(self.model.parameters())
        self.table = weights[EMBEDDING].copy()
        self.first, self.second, self.steps = np.zeros_like(self.table), np.zeros_like(self.table), 0

    def step(self, batch: Batch, rate: float) -> float:
        self.steps += 1
        embedded = torch.tensor(self.table[batch.rows], requires_grad=True)
        scaled = embedded if batch.scale is None else embedded * torch.tensor(batch.scale)[:, :, None]
        logit = self.model(scaled[:, :, :-1], scaled[:, :, -1])[:, 0]
        weights = None if getattr(batch, "weights", None) is None else torch.tensor(batch.weights)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, torch.tensor(batch.labels), weights)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        gradient = np.zeros(self.table.shape)
        np.add.at(gradient, batch.rows.reshape(-1), embedded.grad.numpy().reshape(-1, self.table.shape[1]))
        rows = np.unique(batch.rows)
        g = gradient[rows]
        self.first[rows] = 0.9 * self.first[rows] + 0.1 * g
        self.second[rows] = 0.999 * self.second[rows] + 0.001 * g * g
        unbiased = np.sqrt(self.second[rows] / (1 - 0.999**self.steps))
        self.table[rows] -= rate * self.first[rows] / (1 - 0.9**self.steps) / (unbiased + 1e-8)
        return float(loss.detach())


class Masked(torch.nn.Module):
    """Dropout with given masks, taken in turn."""

    def __init__(self, masks: list[Any]):
        super().__init__()
        self.masks = masks

    def forward(self, x: Any) -> Any:
        return x * self.masks.pop(0)


def make(spec: ModelSpec, batch: int = BATCH, dtype: Any = torch.float32, seed: int = 0) -> tuple[DeepFMStep, Table, Inputs]:
    layout = RowLayout(spec.embedding_dim)
    table = Table(spec.rows, layout, CPU)
    step = DeepFMStep(spec, SingleRows(table, batch, len(spec.fields)), batch, dtype, CPU, seed)
    weights = start(spec, step)
    table.fill("weight", weights[EMBEDDING])
    step.load_dense("weight", weights)
    return step, table, Pack(Shape(batch, len(spec.fields), True), 1, CPU).batches[0]


def saved(table: Table) -> np.ndarray:
    return table.collect("weight", len(table), Processes("cpu"))


def start(spec: ModelSpec, step: DeepFMStep) -> dict[str, np.ndarray]:
    weights = initial_weights(spec, step.shapes(), 5)
    weights[EMBEDDING] *= 1000  # so that products of embeddings matter
    return weights


@pytest.mark.parametrize("name", ["deepfm", "wide_deep"])
def test_steps_are_those_of_autograd_and_adam(spec: ModelSpec, name: str) -> None:
    spec = msgspec.structs.replace(spec, name=name)
    step, table, inputs = make(spec)
    plain = Plain(spec, start(spec, step))
    for k, batch in enumerate(random_batches(6)):
        rate = 1e-2 / (k + 1)
        inputs.fill(batch)
        step.learning_rate.fill_(rate)
        step(inputs)
        assert float(step.losses[k]) == pytest.approx(plain.step(batch, rate), rel=1e-5)
    assert np.allclose(saved(table), plain.table, atol=2e-5)
    for key, value in step.dense("weight").items():
        assert np.allclose(value, plain.model.state_dict()[key].numpy(), atol=2e-5), key


def test_gradients_with_dropout_are_those_of_autograd_with_the_same_masks(spec: ModelSpec) -> None:
    spec = msgspec.structs.replace(spec, dropout=0.3)
    step, table, inputs = make(spec, seed=3)
    weights = start(spec, step)
    count, rates, seeds = torch.zeros(1, dtype=torch.int64), torch.zeros(2), torch.zeros(2, dtype=torch.int32)
    masks: list[Any] = []
    plain = Plain(spec, weights, masks)
    for batch in random_batches(3):
        begin_step_(count, rates, seeds, torch.tensor([1e-2]), 3)
        masks += [kept(BATCH, units, seed, 0.3, CPU).float() / 0.7 for units, seed in zip(spec.dnn, seeds, strict=True)]
        inputs.fill(batch)
        step.learning_rate.fill_(1e-2)
        step(inputs)
        assert float(step.losses[int(count) - 1]) == pytest.approx(plain.step(batch, 1e-2), rel=1e-5)
    assert np.allclose(saved(table), plain.table, atol=2e-5)
    for key, value in step.dense("weight").items():
        assert np.allclose(value, plain.model.state_dict()[key].numpy(), atol=2e-5), key


def test_weights_of_samples_weigh_their_loss(spec: ModelSpec) -> None:
    step, table, _ = make(spec)
    inputs = Pack(Shape(BATCH, len(spec.fields), True, True), 1, CPU).batches[0]
    plain = Plain(spec, start(spec, step))
    batch = replace(random_batches(1)[0], weights=np.linspace(0, 2, BATCH, dtype=np.float32))
    inputs.fill(batch)
    step.learning_rate.fill_(1e-3)
    step(inputs)
    assert float(step.losses[0]) == pytest.approx(plain.step(batch, 1e-3), rel=1e-5)
    assert np.allclose(saved(table), plain.table, atol=1e-6)


def test_bf16_stays_close_to_fp32(spec: ModelSpec) -> None:
    (exact, _, inputs), (rough, _, _) = make(spec), make(spec, dtype=torch.bfloat16)
    for batch in random_batches(40):
        inputs.fill(batch)
        for step in (exact, rough):
            step.learning_rate.fill_(5e-3)
            step(inputs)
    assert exact.losses[:3].mean() > 1.3 * exact.losses[37:40].mean()  # it learns
    assert torch.allclose(exact.losses[:40], rough.losses[:40], rtol=0.05, atol=0.01)


def test_dropout_keeps_the_share_it_should_and_changes_from_step_to_step() -> None:
    one, two = (kept(1000, 100, torch.tensor(seed, dtype=torch.int32), 0.2, CPU) for seed in (1, 2))
    assert one.float().mean() == pytest.approx(0.8, abs=0.004)
    assert (one & two).float().mean() == pytest.approx(0.64, abs=0.006)  # independent
    assert one.float().mean(0).std() < 0.02 and one.float().mean(1).std() < 0.06  # no column, no row is special
    h = torch.tensor([[1.0, -1.0]]).repeat(1000, 1)
    activate_(h, torch.tensor(1, dtype=torch.int32), 0.2)
    assert sorted(set(h[:, 0].tolist())) == [0, 1.25] and not h[:, 1].any()


def test_bias_correction_is_exact_from_the_first_step_on() -> None:
    step, rates, seeds = torch.zeros(1, dtype=torch.int64), torch.zeros(2), torch.zeros(1, dtype=torch.int32)
    begin_step_(step, rates, seeds, torch.tensor([1e-3]), 0)
    assert rates.tolist() == pytest.approx([1e-3 * 0.001**0.5 / 0.1, 1e-8 * 0.001**0.5], rel=1e-6)
    weight, first, second = torch.ones(2), torch.zeros(2), torch.zeros(2)
    adam_(weight, first, second, None, torch.tensor([0.5, -2.0]), rates)
    assert weight.tolist() == pytest.approx([1 - 1e-3, 1 + 1e-3], rel=1e-6)  # Adam's first step is of the size of the rate
