"""The order in which rows arrived: what is there before the first request, and what comes between requests.

OpenMLDB's batch, whose features a model was trained on, sees for a request
- of a window's UNION tables the rows up to the request's time, those of the same moment included;
- of the request table the rows before it: earlier ones, and of the same moment those that come before it in the table;
- of a table that is LAST JOINed every row, whatever its time.

Request mode sees whatever is stored, up to the request's time. Both are the same if joined tables are stored first, and then all other rows
in the order of (time, rows of unions before requests, place in the table), each request being stored after it was asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from jdrec.dataset.rows import Row
from jdrec.features.spec import FeatureSet


@dataclass(frozen=True)
class Sources:
    """Which tables the features, the label aside, are made from.

    Attributes:
        first: tables that are stored whole before the first request: those that are LAST JOINed, and those that a derived column orders,
            whose rows no window sees before their time either.
        streamed: the other tables under windows, with the columns that say when a row arrives.
    """

    first: tuple[str, ...]
    streamed: dict[str, tuple[str, ...]]


def sources(feature_set: FeatureSet) -> Sources:
    """The tables besides the request table."""
    label = feature_set.label.feature if feature_set.label else None
    joins: list[str] = []
    unions: dict[str, list[str]] = {}
    for feature in feature_set.features:
        if feature.name == label:
            continue
        for name in [feature.join, *(column.table for column in feature.columns)]:
            _add_join(feature_set, name, joins)
        window = feature_set.windows[feature.window] if feature.window else None
        for table in window.union if window else ():
            assert window is not None
            unions.setdefault(table, []).append(window.order_by)
    first = dict.fromkeys(feature_set.joins[name].table for name in joins)
    first |= dict.fromkeys(table for table, times in unions.items() if set(times) & feature_set.tables[table].derived.keys())
    first.pop(feature_set.request_table, None)
    streamed = {table: tuple(dict.fromkeys(times)) for table, times in unions.items() if table not in first}
    return Sources(tuple(first), streamed)


def _add_join(feature_set: FeatureSet, name: str | None, joins: list[str]) -> None:
    """Adds a join and those that it needs."""
    if name is not None and name not in joins:
        joins.append(name)
        for needed in feature_set.joins[name].needs:
            _add_join(feature_set, needed, joins)


@dataclass(frozen=True)
class Step:
    """Rows of one table that arrive one after the other, with no row of another table in between."""

    table: str
    numbers: np.ndarray  # int64, places in the table


def in_order(request_table: str, times: dict[str, np.ndarray], limit: int | None = None, together: int = 1) -> Iterator[Step]:
    """The rows of all tables in order of arrival.

    Args:
        times: of each row of each table, int64 milliseconds.
        limit: only as far as so many requests go.
        together: so many requests follow each other, and what arrived between them comes before them all, table by table: no window
            sees rows that are later than its request.
    """
    names = [*(name for name in times if name != request_table), request_table]  # at one moment requests come last
    which = np.repeat(np.arange(len(names)), [len(times[name]) for name in names])
    number = np.concatenate([np.arange(len(times[name])) for name in names])
    order = np.lexsort((number, which, np.concatenate([times[name] for name in names])))
    which, number = which[order], number[order]
    if limit is not None:
        requests = np.flatnonzero(which == len(names) - 1)
        if limit < len(requests):
            which, number = which[: requests[limit - 1] + 1], number[: requests[limit - 1] + 1]
    if together > 1:
        is_request = which == len(names) - 1
        call = (np.cumsum(is_request) - is_request) // together
        order = np.lexsort((np.arange(len(which)), which, call))
        which, number = which[order], number[order]
    starts = np.flatnonzero(np.diff(which, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(which)], strict=True):
        yield Step(names[which[start]], number[start:stop])


def calls(feature_set: FeatureSet, rows: list[Row], most: int) -> Iterator[list[Row]]:
    """Consecutive requests that may be asked together, since none is in a window of another.

    Args:
        most: requests a call.
    """
    request = feature_set.request
    windows = [window for window in feature_set.windows.values() if not window.instance_not_in_window]
    keys = {window.request_keys for window in windows}
    if any(column not in request.columns for key in keys for column in key):  # a derived column
        most = 1
    call: list[Row] = []
    seen: set[Any] = set()
    for row in rows:
        own = {(key, tuple(row[column] for column in key)) for key in keys} if most > 1 else set()
        if call and (len(call) == most or seen & own):
            yield call
            call, seen = [], set()
        call.append(row)
        seen |= own
    if call:
        yield call
