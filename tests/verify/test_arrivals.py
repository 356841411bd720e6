"""The order of arrival, row by row, and which requests may be asked together."""

from __future__ import annotations

import numpy as np

from jdrec.features.resolve import resolve
from jdrec.verify.arrivals import calls, in_order, sources
from tests.engines.conftest import feature_set_of
from tests.verify.small_run import config_of


def steps(times: dict[str, list[int]], limit: int | None = None, together: int = 1) -> list[tuple[str, list[int]]]:
    arrays = {name: np.array(values, np.int64) for name, values in times.items()}
    return [(step.table, step.numbers.tolist()) for step in in_order("q", arrays, limit, together)]


def test_at_one_moment_other_tables_come_first_and_rows_as_they_stand() -> None:
    times = {"q": [5, 3, 5, 9], "a": [5, 1, 5, 9], "b": [3, 10]}
    assert steps(times) == [("a", [1]), ("b", [0]), ("q", [1]), ("a", [0, 2]), ("q", [0, 2]), ("a", [3]), ("q", [3]), ("b", [1])]


def test_a_limit_ends_with_its_last_request() -> None:
    times = {"q": [5, 3, 5, 9], "a": [5, 1, 5, 9]}
    assert steps(times, 2) == [("a", [1]), ("q", [1]), ("a", [0, 2]), ("q", [0])]
    assert steps(times, 99) == steps(times)


def test_calls_of_several_requests_come_after_all_that_arrived_between_them() -> None:
    times = {"q": [5, 3, 5, 9], "a": [5, 1, 5, 9, 11], "b": [3, 10]}
    assert steps(times, together=2) == [("a", [1, 0, 2]), ("b", [0]), ("q", [1, 0]), ("a", [3]), ("q", [2, 3]), ("a", [4]), ("b", [1])]


def test_rows_without_a_time_come_first() -> None:
    assert steps({"q": [0], "a": [-1, 4]}) == [("a", [0]), ("q", [0]), ("a", [1])]


def test_joined_tables_come_whole_and_what_the_label_alone_reads_not_at_all() -> None:
    from pathlib import Path

    found = sources(resolve(config_of(Path())))
    assert (found.first, found.streamed) == (("ad",), {"event": ("at",)})


def test_a_table_that_is_joined_and_under_a_window_comes_whole() -> None:
    tables = {"t1": {"id": "string", "k": "string", "ts": "timestamp"}, "t2": {"k": "string", "ts": "timestamp", "v": "int"}}
    text = """
windows: {w: {union: t2, partition_by: k, rows: 3}}
joins: {a: {last_join: t2, on: k}}
features: {n: {over: w, expr: count(k)}, v: {expr: a.v}}
"""
    found = sources(feature_set_of(tables, text))
    assert (found.first, found.streamed) == (("t2",), {})


def test_requests_that_share_a_window_are_asked_one_after_the_other() -> None:
    from pathlib import Path

    feature_set = resolve(config_of(Path()))
    rows = [{"reader": reader, "n": n} for n, reader in enumerate("abacb")]
    assert [[row["n"] for row in call] for call in calls(feature_set, rows, 10)] == [[0, 1], [2, 3, 4]]
    assert [[row["n"] for row in call] for call in calls(feature_set, rows, 2)] == [[0, 1], [2, 3], [4]]
    assert [[row["n"] for row in call] for call in calls(feature_set, rows, 1)] == [[0], [1], [2], [3], [4]]
