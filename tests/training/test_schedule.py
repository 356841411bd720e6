from __future__ import annotations

import math
from typing import Any

import pytest

from jdrec.config import LearningRateDecayConfig
from jdrec.errors import ConfigError
from jdrec.training.early_stop import EarlyStop
from jdrec.training.schedule import Schedule


def schedule(rate: float = 1e-3, every: int = 12, total: int = 100, **keys: Any) -> Schedule:
    return Schedule(rate, LearningRateDecayConfig(**keys), every, total)


def test_the_tutorials_decay() -> None:
    steps = schedule(factor=0.1, min=1e-6)
    assert steps.milestones == (12, 24, 36)
    assert [steps.at(step) for step in (0, 11, 12, 24, 36, 1000)] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5, 1e-6, 1e-6])


def test_a_rate_is_not_lowered_below_the_minimum() -> None:
    assert schedule(factor=0.1, min=2e-5, every=10).milestones == (10,)
    assert schedule(factor=0.1, min=1e-2, every=10).milestones == ()


def test_a_factor_of_one_keeps_the_rate() -> None:
    assert [schedule().at(step) for step in (0, 12, 75_000)] == [1e-3, 1e-3, 1e-3]


def test_warm_up_rises_in_a_line() -> None:
    steps = schedule(warmup=3, factor=0.5, every=6)
    assert [steps.at(step) for step in range(7)] == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3, 1e-3, 0.5e-3])


def test_cosine() -> None:
    steps = schedule(kind="cosine", min=1e-4, warmup=2, total=10)
    assert steps.at(2) == pytest.approx(1e-3)
    assert steps.at(6) == pytest.approx(5.5e-4)  # half way
    assert steps.at(4) == pytest.approx(1e-4 + 9e-4 * 0.5 * (1 + math.cos(math.pi / 4)))
    assert [steps.at(10), steps.at(99)] == pytest.approx([1e-4, 1e-4])


def test_plateau_lowers_after_patience_evaluations() -> None:
    steps = schedule(kind="plateau", factor=0.1, patience=2, min=1e-5)
    rates = []
    for improved in (True, False, True, False, False, False, False, False, False):
        steps.evaluated(improved)
        rates.append(steps.at(50))
    assert rates == pytest.approx([1e-3, 1e-3, 1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5, 1e-5])


def follow(stop: EarlyStop, values: list[tuple[float, float]]) -> list[tuple[bool, bool]]:
    return [(stop.improved({"auc": auc, "logloss": loss}), stop.stop) for auc, loss in values]


def test_stops_after_patience_evaluations_without_improvement() -> None:
    stop = EarlyStop("auc - logloss", patience=2, min_delta=0.01)
    values = [(0.6, 0.3), (0.65, 0.3), (0.655, 0.3), (0.7, 0.3), (0.7, 0.31), (0.7, 0.3)]
    assert follow(stop, values) == [(True, False), (True, False), (False, False), (True, False), (False, False), (False, True)]


def test_logloss_is_minimised() -> None:
    assert follow(EarlyStop("logloss", 1, 0.0), [(0.5, 0.4), (0.5, 0.3), (0.9, 0.35)]) == [(True, False), (True, False), (False, True)]


def test_auc_alone() -> None:
    assert follow(EarlyStop("auc", 1, 1e-6), [(0.5, 0.4), (0.6, 9.0), (0.6, 0.1)]) == [(True, False), (True, False), (False, True)]


def test_the_ratio_is_best_at_one() -> None:
    stop = EarlyStop("predicted_observed", 5, 0.0)
    assert [stop.improved({"predicted_observed": value}) for value in (0.5, 1.4, 1.5, 0.9)] == [True, True, False, True]
    assert EarlyStop(" predicted_observed ", 5, 0.0).improved({"predicted_observed": 1.0})


def test_without_patience_it_never_stops() -> None:
    stop = EarlyStop("auc", None, 0.0)
    assert not any(done for _, done in follow(stop, [(0.9, 0.1)] + [(0.5, 0.1)] * 50))


def test_a_monitor_is_a_metric_or_a_difference_of_two() -> None:
    with pytest.raises(ConfigError, match="there is no metric 'aucc'"):
        EarlyStop("aucc", 1, 0.0)
    with pytest.raises(ConfigError, match="a difference has two metrics"):
        EarlyStop("auc - logloss - ece", 1, 0.0)
