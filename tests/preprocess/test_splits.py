"""Which rows become samples, and of which split."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jdrec.config import SplitConfig
from jdrec.errors import DataError
from jdrec.preprocess.splits import NO_TIME, OUT, TEST, TRAIN, VALID, Rows, Split, assign


def split(times: list[int] | None, labels: list[float] | None = None, **options: Any) -> Rows:
    count = len(times if times is not None else labels or [])
    config = SplitConfig(**{key: options.pop(key) for key in ("by", "train", "test") if key in options})
    label = np.array(labels if labels is not None else [0.0] * count, np.float32)
    known = options.pop("known", np.ones(count, bool))
    return assign(label, known, None if times is None else np.array(times, np.int64), config, seed=options.pop("seed", 1), **options)


def test_newest_rows_are_the_test() -> None:
    rows = split([50, 10, 90, 20, 100, 30, 80, 40, 70, 60], train=0.6, test=0.2)
    assert rows.split.tolist() == [TRAIN, TRAIN, TEST, TRAIN, TEST, TRAIN, VALID, TRAIN, VALID, TRAIN]
    assert rows.boundaries_ms == (70, 90)
    assert rows.splits == (Split("train", 6, 0, 10, 60), Split("valid", 2, 0, 70, 80), Split("test", 2, 0, 90, 100))


def test_rows_of_one_moment_stay_together_on_the_newer_side() -> None:
    rows = split([1, 2, 3, 3, 3, 3, 7, 8, 8, 8], train=0.5, test=0.1)
    assert rows.split.tolist() == [TRAIN, TRAIN, VALID, VALID, VALID, VALID, VALID, TEST, TEST, TEST]


def test_too_many_rows_of_one_moment() -> None:
    with pytest.raises(DataError, match="leaves none for training"):
        split([5] * 10)
    with pytest.raises(DataError, match="leaves none for validation"):
        split([1, 2, 3, 4, 5, 5, 5, 5, 5, 5], train=0.4, test=0.1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.sampled_from([(0.8, 0.1), (0.5, 0.25), (0.9, 0.1), (0.7, 0.0)]))
def test_a_time_split_never_mixes_times(times: list[int], shares: tuple[float, float]) -> None:
    try:
        rows = split(times, train=shares[0], test=shares[1])
    except DataError:
        return
    ranges = [(part.first_ms, part.last_ms) for part in rows.splits if part.rows]
    for (_, last), (first, _) in pairwise(ranges):
        assert last is not None and first is not None and last < first
    train, valid, test = rows.splits
    assert train.rows <= int(shares[0] * len(times)) and test.rows >= int(shares[1] * len(times))
    assert train.rows + valid.rows + test.rows == len(times)


def test_row_order_is_the_tutorials() -> None:
    rows = split(None, [0.0] * 13916, by="row_order")
    assert [part.rows for part in rows.splits] == [11132, 1393, 1391]
    assert rows.split[11131:11133].tolist() == [TRAIN, TEST]
    assert rows.split[12522:12524].tolist() == [TEST, VALID]


def test_random_depends_on_the_seed_alone() -> None:
    first, again, other = (split(None, [0.0] * 1000, by="random", seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.split, again.split)
    assert not np.array_equal(first.split, other.split)
    assert [part.rows for part in first.splits] == [800, 100, 100]
    assert 60 < int((first.split[:800] != TRAIN).sum()) < 240  # shuffled, not cut


def test_labels_still_open_are_left_out() -> None:
    rows = split([10, 20, 30, 31, 40], by="row_order", train=0.6, test=0.2, horizon_ms=5, observed_until_ms=35)
    assert rows.split.tolist() == [TRAIN, VALID, VALID, OUT, OUT]  # int(0.6 * 3) = 1 row, int(0.2 * 3) = 0
    assert rows.left_out == {"the label's horizon is not over": 2}
    assert rows.splits[0].rows == 1


def test_without_an_end_of_observation_nothing_is_left_out() -> None:
    assert split([10, 20, 30], by="row_order", horizon_ms=5).left_out == {}


def test_rows_without_label_or_time_are_counted() -> None:
    known = np.array([True, False, True, True, True, True])
    rows = split([1, 2, 3, NO_TIME, 4, 5], [1, 0, 0, 0, 1, 1], known=known, train=0.5, test=0.25)
    assert rows.left_out == {"the label is NULL": 1, "the request time is NULL": 1}
    assert rows.split.tolist() == [TRAIN, OUT, TRAIN, OUT, VALID, TEST]
    assert [part.positives for part in rows.splits] == [1, 1, 1]
    in_order = split([1, NO_TIME, 3, 4], by="row_order", train=0.5, test=0.25)  # no time is needed, so none is missed
    assert in_order.left_out == {} and in_order.splits[0] == Split("train", 2, 0, 1, 1)


def test_no_row_left() -> None:
    with pytest.raises(DataError, match=r"the request table has no rows.*Check dataset.root"):
        split([])
    with pytest.raises(DataError, match=r"none of 2 rows can be a sample \(the label is NULL: 2\)"):
        split([1, 2], known=np.zeros(2, bool))
    with pytest.raises(DataError, match="the training split is empty: 1 samples are too few"):
        split(None, [0.0], by="row_order")


def test_shares() -> None:
    with pytest.raises(ValueError, match=r"train 0.8 and test 0.3 are more than the whole"):
        split([1, 2], train=0.8, test=0.3)
    rows = split(list(range(10)), train=0.9, test=0.1)
    assert [part.rows for part in rows.splits] == [9, 0, 1]
