"""Watches a validation metric: is this evaluation the best one, and is it time to stop?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

Monitor = Literal["auc", "logloss", "auc - logloss"]


def monitored(metrics: Mapping[str, float], monitor: Monitor) -> float:
    """The monitored value, the higher the better (logloss is negated)."""
    if monitor == "auc":
        return metrics["auc"]
    if monitor == "logloss":
        return -metrics["logloss"]
    return metrics["auc"] - metrics["logloss"]


class EarlyStop:
    """Counts evaluations without improvement.

    Args:
        monitor: the metric.
        patience: so many evaluations in a row without improvement mean stop; None: never.
        min_delta: least improvement that counts.
    """

    def __init__(self, monitor: Monitor, patience: int | None, min_delta: float):
        self.monitor, self.patience, self.min_delta = monitor, patience, min_delta
        self.best = -math.inf
        self.without_improvement = 0

    def improved(self, metrics: Mapping[str, float]) -> bool:
        """Takes an evaluation's metrics; says whether they are the best so far."""
        value = monitored(metrics, self.monitor)
        if value >= self.best + self.min_delta:
            self.best, self.without_improvement = value, 0
            return True
        self.without_improvement += 1
        return False

    @property
    def stop(self) -> bool:
        return self.patience is not None and self.without_improvement >= self.patience
