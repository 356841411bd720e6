"""The optimizers against PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jdrec.training.optimizers import STATES, DenseOptimizer, global_norm

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", list(STATES))
def test_equal_to_pytorchs(name: str, decay: float) -> None:
    import torch

    makers: dict[str, Any] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "adagrad": torch.optim.Adagrad, "sgd": torch.optim.SGD}
    random = np.random.default_rng(0)
    parameters = {"a": random.normal(size=(5, 3)).astype(np.float32), "b": random.normal(size=7).astype(np.float32)}
    theirs = {key: torch.nn.Parameter(torch.tensor(value)) for key, value in parameters.items()}
    optimizer = makers[name](theirs.values(), lr=0.03, weight_decay=decay)
    ours = DenseOptimizer(name, parameters, decay)  # type: ignore[arg-type]
    for step in range(1, 10):
        gradients = {key: random.normal(size=value.shape).astype(np.float32) for key, value in parameters.items()}
        for key, value in theirs.items():
            value.grad = torch.tensor(gradients[key])
        norm = float(torch.nn.utils.clip_grad_norm_(theirs.values(), 2.0))
        assert global_norm(list(gradients.values())) == pytest.approx(norm, rel=1e-6)
        optimizer.step()
        ours.step(gradients, step, 0.03, min(1.0, 2.0 / (norm + 1e-6)))
        for key, value in theirs.items():
            np.testing.assert_allclose(parameters[key], value.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("name", list(STATES))
def test_goes_on_from_its_state(name: str) -> None:
    random = np.random.default_rng(0)
    gradients = [{"a": random.normal(size=6).astype(np.float32)} for _ in range(6)]
    whole = {"a": np.ones(6, np.float32)}
    optimizer = DenseOptimizer(name, whole)  # type: ignore[arg-type]
    for step, gradient in enumerate(gradients, 1):
        optimizer.step(gradient, step, 0.1)
        if step == 3:
            kept, state = {"a": whole["a"].copy()}, {key: value.copy() for key, value in optimizer.state().items()}
    again = DenseOptimizer(name, kept)  # type: ignore[arg-type]
    again.load(state)
    for step, gradient in enumerate(gradients[3:], 4):
        again.step(gradient, step, 0.1)
    assert np.array_equal(kept["a"], whole["a"])
