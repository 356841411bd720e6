"""What only data can tell: request keys that are not unique, ties of LAST JOINs, requests at the very moment of an event.

Key and time columns alone are read. Keys that are derived are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from jdrec.features.finding import Finding
from jdrec.features.spec import FeatureSet, Join, Window

if TYPE_CHECKING:
    from jdrec.dataset.tables import TableFiles, TableSet


def check(feature_set: FeatureSet, tables: TableSet) -> list[Finding]:
    """Warnings and errors about the tables, in the order of the definition."""
    joins = dict.fromkeys(name for block in feature_set.blocks for name in block.joins)
    windows = dict.fromkeys(name for block in feature_set.blocks for name in block.windows)
    found = list(request_key(feature_set, tables))
    for name in joins:
        found += ties(feature_set, tables, feature_set.joins[name])
    for name in windows:
        found += coincidences(feature_set, tables, feature_set.windows[name])
    return found


def request_key(feature_set: FeatureSet, tables: TableSet) -> Iterator[Finding]:
    """Requests without a key of their own; the sub-queries are joined on it."""
    key, where = feature_set.request_key, "features.request.key"
    rows = _read(tables[feature_set.request_table], [key])
    if nulls := rows.column(key).null_count:
        yield Finding(where, f"{nulls:,} of {rows.num_rows:,} rows of {feature_set.request_table} have no {key} (NULL).", error=True)
    counts = _counted(rows, [key])
    several = counts.filter(pc.and_(pc.greater(counts.column("rows"), 1), pc.is_valid(counts.column(key))))
    if several.num_rows:
        example, times = several.column(key)[0].as_py(), several.column("rows")[0].as_py()
        values = "1 value is" if several.num_rows == 1 else f"{several.num_rows:,} values are"
        message = f"{values} in several rows of {feature_set.request_table}, e.g. {example!r} in {times}: it has to be unique."
        yield Finding(where, message, error=True)


def ties(feature_set: FeatureSet, tables: TableSet, join: Join) -> Iterator[Finding]:
    """Keys for which a LAST JOIN finds several rows, none of them the last."""
    table = feature_set.tables[join.table]
    keys = list(dict.fromkeys(right for _, right in join.on))
    read = keys + ([join.order_by] if join.order_by is not None and join.order_by not in keys else [])
    if any(name in table.derived for name in read) or join.condition is not None:
        return
    counts = _counted(_read(tables[join.table], read).drop_null(), read)
    if join.order_by is not None:
        last = counts.group_by(keys).aggregate([(join.order_by, "max")])
        counts = counts.join(last, keys, join_type="inner")
        counts = counts.filter(pc.equal(counts.column(join.order_by), counts.column(f"{join.order_by}_max")))
    several = counts.filter(pc.greater(counts.column("rows"), 1))
    if several.num_rows:
        example = ", ".join(f"{name} {several.column(name)[0].as_py()!r}" for name in keys)
        which = f"rows with the largest {join.order_by}" if join.order_by is not None else "rows"
        advice = "" if join.order_by is not None else " Give it order_by."
        message = (
            f"{_keys(several.num_rows, join.table)} several {which}, e.g. {example} has {several.column('rows')[0].as_py()}: "
            f"which one is joined hangs on the engine and the order of rows.{advice}"
        )
        yield Finding(f"features.joins.{join.name}", message)


def coincidences(feature_set: FeatureSet, tables: TableSet, window: Window) -> Iterator[Finding]:
    """How many requests happen at the time of a row that a window sees with them."""
    request = feature_set.request
    names = [*window.request_keys, feature_set.request_time]
    if not window.sees_request_moment or any(name in request.derived for name in names):
        return
    places = [f"key{n}" for n in range(len(window.request_keys))]
    wanted = _keyed(_read(tables[request.name], names), names, places)
    for name in window.union:
        own = [*window.partition_by, window.order_by]
        if any(column in feature_set.tables[name].derived for column in own):
            continue
        events = _keyed(_read(tables[name], own), own, places)
        count = wanted.join(events, [*places, "time"], join_type="left semi").num_rows
        if count:
            message = (
                f"{count:,} of {wanted.num_rows:,} requests {'comes' if count == 1 else 'come'} at the very moment of a row of {name} with their key, which the window sees: "
                "it may be the event that is to be predicted, and a live request comes before it."
            )
            yield Finding(f"features.windows.{window.name}", message)


def _read(files: TableFiles, columns: Sequence[str]) -> pa.Table:
    """Some columns of a table."""
    names = list(dict.fromkeys(columns))
    schema = pa.schema([(name, files.table.columns[name].arrow) for name in names])
    return pa.concat_tables(
        [schema.empty_table(), *(pa.table({name: part[name] for name in names}, schema=schema) for part in files.read(names))]
    )


def _counted(rows: pa.Table, columns: list[str]) -> pa.Table:
    """Each combination of values, with the number of its rows in `rows`, in order of first appearance."""
    counts = rows.group_by(columns, use_threads=False).aggregate([([], "count_all")])
    return counts.select([*columns, "count_all"]).rename_columns([*columns, "rows"])


def _keys(count: int, table: str) -> str:
    return f"1 key of {table} has" if count == 1 else f"{count:,} keys of {table} have"


def _keyed(rows: pa.Table, columns: list[str], places: list[str]) -> pa.Table:
    """Keys under the same names on both sides, and the time in milliseconds."""
    *keys, time = columns
    return pa.table(
        {place: rows.column(key) for place, key in zip(places, keys, strict=True)} | {"time": rows.column(time).cast(pa.int64())}
    )
