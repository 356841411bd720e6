"""The learning rate over the batches: constant, or lowered by a factor at the end of each epoch until it reaches a minimum."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """A multi-step schedule.

    rate: of the first batch. factor: it is multiplied by this at each milestone. milestones: batches done, ascending.
    """

    rate: float
    factor: float
    milestones: tuple[int, ...]

    @classmethod
    def by_epoch(cls, rate: float, factor: float, minimum: float, epoch_batches: int) -> Schedule:
        """Lowers the rate at the end of each epoch, as often as it stays at or above `minimum`."""
        times = 0
        if factor < 1 and minimum < rate:
            # The quotient of logarithms falls short of a whole number by rounding alone: log(1e-3)/log(0.1) is 2.9999999999999996.
            times = math.floor(math.log(minimum / rate) / math.log(factor) + 1e-9)
        return cls(rate, factor, tuple(epoch_batches * (i + 1) for i in range(times)))

    def at(self, batches_done: int) -> float:
        """The learning rate of the next batch."""
        return self.rate * self.factor ** bisect_right(self.milestones, batches_done)
