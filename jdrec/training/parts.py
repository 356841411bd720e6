"""A batch computed in parts, each in a thread of its own.

A framework's threads share its matrix products and little else: reductions, small operators and Python itself run on one. Parts of a batch share all
of it. Gradients of the parts are added up in their order, so that a run is repeated bit for bit by the same number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from jdrec.training.network import ModuleNetwork

LEAST = 256  # samples of a part: matrix products of fewer are slow


class Parts:
    """A `Network` of several that share their parameters.

    Args:
        networks: one a part.
    """

    def __init__(self, networks: Sequence[ModuleNetwork]):
        first = self._first = networks[0]
        for other in networks[1:]:
            other.share(first)
        self.framework, self.parameters = first.framework, first.parameters
        self._networks = networks
        self._pool = ThreadPoolExecutor(len(networks) - 1, "part")
        self._slices: list[slice] = []

    def forward(self, vectors: np.ndarray, weights: np.ndarray, step: int) -> np.ndarray:
        slices = self._slices = cut(len(vectors), len(self._networks))
        return np.concatenate(self._each(lambda network, part: network.forward(vectors[part], weights[part], step, part.start), slices))

    def backward(self, gradient: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        found = self._each(lambda network, part: network.backward(gradient[part]), self._slices)
        gradients = found[0][0]
        for other, _, _ in found[1:]:
            for name, value in other.items():
                gradients[name] += value
        return gradients, np.concatenate([vectors for _, vectors, _ in found]), np.concatenate([weights for _, _, weights in found])

    def logits(self, vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return np.concatenate(
            self._each(lambda network, part: network.logits(vectors[part], weights[part]), cut(len(vectors), len(self._networks)))
        )

    def profiler(self, folder: Path) -> AbstractContextManager:
        """Of the first part, which the calling thread computes."""
        return self._first.profiler(folder)

    def _each(self, work: Callable[[ModuleNetwork, slice], Any], slices: list[slice]) -> list[Any]:
        """What `work` gives for every part; the first one in this thread."""
        pairs = list(zip(self._networks, slices, strict=False))
        others = [self._pool.submit(work, network, part) for network, part in pairs[1:]]
        return [work(*pairs[0]), *(other.result() for other in others)]


def cut(count: int, most: int) -> list[slice]:
    """At most so many parts of about the same size, fewer where they would be small."""
    bounds = np.linspace(0, count, max(1, min(most, count // LEAST)) + 1).astype(int).tolist()
    return [slice(start, end) for start, end in pairwise(bounds)]
