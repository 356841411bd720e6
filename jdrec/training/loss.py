"""The training loss: weighted binary cross-entropy, with its gradient."""

from __future__ import annotations

import numpy as np


def logloss_with_gradient(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None) -> tuple[float, np.ndarray]:
    """Sum of weight * logloss over the batch divided by its size, and its gradient.

    Args:
        logits: float32 [n].
        labels: float32 [n], 0 or 1.
        weights: float32 [n], or None for ones.

    Returns:
        The loss, computed in float64, and float32 [n].
    """
    z = logits.astype(np.float64)
    losses = np.logaddexp(0.0, z) - labels * z
    residuals = 0.5 * (np.tanh(0.5 * z) + 1.0) - labels
    if weights is not None:
        losses *= weights
        residuals *= weights
    return float(losses.mean()), (residuals / len(z)).astype(np.float32)
