"""Confidence intervals of metrics: rows are drawn again with replacement (Efron, 1979), the percentiles of the metrics are the interval."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from jdrec.system import cores
from jdrec.training.metrics import Scored

_MOST_ROWS = 100_000_000  # drawn in all: a split of millions, whose intervals are narrow, has fewer resamples
_FEW = 10_000  # rows: with fewer, threads wait for each other


def intervals(scored: Scored, resamples: int, confidence: float = 0.95, seed: int = 0) -> dict[str, tuple[float, float]]:
    """The interval of each metric; NaN where it is not defined.

    Args:
        scored: the split.
        resamples: how many; 50 at least, but for a large split fewer than asked for.
        confidence: share of the resamples that lie inside.
        seed: of the draws.
    """
    rows = len(scored.labels)
    if not rows:
        return {}
    resamples = max(50, min(resamples, _MOST_ROWS // rows))
    scored.metrics()  # sorts once, before threads share it

    def one(k: int) -> dict[str, float]:
        drawn = np.random.default_rng((seed, k)).integers(0, rows, rows)
        return scored.metrics(np.bincount(drawn, minlength=rows))

    if rows < _FEW:
        draws = [one(k) for k in range(resamples)]
    else:
        with ThreadPoolExecutor(cores()) as pool:
            draws = list(pool.map(one, range(resamples)))
    tail = 50 * (1 - confidence)
    result = {}
    for name in draws[0]:
        values = np.array([draw[name] for draw in draws])
        values = values[np.isfinite(values)]
        low, high = np.percentile(values, [tail, 100 - tail]) if len(values) else (np.nan, np.nan)
        result[name] = (float(low), float(high))
    return result
