"""Distinct counts, AUC, and the signs of a feature gone wrong."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from jdrec.preprocess.statistics import DistinctCount, Groups, auc, auc_of_values, frequent_values, label_like


def test_distinct_counts_are_exact_over_batches() -> None:
    rng = np.random.default_rng(1)
    batches = [rng.integers(-(10**5), 10**5, 50_000) for _ in range(8)]
    counter = DistinctCount()
    for batch in batches:
        counter.update(batch)
    counter.update(np.empty(0, np.int64))
    assert counter.count == len(set(np.concatenate(batches).tolist()))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=80))
def test_auc_is_scikit_learns(rows: list[tuple[bool, int]]) -> None:
    labels, scores = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows], float)
    if min(labels.sum(), (1 - labels).sum()) < 10:
        assert auc(labels, scores) is None
    else:
        assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))


LABELS = np.tile(np.array([0, 0, 0, 1], np.float32), 50)


def test_an_id_of_the_row_tells_nothing_honestly() -> None:
    assert auc_of_values(Groups.of(np.arange(200)), LABELS) == 0.5
    assert label_like(Groups.of(np.arange(200)), None, LABELS) is None


def test_a_value_that_gives_the_label_away() -> None:
    leak = (LABELS * 7 + 3).astype(np.int64)
    assert auc_of_values(Groups.of(leak), LABELS) == 1.0
    message = label_like(Groups.of(leak), None, LABELS)
    assert message is not None and message.startswith("predicts the label almost alone (AUC 1.0000)")


def test_a_number_equal_to_the_label() -> None:
    message = label_like(Groups.of(LABELS.astype(np.int64)), LABELS.astype(np.float64), LABELS)
    assert message is not None and message.startswith("equals the label in every row looked at")


def test_a_number_that_orders_the_label_whatever_its_direction() -> None:
    descending = np.arange(200) - 1000.0 * LABELS
    message = label_like(Groups.of(np.arange(200)), descending, LABELS)
    assert message is not None and "AUC 1.0000" in message


def test_an_honest_feature() -> None:
    rng = np.random.default_rng(1)
    values = rng.integers(0, 5, 200) + 2 * LABELS.astype(np.int64)
    assert label_like(Groups.of(values), values.astype(np.float64), LABELS) is None


def test_frequent_values() -> None:
    raw = pa.array(["b", None, "a", "b", None, "b", "c", "a"])
    groups = Groups.of(np.array([2, 0, 1, 2, 0, 2, 3, 1]))
    assert frequent_values(groups, raw) == [("b", 0.375), (None, 0.25), ("a", 0.25), ("c", 0.125)]
