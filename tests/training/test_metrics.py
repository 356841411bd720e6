from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jdrec.training.metrics import all_metrics, auc, logloss, sigmoid


def test_auc_by_hand() -> None:
    labels = np.array([0, 1, 0, 1])
    assert auc(labels, np.array([0.1, 0.2, 0.3, 0.4])) == 0.75
    assert auc(labels, np.array([0.5, 0.5, 0.5, 0.5])) == 0.5
    assert auc(labels, np.array([0.1, 0.3, 0.3, 0.9])) == 0.875  # one tie of four pairs
    assert auc(labels, np.array([4, 3, 2, 1])) == 0.25


def test_logloss_by_hand() -> None:
    assert logloss(np.array([1, 0]), np.array([0.0, 0.0])) == pytest.approx(math.log(2), abs=1e-15)
    assert logloss(np.array([1.0]), np.array([-1000.0])) == 1000.0
    assert logloss(np.array([1.0, 0.0]), np.array([1000.0, -1000.0])) == 0.0


@settings(deadline=None)  # the first call imports scikit-learn
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-30, 30)), min_size=2, max_size=200))
def test_equal_to_scikit_learn(rows: list[tuple[int, int]]) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    labels, logits = np.array([row[0] for row in rows], np.float32), np.array([row[1] for row in rows]) / np.float32(4)
    assert logloss(labels, logits) == pytest.approx(
        sklearn.log_loss(labels, 1 / (1 + np.exp(-logits.astype(np.float64))), labels=[0, 1]), rel=1e-9
    )
    if 0 < labels.sum() < len(labels):
        assert auc(labels, logits) == pytest.approx(sklearn.roc_auc_score(labels, logits), abs=1e-12)
    else:
        assert math.isnan(auc(labels, logits))


def test_all_metrics() -> None:
    labels = np.array([0, 1, 0, 1], np.float32)
    metrics = all_metrics(labels, np.array([-1.0, 0.0, 0.5, 1.0], np.float32))
    assert metrics["auc"] == 0.75
    assert (metrics["rows"], metrics["positives"], metrics["base_rate"]) == (4, 2, 0.5)


def test_sigmoid_neither_overflows_nor_loses_small_probabilities() -> None:
    with np.errstate(over="raise"):
        result = sigmoid(np.array([-80.0, 0.0, 80.0], np.float32))
    assert result.dtype == np.float32
    assert result[0] == pytest.approx(1.8048513e-35, rel=1e-5)
    assert result[1:].tolist() == [0.5, 1.0]
