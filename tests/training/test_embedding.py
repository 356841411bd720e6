"""The table against optimizers written out in float64."""

from __future__ import annotations

import numpy as np
import pytest

from jdrec.training.data import Batch
from jdrec.training.embedding import Table

NONE = np.empty(0, np.float32)


def batch(rows: list[list[int]] | np.ndarray, scale: list[list[float]] | None = None) -> Batch:
    return Batch(np.array(rows, np.int32), None if scale is None else np.array(scale, np.float32), NONE)


def test_lookup_splits_vectors_and_linear_weights() -> None:
    table = Table(np.array([[1, 2, 10], [3, 4, 20], [5, 6, 30]], np.float32), (0, 1))
    vectors, weights = table.lookup(batch([[2, 0], [1, 1]]))
    assert vectors.tolist() == [[[5, 6], [1, 2]], [[3, 4], [3, 4]]]
    assert weights.tolist() == [[30, 10], [20, 20]]


def test_lookup_scales_numbers_and_pools_lists() -> None:
    table = Table(np.array([[1, 2, 10], [3, 4, 20], [5, 6, 30]], np.float32), (0, 1, 1))
    vectors, weights = table.lookup(batch([[0, 1, 2], [0, 2, 0]], [[2, 0.5, 0.5], [-1, 1, 0]]))
    assert vectors.tolist() == [[[2, 4], [4, 5]], [[-1, -2], [5, 6]]]
    assert weights.tolist() == [[20, 25], [-10, 30]]


def test_gather_adds_up_each_rows_gradients() -> None:
    table = Table(np.zeros((5, 3), np.float32), (0, 1, 1), optimizer="sgd")
    given = batch([[3, 1, 2], [3, 1, 0]], [[2, 0.5, 0.5], [1, 1, 0]])
    vectors = np.array([[[1, 2], [4, 6]], [[10, 20], [1, 1]]], np.float32)
    table.gather(given, vectors, np.array([[1, 8], [3, 5]], np.float32))
    table.step(1, learning_rate=1.0)
    # row 3: 2 * (1, 2, 1) + (10, 20, 3); row 1: half of (4, 6, 8) + (1, 1, 5); row 2: half of (4, 6, 8); row 0: its slot has no value
    assert table.weight.tolist() == [[0, 0, 0], [-3, -4, -9], [-2, -3, -4], [-12, -24, -5], [0, 0, 0]]


def one_step(name: str, w: np.ndarray, state: list[np.ndarray], g: np.ndarray, step: int, decay: float) -> np.ndarray:
    """Textbook rules with a rate of 0.01."""
    if name == "adamw":
        w = w * (1 - 0.01 * decay)
    else:
        g = g + decay * w
    if name == "sgd":
        return w - 0.01 * g
    if name == "adagrad":
        state[0] += g * g
        return w - 0.01 * g / (np.sqrt(state[0]) + 1e-10)
    state[0] += 0.1 * (g - state[0])
    state[1] += 0.001 * (g * g - state[1])
    return w - 0.01 * (state[0] / (1 - 0.9**step)) / (np.sqrt(state[1] / (1 - 0.999**step)) + 1e-8)


@pytest.mark.parametrize("updates", ["lazy", "dense"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "adagrad", "sgd"])
def test_steps_are_the_rules_for_touched_rows_and_lazily_nothing_for_others(optimizer: str, updates: str) -> None:
    random = np.random.default_rng(0)
    start = random.normal(size=(30, 4)).astype(np.float32)
    table = Table(start.copy(), (0, 1, 2), optimizer, updates, weight_decay=0.1)  # type: ignore[arg-type]
    expected, state = start.astype(np.float64), [np.zeros((30, 4)), np.zeros((30, 4))]
    for step in range(1, 8):
        rows = random.integers(0, 20, (16, 3)).astype(np.int32)  # rows occur several times; 20 to 29 never
        gradients = random.normal(size=(16, 3, 4)).astype(np.float32)
        table.gather(batch(rows), np.ascontiguousarray(gradients[..., :3]), np.ascontiguousarray(gradients[..., 3]))
        table.step(step, 0.01, scale=0.5)
        total = np.zeros((30, 4))
        np.add.at(total, rows, 0.5 * gradients.astype(np.float64))
        moved = np.unique(rows) if updates == "lazy" else np.arange(30)
        part = [array[moved] for array in state]
        expected[moved] = one_step(optimizer, expected[moved], part, total[moved], step, 0.1)
        for array, values in zip(state, part, strict=True):
            array[moved] = values
    np.testing.assert_allclose(table.weight, expected, atol=3e-6)
    assert np.array_equal(table.weight[20:], start[20:]) == (updates == "lazy")
