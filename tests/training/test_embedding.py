"""The lazy table against Adam written out in float64."""

from __future__ import annotations

import numpy as np

from jdrec.training.embedding import LazyAdamTable


def test_lookup_splits_vectors_and_linear_weights() -> None:
    table = LazyAdamTable(np.array([[1, 2, 10], [3, 4, 20], [5, 6, 30]], np.float32))
    vectors, weights = table.lookup(np.array([[2, 0], [1, 1]], np.int32))
    assert vectors.tolist() == [[[5, 6], [1, 2]], [[3, 4], [3, 4]]]
    assert weights.tolist() == [[30, 10], [20, 20]]


def test_steps_are_adams_for_touched_rows_and_nothing_for_others() -> None:
    random = np.random.default_rng(0)
    start = random.normal(size=(30, 4)).astype(np.float32)
    table = LazyAdamTable(start.copy())
    expected, first, second = start.astype(np.float64), np.zeros((30, 4)), np.zeros((30, 4))
    for step in range(1, 8):
        rows = random.integers(0, 20, (16, 3)).astype(np.int32)  # rows occur several times; 20 to 29 never
        gradients = random.normal(size=(16, 3, 4)).astype(np.float32)
        table.step(rows, np.ascontiguousarray(gradients[..., :3]), np.ascontiguousarray(gradients[..., 3]), 0.01)
        total = np.zeros((30, 4))
        np.add.at(total, rows, gradients.astype(np.float64))
        touched = np.unique(rows)
        g = total[touched]
        first[touched] = 0.9 * first[touched] + 0.1 * g
        second[touched] = 0.999 * second[touched] + 0.001 * g * g
        unbiased = first[touched] / (1 - 0.9**step), second[touched] / (1 - 0.999**step)
        expected[touched] -= 0.01 * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
    np.testing.assert_allclose(table.weight, expected, atol=2e-6)
    assert np.array_equal(table.weight[20:], start[20:])
