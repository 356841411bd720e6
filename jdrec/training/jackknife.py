"""Intervals of metrics without resampling, for the evaluations during training: the infinitesimal jackknife (Efron, SIAM 1982, chapter 6).

Every metric is a function of the rows' weights. The squares of its derivatives by them add up to the variance that a bootstrap's resamples
have, to the first order; of the AUC that is DeLong's (Biometrics 44, 1988). It takes one pass over the rows, and no draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from jdrec.training.metrics import BINS, Scored

_Z = 1.959964  # of a 95 % interval
_AT_MOST_1 = ("auc", "gauc", "pr_auc", "ece")


def intervals(scored: Scored, metrics: Mapping[str, float]) -> dict[str, list[float]]:
    """[low, high], with 95 % confidence, of each metric that has one; NaN where it is not defined.

    Args:
        metrics: those of `scored`; others than `jdrec.training.metrics.NAMES` are left out.
    """
    result = {}
    for name, error in standard_errors(scored).items():
        low, high = metrics[name] - _Z * error, metrics[name] + _Z * error
        result[name] = [max(low, 0.0), min(high, 1.0)] if name in _AT_MOST_1 else [max(low, 0.0), high]
    return result


def standard_errors(scored: Scored) -> dict[str, float]:
    """Of each metric; NaN where it is not defined."""
    once = np.ones(len(scored.labels))
    runs = scored.score_runs(once)
    variances = {
        "auc": _auc(*runs),
        "logloss": _mean(scored.losses),
        "pr_auc": _pr_auc(*runs),
        "ece": _ece(scored),
        "predicted_observed": _predicted_observed(scored),
    }
    if scored.groups is not None:
        variances["gauc"] = _gauc(*scored.group_runs(once))
    return {name: math.sqrt(variance) for name, variance in variances.items()}


# --- variances: positives and negatives are counts in runs of equal scores, ascending ----------------------------------------


def _auc(positives: np.ndarray, negatives: np.ndarray) -> float:
    return _gauc(positives, negatives, np.zeros(min(len(positives), 1), np.int64))  # of one group


def _gauc(positives: np.ndarray, negatives: np.ndarray, first: np.ndarray) -> float:
    """first: which runs are a group's first."""
    if not len(first):
        return math.nan
    lengths = np.diff(np.append(first, len(positives)))
    p, q = np.add.reduceat(positives, first), np.add.reduceat(negatives, first)
    both = (p > 0) & (q > 0)
    rows = np.where(both, p + q, 0.0)
    if not both.any():
        return math.nan
    p, q = np.where(both, p, 1.0), np.where(both, q, 1.0)
    # The negatives of its group that a positive beats, and the positives that beat a negative; ties count half.
    beaten = np.cumsum(negatives) - 0.5 * negatives
    beating = np.cumsum(positives) - 0.5 * positives
    beaten -= np.repeat((np.cumsum(negatives) - negatives)[first], lengths)
    beating = np.repeat(p + (np.cumsum(positives) - positives)[first], lengths) - beating
    areas = np.add.reduceat(positives * beaten, first) / (p * q)
    mean = float(rows @ areas) / float(rows.sum())
    # What one row more would change in the sum of rows times area: it counts as a row, and it moves the area of its group.
    as_row = np.repeat(areas - mean, lengths)
    of_positive = as_row + np.repeat(rows / p, lengths) * (beaten / np.repeat(q, lengths) - np.repeat(areas, lengths))
    of_negative = as_row + np.repeat(rows / q, lengths) * (beating / np.repeat(p, lengths) - np.repeat(areas, lengths))
    inside = np.repeat(both, lengths)
    return float((positives * of_positive**2 + negatives * of_negative**2)[inside].sum()) / float(rows.sum()) ** 2


def _pr_auc(positives: np.ndarray, negatives: np.ndarray) -> float:
    p = float(positives.sum())
    if not p:
        return math.nan
    found, wrong = np.cumsum(positives[::-1])[::-1], np.cumsum(negatives[::-1])[::-1]
    precision = found / (found + wrong)
    value = float(precision @ positives) / p
    moved = positives / (found + wrong) ** 2  # a row moves the precision at its own score and at all lower ones
    of_positive = precision - value + np.cumsum(moved * wrong)
    of_negative = -np.cumsum(moved * found)
    return float(positives @ of_positive**2 + negatives @ of_negative**2) / p**2


def _mean(values: np.ndarray) -> float:
    return float(np.var(values)) / len(values) if len(values) else math.nan


def _ece(scored: Scored) -> float:
    """Takes the side on which each bin's share lies for granted, so it is rough for a split whose bins are all but right."""
    gap = scored.probabilities - scored.positive
    side = np.sign(np.bincount(scored.bins, gap, BINS))
    return _mean(side[scored.bins] * gap)


def _predicted_observed(scored: Scored) -> float:
    observed = float(scored.positive.sum())
    if not observed:
        return math.nan
    ratio = float(scored.probabilities.sum()) / observed
    return float(np.square(scored.probabilities - ratio * scored.positive).sum()) / observed**2
