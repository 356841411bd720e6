"""What only data can tell: request keys that are not unique, ties of LAST JOINs, requests at the very moment of an event.

No more than key and time columns, and those of joins' conditions, are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from jdrec.dataset.tables import TableSet
from jdrec.engines.embedded.joins import known, last_join
from jdrec.engines.embedded.keys import Groups
from jdrec.engines.embedded.load import load_columns
from jdrec.engines.embedded.vector import Vector
from jdrec.errors import ConfigErrors, DataError
from jdrec.features import expression as ast
from jdrec.features.finding import Finding
from jdrec.features.spec import FeatureSet, Join, Window

Columns = Mapping[str, Vector]


def check(feature_set: FeatureSet, tables: TableSet, *, events: bool = True) -> list[Finding]:
    """Warnings about the tables, in the order of the definition.

    Args:
        events: also look for requests at the moment of an event. It tells more about windows that `features.checks` warns of anyway, and reads
            the largest tables: a run leaves it out.

    Raises:
        ConfigErrors: what cannot be right.
        DataError: a table cannot be read.
    """
    found = findings(feature_set, tables, events=events)
    if errors := [DataError(finding.message, where=finding.where) for finding in found if finding.error]:
        raise ConfigErrors(errors)
    return found


def findings(feature_set: FeatureSet, tables: TableSet, *, events: bool = True) -> list[Finding]:
    """As `check`, errors among them."""
    joins = [feature_set.joins[name] for name in dict.fromkeys(name for block in feature_set.blocks for name in block.joins)]
    names = dict.fromkeys(name for block in feature_set.blocks for name in block.windows)
    windows = [window for name in names if events and (window := feature_set.windows[name]).sees_request_moment]
    data = _load(feature_set, tables, joins, windows)
    found = list(request_key(feature_set, data[feature_set.request_table][feature_set.request_key]))
    chosen: dict[str, Columns] = {}
    for join in joins:
        if join.condition is None:
            found += ties(join, data[join.table])
        if any(other.condition is not None for other in joins):  # which may read what this one joins
            found += conditional_ties(feature_set, join, data, chosen)
    counts: dict[object, dict[str, int]] = {}  # windows over the same rows see the same
    for window in windows:
        rows = window.union, window.partition_by, window.request_keys, window.order_by
        if rows not in counts:
            counts[rows] = coincidences(feature_set, window, data)
        found += _coinciding(feature_set, window, counts[rows], data)
    return found


def _load(feature_set: FeatureSet, tables: TableSet, joins: list[Join], windows: list[Window]) -> dict[str, Columns]:
    """The columns that the checks read, by table."""
    request = feature_set.request_table
    needed: dict[str, dict[str, bool]] = {request: {feature_set.request_key: True}}

    def need(table: str, *names: str) -> None:
        needed.setdefault(table, {}).update(dict.fromkeys(names, True))

    for join in joins:
        need(join.table, *(right for _, _, right in join.keys), *([join.order_by] if join.order_by is not None else []))
    if any(join.condition is not None for join in joins):
        for join in joins:
            columns = [ast.Column(0, 0, left, via) for via, left, _ in join.keys]
            columns += [node for node in ast.walk(join.condition) if isinstance(node, ast.Column)] if join.condition is not None else []
            for column in columns:
                need(request if column.table is None else feature_set.joins[column.table].table, column.name)
    for window in windows:
        need(request, *window.request_keys, feature_set.request_time)
        for table in window.union:
            need(table, *window.partition_by, window.order_by)
    return {table: load_columns(tables[table], columns) for table, columns in needed.items()}


def request_key(feature_set: FeatureSet, key: Vector) -> Iterator[Finding]:
    """Requests without a key of their own; the sub-queries are joined on it."""
    where, table, rows = "features.request.key", feature_set.request_table, len(key)
    _, codes = key.encoded()
    if nulls := int((codes < 0).sum()):
        yield Finding(where, f"{nulls:,} of {rows:,} rows of {table} have no {feature_set.request_key} (NULL).", error=True)
    counts = np.bincount(codes + 1)
    counts[:1] = 0  # of NULL
    if several := int((counts > 1).sum()):
        row = _first(counts[codes + 1] > 1)
        values = "1 value is" if several == 1 else f"{several:,} values are"
        message = f"{values} in several rows of {table}, e.g. {_shown(key, row)} in {counts[codes[row] + 1]}: it has to be unique."
        yield Finding(where, message, error=True)


def ties(join: Join, table: Columns) -> Iterator[Finding]:
    """Keys for which a LAST JOIN finds several rows, none of them the last."""
    names = list(dict.fromkeys(right for _, _, right in join.keys))
    keys = [table[name] for name in names]
    rows = np.flatnonzero(known(keys))
    groups = Groups([key.take(rows) for key in keys], len(rows))
    last = np.ones(len(rows), bool)
    if join.order_by is not None:
        times = np.where(table[join.order_by].is_valid, table[join.order_by].data, np.iinfo(np.int64).min)[rows]
        latest = np.full(groups.count, np.iinfo(np.int64).min)
        np.maximum.at(latest, groups.numbers, times)
        last = times == latest[groups.numbers]
    counts = np.bincount(groups.numbers[last], minlength=groups.count)
    if several := int((counts > 1).sum()):
        row = _first(counts[groups.numbers] > 1)
        example = ", ".join(f"{name} {_shown(key, int(rows[row]))}" for name, key in zip(names, keys, strict=True))
        which = f"rows with the largest {join.order_by}" if join.order_by is not None else "rows"
        message = (
            f"{'1 key' if several == 1 else f'{several:,} keys'} of {join.table} {'has' if several == 1 else 'have'} several {which}, "
            f"e.g. {example} has {counts[groups.numbers[row]]}: {_WHICH}{'' if join.order_by is not None else ' Give it order_by.'}"
        )
        yield Finding(f"features.joins.{join.name}", message)


_WHICH = "which one is joined hangs on the engine and the order of rows."


def conditional_ties(feature_set: FeatureSet, join: Join, data: Mapping[str, Columns], chosen: dict[str, Columns]) -> Iterator[Finding]:
    """Requests whose join is another row when the joined table is read from its end.

    Args:
        chosen: the columns of the earlier joins; this one's are added.
    """
    request, table = data[feature_set.request_table], data[join.table]
    rows, size = len(request[feature_set.request_key]), len(next(iter(table.values())))
    last = last_join(join, request, chosen, table, rows)
    chosen[join.name] = {name: vector.take(last) for name, vector in table.items()}
    if join.condition is None:
        return
    turned = {name: vector.take(np.arange(size - 1, -1, -1)) for name, vector in table.items()}
    first = size - 1 - last_join(join, request, chosen, turned, rows)
    different = (first != last) & (last >= 0)
    if several := int(different.sum()):
        which = f"with the largest {join.order_by}" if join.order_by is not None else "that fulfil the condition"
        example = _shown(request[feature_set.request_key], _first(different))
        message = (
            f"{several:,} of {rows:,} requests {'finds' if several == 1 else 'find'} several rows of {join.table} {which}, e.g. {example}: "
            f"{_WHICH}{'' if join.order_by is not None else ' Give it order_by.'}"
        )
        yield Finding(f"features.joins.{join.name}", message)


def coincidences(feature_set: FeatureSet, window: Window, data: Mapping[str, Columns]) -> dict[str, int]:
    """How many requests happen at the time of a row with their key, by table of the union."""
    request = data[feature_set.request_table]
    time = request[feature_set.request_time]
    groups = Groups([request[name] for name in window.request_keys], len(time))
    moments = np.unique(time.data)

    def code(group: np.ndarray, times: np.ndarray) -> np.ndarray:
        """One number for a key and a time; negative if no request has both."""
        place = np.minimum(np.searchsorted(moments, times), len(moments) - 1)
        return np.where((group >= 0) & (moments[place] == times), group.astype(np.int64) * len(moments) + place, -1)

    found = {}
    for name in window.union if len(time) else ():
        events, order = data[name], data[name][window.order_by]
        seen = code(np.where(order.is_valid, groups.find([events[key] for key in window.partition_by]), -1), order.data.astype(np.int64))
        found[name] = int((np.isin(code(groups.numbers, time.data), seen[seen >= 0]) & time.is_valid).sum())
    return found


def _coinciding(feature_set: FeatureSet, window: Window, counts: Mapping[str, int], data: Mapping[str, Columns]) -> Iterator[Finding]:
    rows = len(data[feature_set.request_table][feature_set.request_time])
    for name, count in counts.items():
        if count:
            message = (
                f"{count:,} of {rows:,} requests {'comes' if count == 1 else 'come'} at the very moment of a row of {name} with their key, which the window sees: "
                "it may be the event that is to be predicted, and a live request comes before it."
            )
            yield Finding(f"features.windows.{window.name}", message)


def _first(where: np.ndarray) -> int:
    return int(np.argmax(where))


def _shown(column: Vector, row: int) -> str:
    return repr(column.take(np.array([row])).to_arrow(1)[0].as_py())
