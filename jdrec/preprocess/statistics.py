"""What is worth knowing about the fields: distinct values, NULLs, the training distribution, and signs of a feature gone wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.preprocess.arrow import from_numbers, numbers

if TYPE_CHECKING:
    import pyarrow as pa

    from jdrec.preprocess.id_table import IdTable

UNIQUE_SHARE = 0.95  # more distinct values a row than this: an id of the row
LABEL_LIKE_AUC = 0.99
_LEAST_OF_EACH_CLASS = 10  # fewer positives or negatives say nothing
_MANY = 1 << 16  # distinct ids from which a compiled hash table counts them
_TOP = 20
_TEXT = 100  # characters of a frequent value that are kept


class DistinctCount:
    """Counts the distinct values of a stream of ids exactly, in memory proportional to their number."""

    def __init__(self) -> None:
        self._known = np.empty(0, np.int64)
        self._fresh: list[np.ndarray] = []
        self._pending = 0
        self._table: IdTable | None = None  # once there are many

    def update(self, ids: np.ndarray) -> None:
        """Adds int64 [n]."""
        if self._table is not None:
            self._table.update(ids)
            return
        fresh = _unique(ids)
        self._fresh.append(fresh)
        self._pending += len(fresh)
        if self._pending > max(len(self._known), _MANY):  # merging at doublings keeps the whole work linear
            self._merge()
            if len(self._known) > _MANY:
                self._to_table()

    def _merge(self) -> None:
        self._known = _unique(np.concatenate([self._known, *self._fresh]))
        self._fresh, self._pending = [], 0

    def _to_table(self) -> None:
        from jdrec.preprocess.id_table import IdTable

        self._table = IdTable()
        self._table.update(self._known)
        self._known = np.empty(0, np.int64)

    @property
    def count(self) -> int:
        if self._table is not None:
            return len(self._table)
        if self._fresh:
            self._merge()
        return len(self._known)


def _unique(ids: np.ndarray) -> np.ndarray:
    """Distinct values by Arrow's hash table, several times faster than sorting."""
    return numbers(from_numbers(ids).unique()) if len(ids) else ids


@dataclass(frozen=True)
class Finding:
    """Something to look at: where in the configuration, and what."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def auc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve, ties counting half; None unless there are enough of both classes.

    Args:
        labels: [n], 0 or 1. scores: [n], no NaN.
    """
    positives = float(labels.sum())
    negatives = len(labels) - positives
    if min(positives, negatives) < _LEAST_OF_EACH_CLASS:
        return None
    _, group, size = np.unique(scores, return_inverse=True, return_counts=True)
    positive = np.bincount(group, labels, len(size))
    negative = size - positive
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / (positives * negatives))


@dataclass(frozen=True)
class Groups:
    """Rows grouped by their id: for each distinct id its first row and its count, for each row its group."""

    first: np.ndarray
    of_row: np.ndarray
    count: np.ndarray

    @classmethod
    def of(cls, ids: np.ndarray) -> Groups:
        return cls(*np.unique(ids, return_index=True, return_inverse=True, return_counts=True)[1:])


def auc_of_values(groups: Groups, labels: np.ndarray) -> float | None:
    """How well a field's value alone ranks the labels: positive rates learnt on a random half of the rows, judged on the other.

    Args:
        groups: of the field's ids [n]. labels: float32 [n].
    """
    learn = np.random.default_rng(0).random(len(labels)) < 0.5  # not every second row: rows may come in a rhythm
    judge = ~learn
    if not learn.any():
        return None
    prior, count = float(labels[learn].mean()), len(groups.count)
    positive = np.bincount(groups.of_row[learn], labels[learn], count)
    rate = (positive + prior) / (np.bincount(groups.of_row[learn], minlength=count) + 1)
    return auc(labels[judge], rate[groups.of_row[judge]])


def label_like(groups: Groups, numbers_: np.ndarray | None, labels: np.ndarray) -> str | None:
    """A sentence if the field gives the label away, else None.

    Args:
        groups: of the field's ids [n]. numbers_: float64 [n] for a number, NaN where NULL; else None. labels: float32 [n].
    """
    best = auc_of_values(groups, labels)
    if numbers_ is not None:
        known = ~np.isnan(numbers_)
        enough = auc(labels[known], numbers_[known])
        if enough is not None and known.all() and np.array_equal(numbers_, labels):
            return "equals the label in every row looked at; it would not be known when a request is made."
        if enough is not None:
            best = max(best or 0.0, enough, 1 - enough)
    if best is not None and best > LABEL_LIKE_AUC:
        return f"predicts the label almost alone (AUC {best:.4f}); is it known when a request is made?"
    return None


def number_statistics(sample: np.ndarray, moments: Any) -> dict[str, Any]:
    """Distribution of a number in the training rows: moments of all, deciles of the sample."""
    known = sample[np.isfinite(sample)]
    if not len(known):
        return {}
    deciles = np.quantile(known, np.linspace(0, 1, 11), method="inverted_cdf").tolist()
    return {"mean": moments.mean, "std": moments.std, "min": moments.min, "max": moments.max, "deciles": deciles}


def frequent_values(groups: Groups, raw: pa.Array) -> list[tuple[str | None, float]]:
    """(value as text, share of the rows) of the most frequent values; None is NULL.

    Args:
        groups: of the ids of sampled training rows [n]. raw: their values [n].
    """
    top = np.lexsort((groups.first, -groups.count))[:_TOP]
    result: list[tuple[str | None, float]] = []
    for index in top:
        value = raw[int(groups.first[index])].as_py()
        share = round(float(groups.count[index] / len(raw)), 6)
        result.append((None if value is None else str(value)[:_TEXT], share))
    return result
