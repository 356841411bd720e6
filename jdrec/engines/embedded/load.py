"""Tables' columns: those that are stored and those that are derived from them, whole or streaming into stores."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from jdrec.dataset import arrow
from jdrec.dataset.tables import TableFiles, TableSet
from jdrec.engines.embedded.building import Part, StoreBuilder
from jdrec.engines.embedded.derived import with_derived
from jdrec.engines.embedded.plan import Plan
from jdrec.engines.embedded.turns import in_turn
from jdrec.engines.embedded.vector import Vector
from jdrec.features.spec import Table
from jdrec.features.types import SqlType
from jdrec.progress import Progress


def load_tables(
    plan: Plan, tables: TableSet, progress: Progress, *, only: Collection[str] | None = None, pool: ThreadPoolExecutor | None = None
) -> dict[str, dict[str, Vector]]:
    """The columns that the plan reads; no rows of tables that are not in `only`."""
    needed = {name: plan.columns_read(name) for name in tables}
    needed = {name: columns for name, columns in needed.items() if columns}

    def load(name: str) -> dict[str, Vector]:
        return load_columns(tables[name], needed[name], empty=only is not None and name not in only)

    with progress.task("read tables", total=len(needed)) as task:
        result = {}
        for name, columns in zip(needed, pool.map(load, needed) if pool is not None else map(load, needed), strict=True):
            result[name] = columns
            task.advance()
    return result


def load_some(needed: Mapping[str, Mapping[str, bool]], tables: TableSet, pool: ThreadPoolExecutor) -> dict[str, dict[str, Vector]]:
    """The whole columns of some tables, by table and column, and whether strings are best read as codes."""
    names = [name for name in needed if needed[name]]
    return dict(zip(names, pool.map(lambda name: load_columns(tables[name], needed[name]), names), strict=True))


def stream(
    name: str, files: TableFiles, columns: Mapping[str, bool], builders: Sequence[StoreBuilder], pool: ThreadPoolExecutor, ahead: int
) -> None:
    """Gives the rows of a table to the stores that it belongs to, part by part; `ahead` parts are in memory at a time."""
    table = files.table
    stored = _stored(table, columns)
    encoded = [column for column, is_encoded in stored.items() if is_encoded and files.repeats(column)]

    def digest(read: Callable[[], dict[str, Any]]) -> list[Part]:
        part = {column: Vector.of_arrow(array, table.columns[column]) for column, array in read().items()}
        whole = with_derived(table, part, columns, len(next(iter(part.values()))))
        return [builder.part(whole) for builder in builders]

    for parts in in_turn(pool, digest, files.parts(list(stored), encoded), ahead):
        for builder, part in zip(builders, parts, strict=True):
            builder.add(name, part)


def _stored(table: Table, columns: Mapping[str, bool]) -> dict[str, bool]:
    """The stored columns that some columns are or are made of, and whether strings are best read as codes."""
    sources = {source for column in columns if column in table.derived for source in table.stored(column)}
    return {column: is_encoded for column, is_encoded in columns.items() if column not in table.derived} | dict.fromkeys(sources, True)


def load_columns(files: TableFiles, columns: Mapping[str, bool], *, empty: bool = False) -> dict[str, Vector]:
    """Columns of one table.

    Args:
        columns: name to whether strings are best read as codes; at least one.
        empty: no rows of it.
    """
    table = files.table
    stored = _stored(table, columns)
    encoded = [column for column, is_encoded in stored.items() if is_encoded and files.repeats(column)]
    parts: dict[str, list[Any]] = {column: [] for column in stored}
    for part in () if empty else files.read(list(stored), encoded):
        for column, array in part.items():
            parts[column].append(array)
    read = {column: _whole(parts[column], table.columns[column]) for column in stored}
    return with_derived(table, read, columns, len(next(iter(read.values()))))


def _whole(parts: list[Any], type_: SqlType) -> Vector:
    array = arrow.one_chunk(pa.chunked_array(parts)) if parts else arrow.empty(type_.arrow)
    return Vector.of_arrow(array, type_)
