from __future__ import annotations

import pytest

from jdrec.training.early_stop import EarlyStop
from jdrec.training.schedule import Schedule


def test_the_tutorials_decay() -> None:
    schedule = Schedule.by_epoch(1e-3, factor=0.1, minimum=1e-6, epoch_batches=12)
    assert schedule.milestones == (12, 24, 36)
    assert [schedule.at(step) for step in (0, 11, 12, 24, 36, 1000)] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5, 1e-6, 1e-6])


def test_a_rate_is_not_lowered_below_the_minimum() -> None:
    assert Schedule.by_epoch(1e-3, 0.1, 2e-5, 10).milestones == (10,)
    assert Schedule.by_epoch(1e-3, 0.1, 1e-2, 10).milestones == ()


def test_a_factor_of_one_keeps_the_rate() -> None:
    schedule = Schedule.by_epoch(1e-3, 1.0, 1e-6, 12)
    assert [schedule.at(step) for step in (0, 12, 75_000)] == [1e-3, 1e-3, 1e-3]


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


def test_without_patience_it_never_stops() -> None:
    stop = EarlyStop("auc", None, 0.0)
    assert not any(done for _, done in follow(stop, [(0.9, 0.1)] + [(0.5, 0.1)] * 50))
