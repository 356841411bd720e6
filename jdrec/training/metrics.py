"""Metrics on a whole split, exact. Their values are scikit-learn's, where it has them.

Every one takes weights of the rows, so that a bootstrap's resample is a count of each row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jdrec.training.sigmoid import sigmoid

NAMES = ("auc", "logloss", "gauc", "pr_auc", "ece", "predicted_observed")
BINS = 20  # of the calibration error
_NAN = float("nan")


@dataclass(frozen=True)
class Scored:
    """A split with its scores, and its metrics.

    labels: [n], 0 or 1. logits: float32 [n]. groups: integers [n], whose rows GAUC compares with each other, or None.
    """

    labels: np.ndarray
    logits: np.ndarray
    groups: np.ndarray | None = None

    def metrics(self, weights: np.ndarray | None = None) -> dict[str, float]:
        """All metrics; NaN where one is not defined. gauc is there only with groups.

        Args:
            weights: [n], how often each row counts; once by default.
        """
        w = np.ones(len(self.labels)) if weights is None else np.asarray(weights, np.float64)
        result = {"auc": self.auc(w), "logloss": self.logloss(w), "pr_auc": self.pr_auc(w), "ece": self.ece(w)}
        result["predicted_observed"] = self.predicted_observed(w)
        if self.groups is not None:
            result["gauc"] = self.gauc(w)
        return result

    def summary(self) -> dict[str, float]:
        """All metrics, rows, positives and base_rate."""
        rows, positives = len(self.labels), int(self.positive.sum())
        return {**self.metrics(), "rows": rows, "positives": positives, "base_rate": _ratio(positives, rows)}

    def auc(self, w: np.ndarray) -> float:
        """Area under the ROC curve: the chance that a positive scores higher than a negative, ties counting half."""
        positives, negatives = self.score_runs(w)
        below = np.cumsum(negatives) - negatives
        return _ratio(float(positives @ (below + 0.5 * negatives)), float(positives.sum()) * float(negatives.sum()))

    def pr_auc(self, w: np.ndarray) -> float:
        """Average precision: the sum over thresholds of precision times the gain in recall."""
        positives, negatives = (run[::-1] for run in self.score_runs(w))
        found = np.cumsum(positives)
        with np.errstate(invalid="ignore"):
            precision = np.nan_to_num(found / (found + np.cumsum(negatives)))
        return _ratio(float(precision @ positives), float(positives.sum()))

    def logloss(self, w: np.ndarray) -> float:
        """Mean binary cross-entropy in nats, from logits and in float64, so that no probability is 0 or 1."""
        return _ratio(float(w @ self.losses), float(w.sum()))

    def ece(self, w: np.ndarray) -> float:
        """Expected calibration error: the mean distance between predicted and observed share, over bins of as many rows each.

        Bins are between quantiles of the whole split's probabilities: Naeini et al., AAAI 2015, with bins of equal mass.
        """
        gaps = np.bincount(self.bins, w * (self.probabilities - self.positive), BINS)
        return _ratio(float(np.abs(gaps).sum()), float(w.sum()))

    def predicted_observed(self, w: np.ndarray) -> float:
        """Sum of the probabilities over the number of positives: 1 when the level is right."""
        return _ratio(float(w @ self.probabilities), float(w @ self.positive))

    def gauc(self, w: np.ndarray) -> float:
        """Mean of the groups' own AUCs, each counting as much as it has rows; groups of one class are left out.

        Zhou et al., "Deep Interest Network", arXiv 1706.06978, section 6.2.
        """
        positives, negatives, first = self.group_runs(w)
        if not len(first):
            return _NAN
        sums = [np.add.reduceat(run, first) for run in (positives, negatives)]
        below = np.cumsum(negatives) - negatives
        below -= np.repeat(below[first], np.diff(np.append(first, len(below))))
        areas = np.add.reduceat(positives * (below + 0.5 * negatives), first)
        pairs = sums[0] * sums[1]
        both = pairs > 0
        rows = (sums[0] + sums[1])[both]
        return _ratio(float(rows @ (areas[both] / pairs[both])), float(rows.sum()))

    @cached_property
    def positive(self) -> np.ndarray:
        return (np.asarray(self.labels) > 0.5).astype(np.float64)

    @cached_property
    def losses(self) -> np.ndarray:
        z = np.asarray(self.logits, np.float64)
        return np.logaddexp(0.0, z) - self.positive * z

    @cached_property
    def probabilities(self) -> np.ndarray:
        return sigmoid(self.logits).astype(np.float64)

    @cached_property
    def bins(self) -> np.ndarray:
        if not len(self.logits):
            return np.empty(0, np.int64)
        edges = np.percentile(self.probabilities, np.linspace(0, 100, BINS + 1))
        return np.searchsorted(edges[1:-1], self.probabilities)

    @cached_property
    def _order(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows by score, and where runs of equal scores start."""
        order = np.argsort(self.logits, kind="stable")
        return order, _starts(np.asarray(self.logits)[order])

    @cached_property
    def _group_order(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows by group and score; where runs of equal scores in a group start; which of those runs is a group's first."""
        assert self.groups is not None
        order = np.lexsort((self.logits, self.groups))
        groups = np.asarray(self.groups)[order]
        starts = np.union1d(_starts(groups), _starts(np.asarray(self.logits)[order]))
        return order, starts, _starts(groups[starts])

    def score_runs(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weight of positives and of negatives in each run of equal scores, ascending."""
        order, starts = self._order
        return self._sums(w, order, starts)

    def group_runs(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same by group and score; and which of those runs is a group's first."""
        order, starts, first = self._group_order
        return *self._sums(w, order, starts), first

    def _sums(self, w: np.ndarray, order: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not len(order):
            return np.empty(0), np.empty(0)
        ordered, positive = w[order], self.positive[order]
        return np.add.reduceat(ordered * positive, starts), np.add.reduceat(ordered * (1 - positive), starts)


def _starts(values: np.ndarray) -> np.ndarray:
    """Where runs of equal values start, int64."""
    if not len(values):
        return np.empty(0, np.int64)
    return np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))


def _ratio(a: float, b: float) -> float:
    return a / b if b else _NAN


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve of any scores [n]; NaN unless both classes occur."""
    return Scored(labels, scores).auc(np.ones(len(labels)))


def logloss(labels: np.ndarray, logits: np.ndarray) -> float:
    """Mean binary cross-entropy in nats; NaN of no rows."""
    return Scored(labels, logits).logloss(np.ones(len(labels)))


def all_metrics(labels: np.ndarray, logits: np.ndarray, groups: np.ndarray | None = None) -> dict[str, float]:
    """Every metric, rows, positives and base_rate of a split.

    Args:
        labels: float32 [n], 0 or 1.
        logits: float32 [n].
        groups: integers [n], for gauc.
    """
    return Scored(labels, logits, groups).summary()


def stated(value: float | None, interval: Sequence[float | None] | None = None) -> str:
    """A metric with its interval, as in 0.5803 [0.5204, 0.6391]."""
    if value is None or math.isnan(value):
        return "undefined"
    low, high = interval or (None, None)
    if low is None or high is None or math.isnan(low):
        return f"{value:.4f}"
    return f"{value:.4f} [{low:.4f}, {high:.4f}]"
