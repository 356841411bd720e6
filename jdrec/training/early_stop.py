"""Watches a validation metric: is this evaluation the best one, and is it time to stop?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from jdrec.errors import ConfigError, nearest

# What each metric is worth, the higher the better.
_WORTH: dict[str, Callable[[float], float]] = {
    "auc": lambda value: value,
    "gauc": lambda value: value,
    "pr_auc": lambda value: value,
    "logloss": lambda value: -value,
    "ece": lambda value: -value,
    "predicted_observed": lambda value: -abs(value - 1),
}


def monitored_metrics(monitor: str) -> list[str]:
    """The metrics in a monitor: one name, or two with a minus between.

    Raises:
        ConfigError: it is neither.
    """
    metrics = [name.strip() for name in monitor.split(" - ")]
    for name in metrics:
        if name not in _WORTH:
            raise ConfigError(f"there is no metric {name!r}.", where="trainer.early_stop.monitor", hint=nearest(name, _WORTH))
    if len(metrics) > 2:
        raise ConfigError("a difference has two metrics.", where="trainer.early_stop.monitor", hint="As in: auc - logloss")
    return metrics


def monitored(metrics: Mapping[str, float], monitor: str) -> float:
    """The monitored value, the higher the better: a single metric by its own worth, a difference as it stands."""
    names = monitored_metrics(monitor)
    if len(names) == 1:
        return _WORTH[names[0]](metrics[names[0]])
    return metrics[names[0]] - metrics[names[1]]


class EarlyStop:
    """Counts evaluations without improvement.

    Args:
        monitor: the metric, as `monitored` takes it.
        patience: so many evaluations in a row without improvement mean stop; None: never.
        min_delta: least improvement that counts.
    """

    def __init__(self, monitor: str, patience: int | None, min_delta: float):
        monitored_metrics(monitor)
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
