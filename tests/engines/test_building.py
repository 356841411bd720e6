"""Stores built part by part: the order of rows, packed values, and what a hot key costs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from jdrec.engines.embedded.building import Part, in_order
from jdrec.engines.embedded.gather import Layout, Numbers, Texts, Values
from jdrec.engines.embedded.vector import Vector
from jdrec.features.types import SqlType

T = SqlType


def values(items: list[Any], type_: SqlType, kept: list[int] | None = None) -> Values:
    rows = np.arange(len(items)) if kept is None else np.array(kept)
    return Values(Vector.of_values(items, type_), len(items), rows)


def test_columns_of_all_sizes_survive_packing() -> None:
    given: dict[SqlType, list[Any]] = {
        T.DOUBLE: [1.5, None, -0.0, 2.0],
        T.BOOL: [True, False, None, True],
        T.STRING: ["b", "a", None, "b"],
        T.SMALLINT: [1, -2, 3, -4],
        T.BIGINT: [2**62, -1, 0, None],
        T.FLOAT: [0.5, 0.25, None, 8.0],
        T.DATE: [0, None, 20_000, -1],
    }
    parts = {type_: [values(items, type_, [0, 2, 3]), values(items, type_)] for type_, items in given.items()}
    columns = [Texts(part, is_ordered=True) if type_ is T.STRING else Numbers(type_, part) for type_, part in parts.items()]
    layout = Layout(columns)
    assert layout.width == 5  # 2 x 8 + 2 x 4 + 2 + 2 x 1 of values, and validity of five
    words = np.concatenate([layout.pack(number, [part[number] for part in parts.values()], [3, 4][number]) for number in (0, 1)])
    order = np.array([6, 0, 1, 5, 2, 3, 4], np.int32)
    for number, items in enumerate(given.values()):
        encoded = layout.unpack(number, words, order)
        expected = [[items[0], *items[2:], *items][row] for row in order]
        dictionary = columns[number].dictionary
        if dictionary is not None:
            assert dictionary.decode(encoded.values).to_pylist() == expected
            assert encoded.values.tolist() == [{"a": 0, "b": 1, None: -1}[item] for item in expected]
        else:
            valid = np.ones(7) if encoded.valid is None else encoded.valid
            assert [value if there else None for value, there in zip(encoded.values.tolist(), valid, strict=True)] == expected
    assert np.signbit(layout.unpack(0, words, np.array([1])).values[0])


def test_many_distinct_strings_are_merged_before_all_have_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jdrec.engines.embedded.gather._MANY", 3)
    texts: list[list[Any]] = [["d", "a"], ["b", "d", "c"], ["a"], [None, "e", "b"]]
    parts = [Values(Vector(T.STRING, pa.array(part, pa.string())), len(part), None) for part in texts]
    column = Texts(parts, is_ordered=True)
    codes = [column.data_of(number, part).tolist() for number, part in enumerate(parts)]
    assert codes == [[3, 0], [1, 3, 2], [0], [-1, 4, 1]]


def _ordered(group: list[list[int]], times: list[list[int]], groups: int) -> tuple[list[int], list[int], list[int] | None]:
    parts = [Part(np.array(g, np.int32), np.array(t, np.int64), []) for g, t in zip(group, times, strict=True)]
    with ThreadPoolExecutor(2) as pool:
        result, _, rows, _, ends, places = in_order(parts, Layout([]), groups, pool, True)
    assert places is not None
    assert len(rows) == ends[-1]
    return result.tolist(), ends.tolist(), places.tolist()


def test_equal_times_stay_as_they_come_and_groups_may_be_empty() -> None:
    times, ends, places = _ordered([[2, 0, 2], [2, 2, 0]], [[5, 7, 3], [5, 4, 7]], 4)
    assert times == [7, 7, 3, 4, 5, 5]
    assert ends == [2, 2, 6, 6]
    assert places == [5, 3, 1]  # after the first part's rows of the same time


@pytest.mark.parametrize("rows", [1, 16, 17, 33, 100, 1_000])
def test_order_is_that_of_a_stable_sort(rows: int) -> None:
    random = np.random.default_rng(rows)
    group, times = random.integers(0, 3, rows).astype(np.int32), random.integers(0, 20, rows)
    with ThreadPoolExecutor(2) as pool:
        found, _, _, _, _, places = in_order([Part(group, times, [])], Layout([]), 3, pool, True)
    order = np.lexsort((times, group))
    assert found.tolist() == times[order].tolist()
    assert places is not None
    assert places[order].tolist() == list(range(rows))
