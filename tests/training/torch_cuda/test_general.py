"""The adapter by autograd: the same training as the CPU's own adapter, for every model and optimizer."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from jdrec.models import ModelSpec
from jdrec.training.host_adapter import HostAdapter
from jdrec.training.torch_cuda.general import GeneralAdapter
from jdrec.training.torch_cuda.processes import Processes
from jdrec.training.torch_library import torch_network
from tests.training.torch_cuda.conftest import random_batches
from tests.training.torch_cuda.test_fast import assert_same, config

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("deepfm", {"optimizer": "adamw", "weight_decay": 0.1, "embedding_weight_decay": 0.2}),
        ("fm", {"optimizer": "sgd", "clip_norm": 0.05}),
        ("lr", {"optimizer": "adagrad", "embedding_weight_decay": 0.01}),
        ("dcn_v2", {"embedding_updates": "dense"}),
        ("wide_deep", {"weight_decay": 0.01, "embedding_updates": "dense", "embedding_weight_decay": 0.01}),
    ],
)
def test_training_is_that_of_the_plain_adapter(spec: ModelSpec, name: str, values: dict[str, Any]) -> None:
    spec = msgspec.structs.replace(spec, name=name, embedding_dim=0 if name == "lr" else 6)
    general = GeneralAdapter(spec, config(**values), 7, Processes("cpu"))
    plain = HostAdapter(spec, config(**values), torch_network, 7)
    batches = random_batches(8)
    for batch in batches:
        assert float(general.train_batch(batch, 1e-2)) == pytest.approx(float(plain.train_batch(batch, 1e-2)), rel=1e-5)
    assert_same(plain.weights(), general.weights(), 3e-5)
    np.testing.assert_allclose(general.logits(batches[0]), plain.logits(batches[0]), atol=1e-4)


def test_multi_valued_fields_are_pooled(spec: ModelSpec) -> None:
    fields = (spec.fields[0], msgspec.structs.replace(spec.fields[1], slots=2), spec.fields[3])
    pooled = msgspec.structs.replace(spec, fields=fields)
    batch = random_batches(1)[0]
    batch.rows[:, 2] = batch.rows[:, 2] % 50 + 3  # the field's second value
    batch.rows[:, 3] = 53
    batch.scale[:, 1:3] = [0.5, 0.5]
    settings = config(optimizer="sgd")
    general, plain = GeneralAdapter(pooled, settings, 7, Processes("cpu")), HostAdapter(pooled, settings, torch_network, 7)
    for _ in range(3):
        assert float(general.train_batch(batch, 1e-2)) == pytest.approx(float(plain.train_batch(batch, 1e-2)), rel=1e-5)
    assert_same(plain.weights(), general.weights(), 3e-5)


@pytest.mark.parametrize("values", [{"optimizer": "adam"}, {"optimizer": "adagrad", "amp": "fp16", "loss_scale": "dynamic"}])
def test_a_training_goes_on_where_it_was(spec: ModelSpec, values: dict[str, Any]) -> None:
    spec = msgspec.structs.replace(spec, name="dcn_v2", dropout=0.2)
    batches = random_batches(10)
    whole, first, second = (GeneralAdapter(spec, config(**values), 7, Processes("cpu")) for _ in range(3))
    for batch in batches:
        whole.train_batch(batch, 1e-2)
    for batch in batches[:4]:
        first.train_batch(batch, 1e-2)
    second.train_batch(batches[9], 1e-2)  # what a load has to undo
    second.load(first.weights(), first.state())
    for batch in batches[4:]:
        second.train_batch(batch, 1e-2)
    assert_same(whole.weights(), second.weights())
    assert_same(whole.state(), second.state())


def test_an_overflow_under_fp16_skips_the_step_and_halves_the_scale(spec: ModelSpec) -> None:
    adapter = GeneralAdapter(spec, config(amp="fp16", loss_scale="dynamic"), 7, Processes("cpu"))
    batch, before = random_batches(1)[0], adapter.weights()
    adapter._scale = 1e38
    adapter.train_batch(batch, 1e-2)
    assert_same(before, adapter.weights())
    assert adapter.state()["loss_scale"].tolist() == [5e37, 0]
    adapter._scale = 1024.0
    adapter.train_batch(batch, 1e-2)
    assert adapter.state()["loss_scale"].tolist() == [1024, 1]
    assert np.abs(adapter.weights()["dnn.0.weight"] - before["dnn.0.weight"]).max() > 1e-3


def test_dropout_changes_from_step_to_step_and_is_off_in_evaluation(spec: ModelSpec) -> None:
    spec = msgspec.structs.replace(spec, dropout=0.5)
    adapter = GeneralAdapter(spec, config(optimizer="sgd"), 7, Processes("cpu"))
    weights = adapter.weights()
    batch = random_batches(1)[0]
    weights = {key: value + np.float32(0.1) for key, value in weights.items()}
    adapter.load(weights)
    losses = [float(adapter.train_batch(batch, 1e-30)) for _ in range(3)]
    assert len(set(losses)) == 3
    assert np.array_equal(adapter.logits(batch), adapter.logits(batch))
