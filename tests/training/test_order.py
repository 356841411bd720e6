"""The shuffled order: every sample once an epoch, a function of the seed and the place alone, and well mixed where only a window of samples mixes."""

from __future__ import annotations

import numpy as np
import pytest

from jdrec.training.order import Order

COUNT, WINDOW = 200_000, 20_000  # 64 blocks of 312 samples a window


def epoch(number: int, order: Order) -> np.ndarray:
    return order.index(number * order.count, (number + 1) * order.count)


@pytest.mark.parametrize(
    ("count", "window"), [(10, None), (1000, 64), (1000, 130), (1000, 999), (1000, 1000), (4097, 300), (COUNT, WINDOW)]
)
def test_every_sample_once_an_epoch_in_an_order_of_its_own(count: int, window: int | None) -> None:
    order = Order(count, seed=1, window=window)
    first, second = epoch(0, order), epoch(1, order)
    assert np.array_equal(np.sort(first), np.arange(count))
    assert np.array_equal(np.sort(second), np.arange(count))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, epoch(0, Order(count, seed=2, window=window)))


@pytest.mark.parametrize("window", [None, 300])
def test_any_part_is_the_same_whenever_it_is_asked_for(window: int | None) -> None:
    whole = Order(5000, seed=3, window=window).index(0, 20_000)
    parts = Order(5000, seed=3, window=window)
    for start, end in [(12_345, 12_400), (0, 7), (4990, 5010), (19_000, 20_000), (299, 9_301), (5000, 5001)]:
        assert np.array_equal(parts.index(start, end), whole[start:end])


def test_a_window_is_told_before_it_comes_and_after_it_went() -> None:
    coming: list[np.ndarray] = []
    going: list[np.ndarray] = []
    order = Order(10_000, seed=0, window=1280, coming=coming.append, going=going.append)
    for start in range(0, 10_000, 100):
        order.index(start, start + 100)
    windows = -(-10_000 // 20 // 64)  # blocks of 20, 64 a window
    told, gone = (np.sort(np.concatenate([np.arange(*piece) for piece in np.concatenate(part)])) for part in (coming[:windows], going))
    assert np.array_equal(told, np.arange(10_000))
    assert len(np.unique(gone)) == len(gone) > 10_000 - 4 * 1280
    assert all(len(pieces) >= 60 for pieces in coming)


def test_neighbours_are_parted_as_by_a_permutation_of_the_window() -> None:
    """Of pairs that follow one another, a share of about 2 / window was neighbours before: 20 of 200,000 pairs; a hundred would be many."""
    steps = np.diff(epoch(0, Order(COUNT, seed=1, window=WINDOW)))
    assert np.count_nonzero(np.abs(steps) == 1) < 60
    assert np.count_nonzero(np.abs(steps) < 312) < 1.5 * COUNT / 64  # of the same block of 312: one in 64


@pytest.mark.parametrize("seed", range(3))
def test_samples_travel_as_far_as_in_a_whole_permutation(seed: int) -> None:
    """The mean displacement of a random permutation is a third of its length; its rank correlation with the old order is nothing."""
    place = np.empty(COUNT, np.int64)
    place[epoch(0, Order(COUNT, seed, WINDOW))] = np.arange(COUNT)
    assert np.abs(place - np.arange(COUNT)).mean() == pytest.approx(COUNT / 3, rel=0.1)  # of as many blocks; one deviation is 0.028
    assert abs(np.corrcoef(place, np.arange(COUNT))[0, 1]) < 4 / np.sqrt(COUNT / 312)  # four deviations


def test_batches_come_from_all_over_the_split() -> None:
    """A batch of 1000 out of ten equal parts of the split: 100 of each in the mean, with the spread of 64 blocks drawn."""
    parts = (epoch(0, Order(COUNT, seed=5, window=WINDOW)) * 10 // COUNT).reshape(-1, 1000)
    counts = np.stack([np.bincount(batch, minlength=10) for batch in parts])
    assert counts.sum() == COUNT and counts.min() > 0
    spread = 1000 * np.sqrt(0.1 * 0.9 / 64)  # one deviation of a window's share of a part: 37
    assert np.abs(counts - 100).max() < 5 * spread
    assert np.abs(counts - 100).mean() < 1.2 * spread


def test_samples_do_not_keep_company_from_one_epoch_to_the_next() -> None:
    order = Order(COUNT, seed=1, window=WINDOW)
    first, second = (epoch(number, order)[:WINDOW] for number in (0, 1))
    share = np.isin(first, second).mean()
    assert share == pytest.approx(WINDOW / COUNT, abs=0.15)
