"""One window: its rows, keys, order and frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jdrec.errors import CheckError, nearest
from jdrec.features.blocks import shared_types
from jdrec.features.columns import check_key, check_time, column_type
from jdrec.features.frames import range_bound, rows_bound
from jdrec.features.scope import Rows
from jdrec.features.spec import Bound, Table, Window

if TYPE_CHECKING:
    from jdrec.config import WindowConfig


def resolve_window(name: str, config: WindowConfig, tables: dict[str, Table], request: Table) -> Window:
    """The window that a configuration describes.

    Args:
        request: the request table, with its time column.

    Raises:
        CheckError: with the YAML path.
    """
    where = f"features.windows.{name}"
    union = _union(config, tables, where)
    rows = rows_of(union, tables, request)
    keys = _keys(config, rows, request, where)
    order_by = config.order_by or (tables[union[0]] if union else request).time
    if order_by is None:
        raise CheckError(
            f"say which column orders the rows: order_by here, or dataset.tables.{union[0] if union else request.name}.time.", where=where
        )
    check_time(rows.name, rows.types, order_by, f"{where}.order_by")
    _check_request_row(config, rows, request, {*keys, order_by}, f"{where}.request_row")
    frame, start, end = _frame(config, where)
    excluded = [config.exclude] if isinstance(config.exclude, str) else config.exclude
    if frame == "rows" and config.max_size is not None:
        raise CheckError("max_size limits a range; a rows frame has its size already.", where=f"{where}.max_size")
    return Window(
        name=name,
        union=union,
        partition_by=tuple(keys),
        request_keys=tuple(keys.values()),
        order_by=order_by,
        frame=frame,
        start=start,
        end=end,
        max_size=config.max_size,
        instance_not_in_window="instances" in excluded,
        exclude_current_row="current_row" in excluded,
        exclude_current_time="current_time" in excluded,
    )


def _union(config: WindowConfig, tables: dict[str, Table], where: str) -> tuple[str, ...]:
    union = (config.union,) if isinstance(config.union, str) else tuple(config.union)
    for table in union:
        if table not in tables:
            raise CheckError(f"there is no table {table!r}.", where=f"{where}.union", hint=nearest(table, tables))
    if len(set(union)) != len(union):
        raise CheckError("a table is named twice.", where=f"{where}.union")
    return union


def rows_of(union: tuple[str, ...], tables: dict[str, Table], request: Table) -> Rows:
    """The rows of a window: the request table's, or those of a union by the columns that its tables share."""
    return Rows(" and ".join(union), shared_types(union, tables)) if union else Rows(request.name, request.types)


def _check_request_row(config: WindowConfig, rows: Rows, request: Table, taken: set[str], where: str) -> None:
    if config.request_row and not config.union:
        raise CheckError("without union the request is a row of the window as it is.", where=where)
    for column, source in config.request_row.items():
        if column in taken:
            raise CheckError(f"{column!r} is filled already: it is a key or the order.", where=f"{where}.{column}")
        wanted, given = column_type(rows, column, f"{where}.{column}"), column_type(request, source, f"{where}.{column}")
        if wanted is not given:
            message = f"{request.name}.{source} is {given.value} but {rows.name}.{column} is {wanted.value}."
            raise CheckError(message, where=f"{where}.{column}")


def _keys(config: WindowConfig, rows: Rows, request: Table, where: str) -> dict[str, str]:
    """Columns of the windowed rows, each with the request's column that it is compared with."""
    keys = config.partition_by
    if isinstance(keys, dict):
        if not config.union:
            raise CheckError("a mapping of keys is for windows with union; name the columns alone.", where=f"{where}.partition_by")
        pairs = dict(keys)
    else:
        listed = [keys] if isinstance(keys, str) else keys
        if len(set(listed)) != len(listed):
            raise CheckError("a column is named twice.", where=f"{where}.partition_by")
        pairs = {column: column for column in listed}
    if not pairs:
        raise CheckError("a window needs at least one key column.", where=f"{where}.partition_by")
    for column, request_column in pairs.items():
        check_key(request, request_column, rows, column, f"{where}.partition_by")
    return pairs


def _frame(config: WindowConfig, where: str):  # type: ignore[no-untyped-def]
    """The frame's kind, start and end."""
    if (config.rows is None) == (config.range is None):
        raise CheckError("a window has either rows (how many) or range (how long).", where=where)
    frame, written, read = ("rows", config.rows, rows_bound) if config.rows is not None else ("rows_range", config.range, range_bound)
    key = "rows" if frame == "rows" else "range"
    start = _bound(read, written, f"{where}.{key}")
    end = _bound(read, 0 if config.end is None else config.end, f"{where}.end")
    if start.value < end.value or (start.value == end.value and (start.open or end.open)):
        message = f"the window is empty: it starts {_say(start)} back and ends {_say(end)} back."
        raise CheckError(message, where=f"{where}.end" if config.end is not None else f"{where}.{key}")
    return frame, start, end


def _bound(read, written: int | str | None, where: str) -> Bound:  # type: ignore[no-untyped-def]
    try:
        return read(written)
    except ValueError as error:
        raise CheckError(str(error), where=where) from None


def _say(bound: Bound) -> str:
    return f"{bound.text} open" if bound.open else bound.text
