"""Losses that stay on the device until somebody wants to know them; then all of them come in one copy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


class Losses:
    """The last losses of a training, in a ring on the device.

    Args:
        fetch: copies the ring to the host, and says how many steps were done.
    """

    def __init__(self, fetch: Callable[[], tuple[np.ndarray, int]]):
        self._fetch = fetch
        self._ring, self._steps = np.empty(0, np.float32), 0

    def at(self, step: int) -> float:
        """The loss of a step, counted from 1.

        Raises:
            LookupError: it was overwritten by later ones.
        """
        if step > self._steps:
            self._ring, self._steps = self._fetch()
        if not self._steps - len(self._ring) < step <= self._steps:
            raise LookupError(f"the loss of step {step} is not there: {len(self._ring)} are kept, {self._steps} steps were done")
        return float(self._ring[(step - 1) % len(self._ring)])


class Loss:
    """A loss that can be had by float()."""

    def __init__(self, losses: Losses, step: int):
        self._losses, self._step = losses, step

    def __float__(self) -> float:
        return self._losses.at(self._step)
