"""The pairwise term against a loop over all pairs, and its gradient against differences."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from jdrec.training.pairwise import backward, forward


def test_it_is_the_sum_over_all_pairs() -> None:
    vectors = np.random.default_rng(0).normal(size=(6, 5, 3))
    result, total = forward(vectors)
    pairs = [sum(float(sample[a] @ sample[b]) for a, b in combinations(range(5), 2)) for sample in vectors]
    np.testing.assert_allclose(result, pairs)
    np.testing.assert_allclose(total, vectors.sum(1))


def test_its_gradient_is_that_of_differences() -> None:
    random = np.random.default_rng(1)
    vectors, gradient = random.normal(size=(2, 4, 3)), random.normal(size=2)
    found = backward(vectors, forward(vectors)[1], gradient)
    for place in np.ndindex(vectors.shape):
        step = np.zeros_like(vectors)
        step[place] = 1e-6
        difference = (forward(vectors + step)[0] - forward(vectors - step)[0]) @ gradient / 2e-6
        np.testing.assert_allclose(found[place], difference, rtol=1e-6)
