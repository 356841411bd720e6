"""The compiled table of ids against Python's set."""

from __future__ import annotations

import numpy as np
import pytest

from jdrec.preprocess.id_table import IdTable


@pytest.mark.parametrize("spread", [7, 3000, 2**62])
def test_counts_distinct_ids(spread: int) -> None:
    rng = np.random.default_rng(0)
    batches = [rng.integers(-spread, spread, 5000) for _ in range(3)] + [np.zeros(3, np.int64), np.empty(0, np.int64)]
    batches.append(np.array([2**63 - 1, -(2**63), -1, 0], np.int64))
    table, expected = IdTable(), set[int]()
    for batch in batches:
        table.update(batch)
        expected.update(batch.tolist())
        assert len(table) == len(expected)


def test_consecutive_ids_and_no_ids() -> None:
    table = IdTable()
    assert len(table) == 0
    table.update(np.arange(100_000))
    assert len(table) == 100_000
