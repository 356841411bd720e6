"""Curves of a scored split, thinned so that a page can hold them."""

from __future__ import annotations

from typing import Any

import numpy as np

POINTS = 160
CALIBRATION_BINS = 15
HISTOGRAM_BINS = 40
FEWEST = 10  # rows that a precision is of
_Z = 1.959964  # of a 95 % interval


def roc(labels: np.ndarray, scores: np.ndarray) -> list[dict[str, float]]:
    """Points of the ROC curve from (0, 0) to (1, 1): fpr, tpr."""
    found, wrong, _ = _cumulated(labels, scores)
    fpr, tpr = wrong / max(wrong[-1], 1), found / max(found[-1], 1)
    return [{"fpr": _round(fpr[k]), "tpr": _round(tpr[k])} for k in _thin(fpr, tpr)]


def precision_recall(labels: np.ndarray, scores: np.ndarray) -> list[dict[str, float]]:
    """Points of the precision-recall curve by rising recall: recall, precision, threshold."""
    found, wrong, thresholds = _cumulated(labels, scores)
    recall = found / max(found[-1], 1)
    precision = found[1:] / (found[1:] + wrong[1:])
    first = int(np.argmax(found[1:] + wrong[1:] >= FEWEST)) if len(found) > 1 else 0  # the precision of a few rows is chance
    places = [k for k in _thin(recall[1:], precision) if k >= first]
    return [{"recall": _round(recall[k + 1]), "precision": _round(precision[k]), "threshold": _round(thresholds[k])} for k in places]


def calibration(labels: np.ndarray, scores: np.ndarray) -> list[dict[str, float]]:
    """Bins of as many rows each: predicted (mean score), observed (positive share), its Wilson interval low and high, rows."""
    order = np.argsort(scores, kind="stable")
    result = []
    for rows in np.array_split(order, min(CALIBRATION_BINS, max(len(order), 1))):
        if not len(rows):
            continue
        observed = float(np.mean(labels[rows] > 0.5))
        low, high = wilson(observed, len(rows))
        predicted = _round(float(np.mean(scores[rows])))
        result.append({"predicted": predicted, "observed": _round(observed), "low": _round(low), "high": _round(high), "rows": len(rows)})
    return result


def histogram(labels: np.ndarray, scores: np.ndarray) -> list[dict[str, Any]]:
    """Bins of score: start, end, and the share of its label's rows, for the labels 0 and 1."""
    highest = float(np.quantile(scores, 0.999)) if len(scores) else 1.0
    edges = np.linspace(0.0, max(highest, 1e-6), HISTOGRAM_BINS + 1)
    result = []
    for label in (0, 1):
        inside = np.minimum(scores[(labels > 0.5) == bool(label)], edges[-1])
        counts = np.histogram(inside, edges)[0]
        for k, count in enumerate(counts):
            share = float(count / max(len(inside), 1))
            result.append({"start": _round(edges[k]), "end": _round(edges[k + 1]), "label": label, "share": _round(share)})
    return result


def at_the_top(labels: np.ndarray, scores: np.ndarray) -> list[dict[str, float]]:
    """What the highest scores hold: share of rows taken, their precision with its 95 % interval low and high (Wilson), the recall, and the lift
    over taking any rows."""
    order = np.argsort(-scores, kind="stable")
    positive = np.cumsum(labels[order] > 0.5)
    result = []
    for share in (0.01, 0.05, 0.1, 0.2, 0.5):
        taken = max(round(share * len(order)), 1)
        if len(order) and positive[-1]:
            precision = float(positive[taken - 1] / taken)
            recall = float(positive[taken - 1] / positive[-1])
            lift = precision * len(order) / float(positive[-1])
            low, high = wilson(precision, taken)
            result.append({"share": share, "rows": taken, "precision": precision, "low": low, "high": high, "recall": recall, "lift": lift})
    return result


def auc(labels: np.ndarray, scores: np.ndarray) -> dict[str, float | int | None]:
    """auc with a 95 % interval low and high, rows and positives; None where there is one class only.

    The standard error is Hanley and McNeil's, Radiology 143 (1982).
    """
    positive = labels > 0.5
    n, m = int(positive.sum()), int((~positive).sum())
    result: dict[str, float | int | None] = {"auc": None, "low": None, "high": None, "rows": n + m, "positives": n}
    if not n or not m:
        return result
    value = _auc(positive, scores)
    q1, q2 = value / (2 - value), 2 * value**2 / (1 + value)
    variance = (value * (1 - value) + (n - 1) * (q1 - value**2) + (m - 1) * (q2 - value**2)) / (n * m)
    half = _Z * max(variance, 0.0) ** 0.5
    return result | {"auc": _round(value), "low": _round(max(value - half, 0.0)), "high": _round(min(value + half, 1.0))}


def wilson(share: float, rows: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson, JASA 22, 1927)."""
    if not rows:
        return 0.0, 1.0
    scale = 1 + _Z**2 / rows
    middle = (share + _Z**2 / (2 * rows)) / scale
    half = _Z * (share * (1 - share) / rows + _Z**2 / (4 * rows**2)) ** 0.5 / scale
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _auc(positive: np.ndarray, scores: np.ndarray) -> float:
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]  # ties share their middle rank
    n, m = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


def _cumulated(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True and false positives at falling thresholds, both beginning with 0, and the thresholds; equal scores are one threshold."""
    order = np.argsort(-scores, kind="stable")
    ordered, positive = scores[order], labels[order] > 0.5
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) if len(ordered) else np.empty(0, np.int64)
    found = np.append(0, np.cumsum(positive)[last])
    wrong = np.append(0, np.cumsum(~positive)[last])
    return found, wrong, ordered[last]


def _thin(x: np.ndarray, y: np.ndarray) -> list[int]:
    """Places of at most about POINTS points, evenly along the curve; its ends are kept."""
    if len(x) <= POINTS:
        return list(range(len(x)))
    length = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
    return np.unique(np.searchsorted(length, np.linspace(0, length[-1], POINTS)).clip(0, len(x) - 1)).tolist()


def _round(value: float) -> float:
    return round(float(value), 6)
