"""Dropout whose masks are a function of seed, step and layer, so that they are the same in every framework and after every restart.

An element is kept where a hash of its index, under the layer's two keys, is above a threshold: there is no state to save.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np


class Draws:
    """Masks of one model: layers are numbered in the order in which they are made."""

    def __init__(self, seed: int):
        self._seed, self._step, self._layers = seed, 0, 0

    def start(self, step: int) -> None:
        """From now on masks are those of batch `step`."""
        self._step = step

    def next_layer(self) -> int:
        """The number of a new layer."""
        self._layers += 1
        return self._layers - 1

    def mask(self, layer: int, shape: tuple[int, ...], rate: float) -> np.ndarray:
        """float32 of that shape: 0 for a dropped element (with probability `rate`), 1 / (1 - rate) for a kept one."""
        keys = np.random.SeedSequence((self._seed, self._step, layer)).generate_state(2)
        mask = np.empty(shape, np.float32)
        _fill(mask.reshape(-1), keys[0], keys[1], np.uint32(min(int(rate * 2**32), 2**32 - 1)), np.float32(1 / (1 - rate)))
        return mask


def dropout_module(framework: Any, draws: Draws) -> type:
    """A Dropout module for a framework (the package torch or oneflow) on the CPU."""

    class Dropout(framework.nn.Module):
        def __init__(self, p: float) -> None:
            super().__init__()
            self.rate, self.layer = p, draws.next_layer()

        def forward(self, x: Any) -> Any:
            if not self.training or self.rate == 0:
                return x
            return x * framework.from_numpy(draws.mask(self.layer, tuple(x.shape), self.rate)).to(x.dtype)

    return Dropout


@numba.njit(cache=True, nogil=True)
def _fill(mask, first, second, threshold, kept):  # type: ignore[no-untyped-def]
    """Murmur3's finalizer over the index, with a second key in the middle."""
    for i in range(mask.size):
        h = np.uint32(np.uint32(i) * np.uint32(0x9E3779B1) + first)
        h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)) ^ second
        h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35))
        h ^= h >> np.uint32(16)
        mask[i] = kept if h >= threshold else np.float32(0)
