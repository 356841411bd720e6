"""Puts features into the query's sub-queries.

The request's own comes first, then the joins', then, in order of first use, one for each window over joined columns, each set of derived
columns under a window and each way in which the request becomes a row of a union.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from jdrec.features.rewrite import bare_columns
from jdrec.features.spec import Block, Feature, Join, RowColumn, Table, Window
from jdrec.features.types import SqlType


@dataclass
class Part:
    """A sub-query that is being filled."""

    kind: str
    union: tuple[str, ...] = ()
    row: tuple[RowColumn, ...] = ()
    joins: tuple[str, ...] = ()
    features: list[Feature] = field(default_factory=list)
    derived: tuple[str, ...] = ()


@dataclass(frozen=True)
class Definitions:
    """What features refer to."""

    request: Table
    tables: dict[str, Table]
    joins: dict[str, Join]
    windows: dict[str, Window]
    request_rows: dict[str, dict[str, str]]  # by window: the union's columns that are filled besides keys and time


def make_blocks(features: Sequence[Feature], known: Definitions, key: str, name_keys: Callable[[int], list[str]], keep: set[str],
                key_feature: Callable[[str, str], Feature]) -> tuple[Block, ...]:  # fmt: skip
    """The blocks of the features to `keep`; each is named and its key called as in the query of all features.

    Args:
        key: the request key.
        name_keys: names of the key columns of so many blocks.
        key_feature: makes the key column of a block from its name and the column's.
    """
    parts = _parts(features, known)
    names = name_keys(len(parts))
    blocks: list[Block] = []
    for part, name in zip(parts, names, strict=True):
        kept = tuple(feature for feature in part.features if feature.name in keep)
        if not kept and blocks:
            continue
        own = _free_name(key, part.row)
        joins = part.joins if part.kind != "join" or len(kept) == len(part.features) else in_order(kept, known.joins)
        alias = f"out{len(blocks)}"
        blocks.append(Block(alias, part.kind, part.union, (key_feature(name, own), *kept), part.row, own, joins, part.derived))  # type: ignore[arg-type]
    return tuple(blocks)


def _parts(features: Sequence[Feature], known: Definitions) -> list[Part]:
    """All sub-queries. A window that OpenMLDB can deploy shares none with one that it cannot."""
    request, joined = Part("request"), Part("join")
    windowed: dict[tuple[object, ...], Part] = {}
    rows = _request_rows(features, known)
    for feature in features:
        window = known.windows[feature.window] if feature.window else None
        joins = in_order([feature], known.joins)
        if window is None:
            part = joined if joins else request
        elif window.union:
            row = rows[window.name]
            made = tuple(column.name for column in row if not is_stored(column.name, window, known.tables))
            part = windowed.setdefault((window.union, row), Part("union", window.union, row, derived=made))
        else:
            made = tuple(_as_columns(feature, window, known))
            if not joins and not made:
                part = request
            else:  # OpenMLDB's compiler loses the joined columns of all but the first window of a sub-query
                which = (joins, made, window.name if joins else None)
                part = windowed.setdefault(which, Part("join" if joins else "request", joins=joins, derived=made))
        part.features.append(feature)
    joined.joins = in_order(joined.features, known.joins)
    parts = [request, *([joined] if joined.features else []), *windowed.values()]
    for part in parts:
        part.derived = tuple(dict.fromkeys((*part.derived, *_join_keys(part.joins, known))))
    return parts


def _join_keys(joins: Iterable[str], known: Definitions) -> list[str]:
    """Derived columns of the request table that joins are on; OpenMLDB's batch engine takes no expressions there."""
    keys = [(via, left) for name in joins for via, left, _ in known.joins[name].keys]
    return [left for via, left in keys if via is None and left in known.request.derived]


def in_order(features: Iterable[Feature], joins: dict[str, Join]) -> tuple[str, ...]:
    """The joins that features read, in order of first use, each after those that it needs."""
    found: dict[str, None] = {}

    def add(name: str) -> None:
        for needed in joins[name].needs:
            add(needed)
        found.setdefault(name)

    for feature in features:
        for name in (feature.join, *(column.table for column in feature.columns)):
            if name is not None and name not in found:
                add(name)
    return tuple(found)


# --- rows of a union -----------------------------------------------------------------------------------------------------


def _request_rows(features: Sequence[Feature], known: Definitions) -> dict[str, tuple[RowColumn, ...]]:
    """For each window with a union, the row that stands for the request: keys, time and what else is given; the rest is zero."""
    result = {}
    for window in known.windows.values():
        if not window.union:
            continue
        sources = dict(zip(window.partition_by, window.request_keys, strict=True)) | {window.order_by: known.request.time}
        sources |= known.request_rows.get(window.name, {})
        used = {name for feature in features if feature.window == window.name for name in _as_columns(feature, window, known)}
        used |= {name for name in sources if not is_stored(name, window, known.tables)}
        types = shared_types(window.union, known.tables)
        result[window.name] = tuple(
            RowColumn(name, type_, sources.get(name))
            for name, type_ in types.items()
            if is_stored(name, window, known.tables) or name in used
        )
    return result


def shared_types(union: Sequence[str], tables: dict[str, Table]) -> dict[str, SqlType]:
    """The columns that all tables of a union have, stored or derived, with their type."""
    first, *others = (tables[name].types for name in union)
    return {name: type_ for name, type_ in first.items() if all(other.get(name) is type_ for other in others)}


def is_stored(name: str, window: Window, tables: dict[str, Table]) -> bool:
    """Whether every table of the window's union stores the column."""
    return all(name in tables[table].columns for table in window.union)


def _as_columns(feature: Feature, window: Window, known: Definitions) -> list[str]:
    """Derived columns of the window's rows that have to be columns: keys, orders, arguments that take no expression.

    In a union of several tables it is every derived one, for each table has its own expression.
    """
    own = [known.tables[table] for table in window.union] or [known.request]
    names = [*window.partition_by, window.order_by]
    names += [column.name for column in bare_columns(feature.node) if column.table is None]
    if len(own) > 1:
        names += [column.name for column in feature.columns]
    return [name for name in dict.fromkeys(names) if any(name in table.derived for table in own)]


def _free_name(key: str, row: tuple[RowColumn, ...]) -> str:
    """A name for the request key that no column of the union has."""
    taken = {column.name for column in row}
    while key in taken:
        key = f"request_{key}"
    return key
