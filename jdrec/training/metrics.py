"""Metrics on a whole split, exact. Their values are scikit-learn's."""

from __future__ import annotations

import numpy as np


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a positive scores higher than a negative, ties counting half.

    Args:
        labels: [n], 0 or 1.
        scores: [n], any monotone score.

    Returns:
        In [0, 1]; NaN unless both classes occur.
    """
    positive = np.asarray(labels) > 0.5
    positives = int(np.count_nonzero(positive))
    negatives = len(positive) - positives
    if not positives or not negatives:
        return float("nan")
    order = np.argsort(scores, kind="stable")
    ordered = np.asarray(scores)[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))  # of runs of equal scores
    lengths = np.diff(np.append(starts, len(ordered)))
    positives_in_run = np.add.reduceat(positive[order].astype(np.int64), starts)
    mean_rank = starts + (lengths + 1) / 2  # ranks count from 1
    rank_sum = float(positives_in_run @ mean_rank)
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def logloss(labels: np.ndarray, logits: np.ndarray) -> float:
    """Mean binary cross-entropy in nats, from logits and in float64, so that no probability is 0 or 1.

    Args:
        labels: [n], 0 or 1.
        logits: [n].

    Returns:
        NaN of no rows.
    """
    if not len(logits):
        return float("nan")
    z = np.asarray(logits, np.float64)
    return float(np.mean(np.logaddexp(0.0, z) - np.asarray(labels, np.float64) * z))


def all_metrics(labels: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """auc, logloss, rows, positives and base_rate of a split.

    Args:
        labels: float32 [n], 0 or 1.
        logits: float32 [n].
    """
    positives = int(np.count_nonzero(labels > 0.5))
    return {
        "auc": auc(labels, logits),
        "logloss": logloss(labels, logits),
        "rows": len(labels),
        "positives": positives,
        "base_rate": positives / len(labels) if len(labels) else float("nan"),
    }


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities, float32, without overflow for large logits."""
    z = np.asarray(logits, np.float32)
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))
