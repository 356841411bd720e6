"""Dropout whose masks are a function of seed, step and layer, so that they are the same in every framework and after every restart.

An element is kept where a hash of its index, under the layer's two keys, is above a threshold: there is no state to save, and no mask to
store, since ReLU's output says what was kept.
"""

from __future__ import annotations

import numba
import numpy as np


class Draws:
    """What the dropout layers of one model draw from: layers are numbered in the order in which they are made."""

    def __init__(self, seed: int):
        self._seed, self._step, self._first, self._layers = seed, 0, 0, 0

    def start(self, step: int, first: int = 0) -> None:
        """From now on masks are those of batch `step`, of its samples from number `first` on."""
        self._step, self._first = step, first

    def next_layer(self) -> int:
        """The number of a new layer."""
        self._layers += 1
        return self._layers - 1

    def relu_dropout(self, layer: int, x: np.ndarray, rate: float) -> None:
        """ReLU, then dropout at `rate`, in place: kept elements are multiplied by 1 / (1 - rate).

        Args:
            layer: as `next_layer` numbered it.
            x: float32 or float64 [samples, ...], C-contiguous.
        """
        keys = np.random.SeedSequence((self._seed, self._step, layer)).generate_state(2)
        first = np.uint32(self._first * (x.size // max(len(x), 1)) % 2**32)
        threshold, kept = np.uint32(min(int(rate * 2**32), 2**32 - 1)), x.dtype.type(1 / (1 - rate))
        _relu_dropout(x.reshape(-1), first, keys[0], keys[1], threshold, kept)


def relu_dropout_gradient(gradient: np.ndarray, output: np.ndarray, rate: float) -> np.ndarray:
    """The gradient of `Draws.relu_dropout`'s input from that of its output."""
    result = np.empty_like(output)
    _relu_dropout_gradient(
        np.ascontiguousarray(gradient).reshape(-1), output.reshape(-1), output.dtype.type(1 / (1 - rate)), result.reshape(-1)
    )
    return result


def compile_now() -> None:
    """Before processes are forked: each would do it again, and must not import what that takes, for in it a module whose import
    another thread has begun stays locked."""
    one = np.zeros((1, 1), np.float32)
    Draws(0).relu_dropout(0, one, 0.5)
    relu_dropout_gradient(one, one, 0.5)


@numba.njit(cache=True, nogil=True)
def _relu_dropout(x, start, first, second, threshold, kept):  # type: ignore[no-untyped-def]
    """The hash is Murmur3's finalizer over the index, with a second key in the middle."""
    for i in range(x.size):
        h = np.uint32(np.uint32(np.uint32(i) + start) * np.uint32(0x9E3779B1) + first)
        h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)) ^ second
        h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35))
        h ^= h >> np.uint32(16)
        value = x[i]
        x[i] = value * kept if (h >= threshold) & (value > 0) else x.dtype.type(0)


@numba.njit(cache=True, nogil=True)
def _relu_dropout_gradient(gradient, output, kept, result):  # type: ignore[no-untyped-def]
    for i in range(gradient.size):
        result[i] = gradient[i] * kept if output[i] > 0 else output.dtype.type(0)
