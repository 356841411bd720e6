"""A linear map over rows that share inputs: multiplied once, and the same to rounding."""

from __future__ import annotations

import numpy as np
import pytest

from jdrec.models import numpy_nn


def linear(width: int, bias: bool = True) -> tuple[numpy_nn.Linear, np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    weight, shift = random.normal(size=(5, width)).astype(np.float32), random.normal(size=5).astype(np.float32)
    layer = numpy_nn.Linear(width, 5, bias)
    layer.load_state_dict({"weight": weight, "bias": shift})
    return layer, weight.astype(np.float64), shift.astype(np.float64) if bias else np.zeros(5)


@pytest.mark.parametrize("rows", [1, 3, 64, 200])
@pytest.mark.parametrize("alike", [0, 2, 10, 19, 20], ids=lambda alike: f"{alike} of 20 inputs are the same in all rows")
@pytest.mark.parametrize("bias", [True, False])
def test_shared_inputs_change_nothing(rows: int, alike: int, bias: bool) -> None:
    layer, weight, shift = linear(20, bias)
    x = np.random.default_rng(2).normal(size=(rows, 20)).astype(np.float32)
    x[:, :alike] = x[0, :alike]
    x[:, : alike // 2] = 0
    before = x.copy()
    np.testing.assert_allclose(layer(x), x.astype(np.float64) @ weight.T + shift, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(x, before)


def test_an_input_that_is_no_number_stays_one() -> None:
    layer, _, _ = linear(20)
    x = np.ones((64, 20), np.float32)
    x[7, 3] = np.nan
    assert np.isnan(layer(x)).all(1).tolist() == [row == 7 for row in range(64)]
