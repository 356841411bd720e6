from __future__ import annotations

import numpy as np
import pytest

from jdrec.training.dropout import Draws, relu_dropout_gradient


def masks(seed: int = 1, step: int = 1, layer: int = 0, rate: float = 0.2) -> np.ndarray:
    draws = Draws(seed)
    draws.start(step)
    ones = np.ones((400, 300), np.float32)
    draws.relu_dropout(layer, ones, rate)
    return ones


def test_drops_its_share_and_keeps_the_mean() -> None:
    mask = masks()
    assert sorted(np.unique(mask).tolist()) == [0.0, 1.25]
    assert (mask == 0).mean() == pytest.approx(0.2, abs=0.005)  # four standard deviations
    assert np.abs((mask == 0).mean(0) - 0.2).max() < 0.1
    assert np.abs((mask == 0).mean(1) - 0.2).max() < 0.12


def test_a_mask_is_a_function_of_seed_step_and_layer() -> None:
    assert np.array_equal(masks(), masks())
    for other in (masks(seed=2), masks(step=2), masks(layer=1)):
        assert ((other == 0) & (masks() == 0)).mean() == pytest.approx(0.04, abs=0.004)  # independent


def test_relu_and_its_gradient() -> None:
    draws, x = Draws(1), np.array([-2.0, 3.0, 0.0, 4.0])
    draws.relu_dropout(0, x, 0.0)
    assert x.tolist() == [0, 3, 0, 4]
    assert relu_dropout_gradient(np.array([5.0, 6, 7, 8]), np.array([0.0, 3, 0, 4]), 0.5).tolist() == [0, 12, 0, 16]


def test_rate_zero_keeps_all() -> None:
    assert (masks(rate=0.0) == 1).all()
