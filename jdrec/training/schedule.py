"""The learning rate over the batches: warm-up, then constant, in steps, along a cosine, or lower when a metric no longer improves."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jdrec.config import LearningRateDecayConfig


@dataclass
class Schedule:
    """The rate of each batch. Its only state is what `evaluated` counts.

    rate: of the first batch after the warm-up. every: batches between two steps. total: batches of the whole training, the cosine's end.
    """

    rate: float
    decay: LearningRateDecayConfig
    every: int
    total: int
    lowered: int = 0  # times, by evaluations without improvement
    waited: int = 0  # such evaluations in a row

    def at(self, batches_done: int) -> float:
        """The learning rate of the next batch."""
        warmup = self.decay.warmup
        if batches_done < warmup:
            return self.rate * (batches_done + 1) / (warmup + 1)
        return self._decayed(batches_done)

    def _decayed(self, batches_done: int) -> float:
        decay, floor = self.decay, min(self.decay.min, self.rate)
        if decay.kind == "cosine":
            share = min((batches_done - decay.warmup) / max(self.total - decay.warmup, 1), 1.0)
            return floor + (self.rate - floor) * 0.5 * (1 + math.cos(math.pi * share))
        times = batches_done // self.every if decay.kind == "step" else self.lowered
        return self.rate * decay.factor ** min(times, self.most_steps)

    @property
    def most_steps(self) -> int:
        """How often the rate can be multiplied by the factor without falling below its minimum."""
        factor, share = self.decay.factor, self.decay.min / self.rate
        if factor == 1 or share >= 1:
            return 0
        # The quotient of logarithms falls short of a whole number by rounding alone: log(1e-3)/log(0.1) is 2.9999999999999996.
        return math.floor(math.log(share) / math.log(factor) + 1e-9)

    @property
    def milestones(self) -> tuple[int, ...]:
        """Of steps: batches done when the rate is lowered."""
        return tuple(self.every * (i + 1) for i in range(self.most_steps)) if self.decay.kind == "step" else ()

    def evaluated(self, improved: bool) -> None:
        """Takes note of an evaluation."""
        self.waited = 0 if improved else self.waited + 1
        if self.waited >= self.decay.patience:
            self.lowered, self.waited = self.lowered + 1, 0
