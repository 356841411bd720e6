"""The best of each group: literal examples, and equality with the definition for any cut into chunks and passes."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jdrec.score.ranking import best, ranked


def table(rows: list[tuple[Any, Any, float]]) -> pa.Table:
    users, items, scores = ([row[i] for row in rows] for i in range(3))
    return pa.table(
        {
            "user": pa.array(users, pa.string()),
            "item": pa.array(items, pa.int32()),
            "score": pa.array(scores, pa.float32()),
            "row": pa.array(range(len(rows)), pa.int64()),
        }
    )


def listed(found: pa.Table, ranks: Any) -> list[tuple[Any, ...]]:
    return list(zip(found["user"].to_pylist(), ranks.tolist(), found["item"].to_pylist(), found["row"].to_pylist(), strict=True))


def test_groups_and_ranks() -> None:
    rows = [("b", 1, 0.5), ("a", 1, 0.1), ("a", 2, 0.9), ("a", 3, 0.4), ("b", 2, 0.6)]
    assert listed(*best(table(rows), "user", "item", "score", "row", 2)) == [("a", 1, 2, 2), ("a", 2, 3, 3), ("b", 1, 2, 4), ("b", 2, 1, 0)]


def test_a_pair_counts_once_with_its_best_row() -> None:
    rows = [("a", 1, 0.5), ("a", 1, 0.9), ("a", 2, 0.7), ("a", 1, 0.9)]
    assert listed(*best(table(rows), "user", "item", "score", "row", 5)) == [("a", 1, 1, 1), ("a", 2, 2, 2)]


def test_equal_scores_are_in_order_of_the_item() -> None:
    rows = [("a", 10, 0.5), ("a", 9, 0.5), ("a", 8, 0.5)]
    assert listed(*best(table(rows), "user", "item", "score", "row", 2)) == [("a", 1, 8, 2), ("a", 2, 9, 1)]


def test_rows_without_a_group_or_an_item_are_left_out() -> None:
    rows = [(None, 1, 0.9), ("a", None, 0.9), ("", 1, 0.1)]
    assert listed(*best(table(rows), "user", "item", "score", "row", 2)) == [("", 1, 1, 2)]


def test_no_rows() -> None:
    assert listed(*best(table([]), "user", "item", "score", "row", 2)) == []
    assert [listed(*piece) for piece in ranked(lambda: [table([])], 0, "user", "item", "score", "row", 2, memory_rows=10)] == [[]]


def expected(rows: list[tuple[Any, Any, float]], k: int) -> list[tuple[Any, ...]]:
    """The definition, one group after the other."""
    result = []
    for user in sorted({user for user, item, _ in rows if user is not None and item is not None}):
        own: dict[int, tuple[float, int]] = {}
        for number, (other, item, score) in enumerate(rows):
            if other == user and item is not None and (item not in own or score > own[item][0]):
                own[item] = (score, number)
        order = sorted(own, key=lambda item: (-own[item][0], item))[:k]
        result += [(user, rank, item, own[item][1]) for rank, item in enumerate(order, 1)]
    return result


rows_of = st.lists(
    st.tuples(
        st.one_of(st.none(), st.sampled_from(["", "a", "b", "c", "é", "zz"])),
        st.one_of(st.none(), st.integers(-2, 4)),
        st.sampled_from([0.0, 0.25, 0.5, 0.75]),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(rows=rows_of, k=st.integers(1, 4), size=st.integers(1, 12), memory=st.integers(1, 60))
def test_chunks_and_passes_change_nothing(rows: list[tuple[Any, Any, float]], k: int, size: int, memory: int) -> None:
    whole = table(rows)
    chunks = [whole.slice(start, size) for start in range(0, len(rows), size)]
    pieces = ranked(lambda: chunks, len(rows), "user", "item", "score", "row", k, memory_rows=memory)
    assert [row for piece in pieces for row in listed(*piece)] == expected(rows, k)


@pytest.mark.parametrize("memory", [50, 10_000])
def test_memory_is_bounded_by_the_passes(memory: int) -> None:
    """Of 20,000 rows of 4,000 groups no pass holds much more than it may."""
    rows = [(f"u{number % 4000:04d}", number % 7, float(number % 11)) for number in range(20_000)]
    whole = table(rows)
    chunks = [whole.slice(start, 1000) for start in range(0, len(rows), 1000)]
    pieces = [piece for piece, _ in ranked(lambda: chunks, len(rows), "user", "item", "score", "row", 3, memory_rows=memory)]
    assert len(pieces) > 1 if memory == 50 else len(pieces) == 2
    assert max(piece.num_rows for piece in pieces) <= 2 * memory
    assert sum(piece.num_rows for piece in pieces) == 4000 * 3
