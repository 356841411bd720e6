from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jdrec.features.spec import Encoding
from jdrec.training.vocabulary import Vocabulary

HASH, NUMERIC, BUCKET = Encoding.HASH, Encoding.NUMERIC, Encoding.BUCKET
NAMES, ENCODINGS = ("price", "brand", "age"), (NUMERIC, HASH, BUCKET)


def ids(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def learnt(min_count: int = 1) -> Vocabulary:
    return Vocabulary.learn(NAMES, ENCODINGS, (np.zeros(4), ids(9, -5, 9, 2**62), ids(9, 3, 3, 3)), min_count)


def test_every_field_has_rows_of_its_own() -> None:
    vocabulary = learnt()
    assert vocabulary.sizes.tolist() == [1, 4, 3]
    assert vocabulary.offsets.tolist() == [0, 1, 5]
    assert vocabulary.rows == 8
    # The same id, 9, is row 3 of one field and row 7 of the other; 10 was never seen.
    rows = vocabulary.rows_of((np.zeros(4), ids(-5, 9, 2**62, 10), ids(3, 9, 10, -(2**63))))
    assert rows.tolist() == [[0, 2, 6], [0, 3, 7], [0, 4, 5], [0, 1, 5]]
    assert rows.dtype == np.int32 and rows.flags.c_contiguous


def test_rare_ids_share_the_row_of_unseen_ones() -> None:
    vocabulary = learnt(min_count=2)
    assert [known.tolist() for known in vocabulary.ids] == [[], [9], [3]]
    assert vocabulary.rows_of((np.zeros(2), ids(9, -5), ids(9, 3))).tolist() == [[0, 2, 3], [0, 1, 4]]


def test_an_id_of_each_row() -> None:
    assert learnt().row_ids().tolist() == [-1, -2, -5, 9, 2**62, -3, 3, 9]


def test_flat_and_back() -> None:
    vocabulary = learnt()
    again = Vocabulary.from_flat(NAMES, ENCODINGS, [0, 3, 2], vocabulary.flat())
    assert [known.tolist() for known in again.ids] == [[], [-5, 9, 2**62], [3, 9]]
    assert again.offsets.tolist() == [0, 1, 5]


def test_a_field_that_is_never_common_enough_has_the_unseen_row_alone() -> None:
    vocabulary = Vocabulary.learn(("a",), (HASH,), (ids(1, 2),), min_count=2)
    assert vocabulary.rows_of((ids(1, 2, 3),)).tolist() == [[0], [0], [0]]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1), st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_a_row_leads_back_to_its_id(train: list[int], asked: list[int]) -> None:
    vocabulary = Vocabulary.learn(("a", "b"), (HASH, HASH), (ids(*train), ids(*train)))
    queries = ids(*train, *asked)
    rows = vocabulary.rows_of((queries, queries))
    back = vocabulary.row_ids()[rows[:, 1]].tolist()
    assert back == [value if value in set(train) else -2 for value in queries.tolist()]
    assert (rows[:, 1] - rows[:, 0] == vocabulary.sizes[0]).all()


def test_large_columns_take_the_parallel_way() -> None:
    column = np.random.default_rng(0).integers(0, 5000, 60_000) * 31
    vocabulary = Vocabulary.learn(("a", "b"), (HASH, HASH), (column, column[::-1]))
    rows = vocabulary.rows_of((column, column[::-1]))
    assert (vocabulary.row_ids()[rows] == np.stack([column, column[::-1]], 1)).all()
