from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jdrec.training.bootstrap import intervals
from jdrec.training.metrics import BINS, Scored, all_metrics, auc, logloss
from jdrec.training.sigmoid import sigmoid


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


def test_gauc_by_hand() -> None:
    labels, logits = np.array([1, 0, 0, 1, 1, 0, 1]), np.array([3.0, 1, 2, 0, 1, 1, 9], np.float32)
    groups = np.array([7, 7, 7, 2, 2, 2, 5])  # group 7: 1 of 3 rows; group 2: (0 + 0.5) / 2 of 3 rows; group 5 has one class
    assert all_metrics(labels, logits, groups)["gauc"] == pytest.approx((3 * 1 + 3 * 0.25) / 6)
    assert "gauc" not in all_metrics(labels, logits)


def test_ratio_and_calibration_error_by_hand() -> None:
    labels, logits = np.array([0, 1]), np.log(np.array([0.25, 0.75]) / np.array([0.75, 0.25])).astype(np.float32)
    found = all_metrics(labels, logits)
    assert found["predicted_observed"] == pytest.approx(1.0)
    assert found["ece"] == pytest.approx(0.25)  # each row is a bin


@settings(deadline=None)  # the first call imports scikit-learn
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-30, 30), st.integers(0, 3), st.integers(0, 4)), min_size=2, max_size=200))
def test_equal_to_scikit_learn_with_and_without_weights(rows: list[tuple[int, int, int, int]]) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    labels, logits = np.array([row[0] for row in rows], np.float32), (np.array([row[1] for row in rows]) / 4).astype(np.float32)
    groups = np.array([row[2] for row in rows])
    probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
    for weights in (None, np.array([row[3] for row in rows])):
        counted = np.ones(len(rows)) if weights is None else weights
        found = Scored(labels, logits, groups).metrics(weights)
        if counted.sum():
            expected = sklearn.log_loss(labels, probabilities, labels=[0, 1], sample_weight=counted)
            assert found["logloss"] == pytest.approx(expected, rel=1e-9)
        both = 0 < counted @ labels < counted.sum()
        if not both:
            assert math.isnan(found["auc"])
            continue
        assert found["auc"] == pytest.approx(sklearn.roc_auc_score(labels, logits, sample_weight=counted), abs=1e-12)
        assert found["pr_auc"] == pytest.approx(sklearn.average_precision_score(labels, logits, sample_weight=counted), abs=1e-12)
        assert found["predicted_observed"] == pytest.approx(counted @ probabilities / (counted @ labels), rel=1e-6)
        parts = [(counted[groups == g], labels[groups == g], logits[groups == g]) for g in range(4)]
        parts = [(c, y, z) for c, y, z in parts if 0 < c @ y < c.sum()]
        if parts:
            areas = [sklearn.roc_auc_score(y, z, sample_weight=c) for c, y, z in parts]
            assert found["gauc"] == pytest.approx(np.average(areas, weights=[c.sum() for c, _, _ in parts]), abs=1e-12)
        else:
            assert math.isnan(found["gauc"])


def test_calibration_error_is_scikit_learns_curve() -> None:
    calibration = pytest.importorskip("sklearn.calibration")
    random = np.random.default_rng(0)
    logits = random.normal(-2, 1, 5000).astype(np.float32)
    labels = (random.random(5000) < sigmoid(logits) * 0.7).astype(np.float32)
    observed, predicted = calibration.calibration_curve(labels, sigmoid(logits), n_bins=BINS, strategy="quantile")
    assert len(observed) == BINS
    assert all_metrics(labels, logits)["ece"] == pytest.approx(np.abs(observed - predicted).mean(), abs=1e-6)  # bins of 250 rows each


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 60 samples with an AUC of 0.760 (two normals a standard deviation apart), 95 % intervals miss a few."""
    missed = 0
    for k in range(60):
        random = np.random.default_rng(k)
        labels = (random.random(300) < 0.5).astype(np.float32)
        found = intervals(Scored(labels, (random.normal(size=300) + labels).astype(np.float32)), 200)
        low, high = found["auc"]
        missed += not low < 0.7602 < high
    assert 0 < missed < 9  # 3 expected


def test_intervals_follow_the_seed_and_confidence() -> None:
    random = np.random.default_rng(0)
    labels, logits = (random.random(500) < 0.2).astype(np.float32), random.normal(size=500).astype(np.float32)
    scored = Scored(labels, logits, random.integers(0, 9, 500))
    wide, again, narrow = intervals(scored, 100), intervals(scored, 100), intervals(scored, 100, confidence=0.5)
    assert wide == again and wide.keys() == {"auc", "logloss", "gauc", "pr_auc", "ece", "predicted_observed"}
    for name in ("auc", "logloss", "gauc", "pr_auc"):
        assert wide[name][0] < narrow[name][0] < scored.metrics()[name] < narrow[name][1] < wide[name][1]


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
