"""Tables, the request and derived columns of a configuration."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jdrec.errors import CheckError, nearest
from jdrec.features.columns import check_key, check_time
from jdrec.features.derived import with_derived
from jdrec.features.mistakes import Mistakes
from jdrec.features.spec import Table

if TYPE_CHECKING:
    from jdrec.config import Config, DatasetConfig, RequestConfig


def resolve_tables(config: Config, mistakes: Mistakes) -> dict[str, Table]:
    """The tables by name, with their derived columns; the request's has the request's time.

    Raises:
        ConfigErrors: every mistake found; nothing else can be judged without tables.
    """
    tables = _stored(config.dataset, mistakes)
    with mistakes.collect():
        _check_request(config.features.request, tables, mistakes)
    mistakes.stop()
    for name, expressions in config.features.derived.items():
        where = f"features.derived.{name}"
        for column in expressions:
            mistakes.check_name(column, "a column's name", f"{where}.{column}")
        with mistakes.collect():
            tables[name] = with_derived(find_table(name, tables, where), expressions)
    mistakes.stop()
    return tables


def find_table(name: str, tables: dict[str, Table], where: str) -> Table:
    if name not in tables:
        raise CheckError(f"there is no table {name!r}.", where=where, hint=nearest(name, tables))
    return tables[name]


def _stored(dataset: DatasetConfig, mistakes: Mistakes) -> dict[str, Table]:
    from zoneinfo import ZoneInfo

    mistakes.check_name(dataset.database, "a database's name", "dataset.database")
    try:
        ZoneInfo(dataset.timezone)
    except (KeyError, ValueError, OSError):
        mistakes.add(f"there is no time zone {dataset.timezone!r}: write one such as Asia/Shanghai or UTC.", "dataset.timezone")
    tables = {}
    for name, table in dataset.tables.items():
        where = f"dataset.tables.{name}"
        mistakes.check_name(name, "a table's name", where)
        if not table.columns:
            mistakes.add("a table has at least one column.", f"{where}.columns")
        for column in table.columns:
            mistakes.check_name(column, "a column's name", f"{where}.columns.{column}")
        if table.time is not None:
            with mistakes.collect():
                check_time(name, table.columns, table.time, f"{where}.time")
        tables[name] = Table(name, dict(table.columns), table.path, table.time, format=table.format)
    return tables


def _check_request(request: RequestConfig, tables: dict[str, Table], mistakes: Mistakes) -> None:
    table = find_table(request.table, tables, "features.request.table")
    with mistakes.collect():  # there are no derived columns yet: the key is a stored one
        check_key(table, request.key, table, request.key, "features.request.key")
    with mistakes.collect():
        check_time(request.table, table.columns, request.time, "features.request.time")
    tables[request.table] = replace(table, time=request.time)
