"""The known truth of generated labels: probabilities, the intercept that gives a wanted rate, the best possible AUC."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa

from jdrec.dataset.generated.files import TableFile

TRUTH = "truth"  # its folder; no table of the data set


class Calibration:
    """Finds the intercept that gives a wanted label rate, from a histogram of logits."""

    _LOW, _STEP, _BINS = -20.0, 0.01, 4000

    def __init__(self) -> None:
        self._count = np.zeros(self._BINS, np.int64)

    def add(self, logits: np.ndarray) -> None:
        bins = ((logits - self._LOW) / self._STEP).astype(np.int64).clip(0, self._BINS - 1)
        self._count += np.bincount(bins, minlength=self._BINS)

    def intercept(self, rate: float) -> float:
        """By bisection; the mean probability is `rate` to about 1e-3."""
        logits = self._LOW + self._STEP * (np.arange(self._BINS) + 0.5)
        low, high = -40.0, 40.0
        for _ in range(60):
            middle = (low + high) / 2
            mean = (self._count * sigmoid(logits + middle)).sum() / max(1, self._count.sum())
            low, high = (middle, high) if mean < rate else (low, middle)
        return (low + high) / 2


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


GRID = 1_000_000  # probabilities are multiples of 1 / GRID, so that their AUC can be counted exactly in bounded memory


class AucCounter:
    """AUC of scores on the grid against labels that come in pieces; ties count one half."""

    def __init__(self) -> None:
        self._count = np.zeros((2, GRID + 1), np.int64)  # [label, score]

    def add(self, score: np.ndarray, label: np.ndarray) -> None:
        """score: int64 [n] multiples of 1 / GRID; label: bool [n]."""
        for value in (0, 1):
            self._count[value] += np.bincount(score[label == value], minlength=GRID + 1)

    def auc(self) -> float | None:
        """None where one class is missing."""
        negatives, positives = self._count
        pairs = int(negatives.sum()) * int(positives.sum())
        if not pairs:
            return None
        below = np.cumsum(negatives) - negatives
        return float((positives * (below + negatives / 2)).sum() / pairs)


class Labels:
    """Draws labels with known probabilities, writes those into `<root>/truth`, and counts what they allow.

    Args:
        root: the data set's folder.
        key: name and type of the request's key.
        random: draws the labels.
        intercept: added to every logit.
    """

    def __init__(self, root: Path, key: tuple[str, pa.DataType], random: np.random.Generator, intercept: float):
        self._random, self._intercept, self._key = random, intercept, key[0]
        self._file = TableFile(root, TRUTH, pa.schema([key, ("probability", pa.float64())]))
        self._best, self._attributes, self._logloss, self._positives = AucCounter(), AucCounter(), 0.0, 0

    def draw(self, keys: pa.Array, logit: np.ndarray, attributes_logit: np.ndarray) -> np.ndarray:
        """Labels bool [n] of requests with these keys; attributes_logit: the part of the logit that needs no window."""
        score = np.rint(GRID * sigmoid(logit.astype(np.float64) + self._intercept)).astype(np.int64).clip(1, GRID - 1)
        probability = score / GRID
        label = self._random.random(len(keys)) < probability
        self._file.write({self._key: keys, "probability": pa.array(probability)})
        self._best.add(score, label)
        self._attributes.add(np.rint(GRID * sigmoid(attributes_logit.astype(np.float64))).astype(np.int64), label)
        self._logloss -= float(np.log(np.where(label, probability, 1 - probability)).sum())
        self._positives += int(label.sum())
        return label

    def summary(self) -> dict[str, Any]:
        """label_rate, best_auc, best_logloss and attributes_auc of all labels drawn."""
        return {
            "label_rate": self._positives / self._file.rows,
            "best_auc": self._best.auc(),
            "best_logloss": self._logloss / self._file.rows,
            "attributes_auc": self._attributes.auc(),
        }

    def __enter__(self) -> Labels:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.__exit__(kind, error, trace)
