"""Intervals without resampling are those that resampling comes to."""

from __future__ import annotations

import math

import numpy as np
import pytest

from jdrec.training.jackknife import intervals, standard_errors
from jdrec.training.metrics import NAMES, Scored, stated


def scored(rows: int, seed: int = 0, groups: int = 12) -> Scored:
    """An AUC of 0.7602 in expectation; scores with ties, and groups of one class among the others."""
    random = np.random.default_rng(seed)
    labels = (random.random(rows) < 0.25).astype(np.float32)
    logits = np.round(random.normal(size=rows) + labels - 1.2, 2).astype(np.float32)
    return Scored(labels, logits, random.integers(0, groups, rows))


def test_by_hand() -> None:
    """Positives 0.5 and 3 beat half and all of the negatives 0 and 2 (DeLong's placements); logloss is a mean."""
    found = standard_errors(Scored(np.array([1, 0, 0, 1], np.float32), np.array([0.5, 0.0, 2.0, 3.0], np.float32)))
    placements = [0.5, 1.0], [1.0, 0.5]
    assert found["auc"] == pytest.approx(math.sqrt(sum(np.var(part) / 2 for part in placements)))
    losses = np.log1p(np.exp([-0.5, 0.0, 2.0, -3.0]))
    assert found["logloss"] == pytest.approx(np.std(losses) / 2)


@pytest.mark.parametrize("name", NAMES)
def test_errors_are_the_metrics_derivatives(name: str) -> None:
    split, rows, step = scored(200), 200, 1e-5
    metric, derivatives = getattr(split, name), []
    for row in range(rows):
        shift = step * (np.arange(rows) == row)
        derivatives.append((metric(1 + shift) - metric(1 - shift)) / (2 * step))
    assert standard_errors(split)[name] == pytest.approx(np.linalg.norm(derivatives), rel=1e-6)


def test_errors_are_the_spread_of_resamples() -> None:
    split, rows = scored(3000), 3000
    draws = [np.bincount(np.random.default_rng(k).integers(0, rows, rows), minlength=rows) for k in range(400)]
    found, spread = standard_errors(split), {}
    for name in NAMES:
        spread[name] = float(np.std([getattr(split, name)(draw) for draw in draws]))
        assert found[name] == pytest.approx(spread[name], rel=0.15), name


def test_intervals_hold_the_expected_value_as_often_as_they_should() -> None:
    missed = 0
    for seed in range(200):
        split = scored(300, seed)
        low, high = intervals(split, split.metrics())["auc"]
        missed += not low < 0.7602 < high
    assert 2 < missed < 20  # 10 expected


def test_what_is_not_defined_has_no_interval() -> None:
    split = Scored(np.zeros(3, np.float32), np.array([0.0, 1.0, 2.0], np.float32), np.array([0, 0, 1]))
    found = intervals(split, split.metrics())
    assert [name for name, (low, _) in found.items() if math.isnan(low)] == ["auc", "pr_auc", "predicted_observed", "gauc"]
    nothing = Scored(np.empty(0, np.float32), np.empty(0, np.float32))
    assert all(math.isnan(low) for low, _ in intervals(nothing, nothing.metrics()).values())


def test_a_metric_in_words() -> None:
    assert stated(0.58034, [0.5204, 0.6391]) == "0.5803 [0.5204, 0.6391]"
    assert stated(0.58034, [math.nan, math.nan]) == stated(0.58034, [None, None]) == stated(0.58034) == "0.5803"
    assert stated(None) == stated(math.nan) == "undefined"
