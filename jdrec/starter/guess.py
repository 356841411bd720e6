"""From what the tables look like to what they are for: the request table, its label, joins, windows and features."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from jdrec.errors import DataError
from jdrec.features.types import SqlType
from jdrec.starter.look import Column, TableLook

T = SqlType
_LABEL_NAMES = re.compile(r"label|target|click|conver|purchas|bought|buy|action|outcome|^y$|^is_", re.I)
_FEW = 100  # a number with fewer different values is a category
_RANGES = ("1d", "7d")
_MOST_OF_A_KIND = 3


@dataclass
class Guess:
    """A definition, as sections of features.yaml: name to its one-line value."""

    tables: Sequence[TableLook]
    request: TableLook
    key: str
    time: str
    label: str | None = None
    label_note: str = ""
    joins: dict[str, str] = field(default_factory=dict)
    windows: dict[str, str] = field(default_factory=dict)
    features: dict[str, dict[str, str]] = field(default_factory=dict)  # group -> name -> value
    notes: list[str] = field(default_factory=list)


def guess(tables: Sequence[TableLook]) -> Guess:
    """A definition over the tables.

    Raises:
        DataError: no table can be the request table: one with a time and a column that is unique.
    """
    request, key = _request(tables)
    assert request.time is not None
    result = Guess(tables, request, key.name, request.time.name)
    names = _Names(tables)
    keys = _keys(request, tables)
    label_table = _add_label(result, names)
    _add_request_features(result, names)
    for table in tables:
        if table is request or table is label_table:
            continue
        on = next((name for name in keys if name in table.columns and table.columns[name].unique), None)
        if on is not None:
            _add_join(result, names, table, on)
        elif table.time is not None and any(name in table.columns for name in keys):
            _add_events(result, names, table, [name for name in keys if name in table.columns])
        else:
            result.notes.append(f"{table.name}: no column that the request shares and that is unique, and no time for windows")
    _add_request_windows(result, names, keys)
    return result


def _request(tables: Sequence[TableLook]) -> tuple[TableLook, Column]:
    """The table that shares most keys with the others, of those with a time and a unique column."""
    best: tuple[int, TableLook, Column] | None = None
    for table in tables:
        unique = [column for column in table.columns.values() if column.unique and column.is_key_like]
        if table.time is None or not unique:
            continue
        key = max(unique, key=lambda column: (_shared(column, table, tables), bool(re.search("id$|key$", column.name, re.I))))
        shares = sum(_shared(column, table, tables) > 0 for column in table.columns.values() if column is not key and column.is_key_like)
        if best is None or shares > best[0]:
            best = (shares, table, key)
    if best is None:
        raise DataError(
            "no table can be the one of the requests: it needs a time column and a column whose values are unique.",
            where="init.folder",
            hint="A time is a timestamp, or a bigint of milliseconds since 1970.",
        )
    return best[1], best[2]


def _shared(column: Column, table: TableLook, tables: Iterable[TableLook]) -> int:
    """How many other tables have a key of this name and type."""
    return sum(
        other is not table and (found := other.columns.get(column.name)) is not None and found.is_key_like and found.type is column.type
        for other in tables
    )


def _keys(request: TableLook, tables: Sequence[TableLook]) -> list[str]:
    """The request's columns that other tables are found by."""
    return [
        column.name for column in request.columns.values() if column.is_key_like and not column.unique and _shared(column, request, tables)
    ]


def _add_label(result: Guess, names: _Names) -> TableLook | None:
    """The label: a column of 0 and 1 of the request, or of a table with the request's key; or whether such a table has the request at all."""
    zero_one = [column for column in result.request.columns.values() if column.zero_one]
    own = [column for column in zero_one if _LABEL_NAMES.search(column.name)]
    if own:
        _own_label(result, names, own[0], "0 or 1 in the request table itself: no window may read it")
        return None
    others = [table for table in result.tables if table is not result.request and result.key in table.columns]
    for table in others:
        column = min(
            (column for column in table.columns.values() if column.zero_one), key=lambda c: not _LABEL_NAMES.search(c.name), default=None
        )
        outcome = next((column for column in table.columns.values() if column.name != result.key), None)
        if column is None and (outcome is None or not table.columns[result.key].unique or table.rows >= result.request.rows):
            continue
        result.joins[table.name] = f"{{last_join: {table.name}, on: {result.key}}}"
        result.label = names.new("label")
        expression = _as_int(column) if column is not None else f"case when isnull({outcome.name}) then 0 else 1 end"  # type: ignore[union-attr]
        result.label_note = "" if column is not None else f"1: {table.name} has the request"
        result.features["The label."] = {result.label: _expr(expression, join=table.name)}
        return table
    if len(zero_one) == 1:
        _own_label(result, names, zero_one[0], "the only column of 0 and 1: is it what is to be predicted? no window may read it")
        return None
    found = f"; it may be {' or '.join(column.name for column in zero_one)}" if zero_one else ""
    result.notes.append(
        f"no label was found: a column of 0 and 1, in the request table or in a table with its key; training needs one{found}"
    )
    return None


def _own_label(result: Guess, names: _Names, column: Column, note: str) -> None:
    """The label is a column of the request table."""
    result.label, result.label_note = names.new("label"), note
    result.features["The label."] = {result.label: _expr(_as_int(column))}


def _as_int(column: Column) -> str:
    return f"case when {column.name} then 1 else 0 end" if column.type is T.BOOL else column.name


def _add_request_features(result: Guess, names: _Names) -> None:
    time = result.time
    features = {names.new("request_time"): f"{{expr: {time}, kind: drop}} # the split by time needs it, the model does not"}
    features[names.new("hour")] = _expr(f"hour({time})", kind="categorical")
    features[names.new("weekday")] = _expr(f"dayofweek({time})", kind="categorical")
    labels = result.features.get("The label.", {}).values()
    for column in result.request.columns.values():
        if column.is_time or column.unique or (column.zero_one and any(column.name in value for value in labels)):
            continue
        features[names.new(f"request_{column.name}")] = _expr(column.name, kind=_kind(column))
    result.features["The request itself."] = features


def _add_join(result: Guess, names: _Names, table: TableLook, on: str) -> None:
    result.joins[table.name] = f"{{last_join: {table.name}, on: {on}}}"
    features = {
        names.new(f"{table.name}_{column.name}"): _expr(column.name, join=table.name, kind=_kind(column))
        for column in table.columns.values()
        if column.name != on and not column.is_time and not column.unique
    }
    if features:
        result.features[f"What {table.name} says of the {on}."] = features


def _add_events(result: Guess, names: _Names, table: TableLook, keys: Sequence[str]) -> None:
    for key in keys:
        features = {}
        for length in _RANGES:
            window = names.new(f"{table.name}_{key}_{length}")
            result.windows[window] = (
                f"{{union: {table.name}, partition_by: {key}, range: {length}, end: 0s open, max_size: 100, exclude: instances}}"
            )
            for function, column in _aggregates(table, key):
                features[names.new(f"{window}_{function}_{column}")] = _expr(_call(function, column), over=window)
        result.features[f"What {table.name} had of the same {key}, before the request."] = features


def _add_request_windows(result: Guess, names: _Names, keys: Sequence[str]) -> None:
    for key in keys[:_MOST_OF_A_KIND]:
        window = names.new(f"{key}_7d")
        result.windows[window] = f"{{partition_by: {key}, range: 7d, max_size: 100}}"
        features = {names.new(f"{window}_requests"): _expr(f"count({key})", over=window)}
        for other in [name for name in keys if name != key][:_MOST_OF_A_KIND]:
            features[names.new(f"{window}_{other}s")] = _expr(f"distinct_count({other})", over=window)
        result.features[f"Requests of the same {key}, this one included."] = features


def _aggregates(table: TableLook, key: str) -> list[tuple[str, str]]:
    """Functions of columns that say something of a slice of the table's rows."""
    assert table.time is not None
    columns = [column for column in table.columns.values() if column.name != key and not column.is_time and not column.unique]
    categories = [column.name for column in columns if _kind(column) != "numeric"]
    numbers = [column.name for column in columns if _kind(column) == "numeric"]
    return (
        [("count", key)]
        + [("distinct_count", name) for name in categories[:_MOST_OF_A_KIND]]
        + [("topn_frequency", name) for name in categories[:1]]
        + [("avg", name) for name in numbers[:_MOST_OF_A_KIND]]
    )


def _call(function: str, column: str) -> str:
    return f'"topn_frequency({column}, 2)"' if function == "topn_frequency" else f"{function}({column})"


def _kind(column: Column) -> str:
    return (
        "numeric"
        if column.type.is_float or (column.type.is_integer and column.distinct > _FEW and not column.name.lower().endswith("id"))
        else "categorical"
    )


def _expr(expression: str, *, over: str | None = None, join: str | None = None, kind: str | None = None) -> str:
    parts = [f"over: {over}"] if over else [f"from: {join}"] if join else []
    return "{" + ", ".join([*parts, f"expr: {expression}", *([f"kind: {kind}"] if kind else [])]) + "}"


class _Names:
    """Names for features and windows that no column has, for SQL would confuse them."""

    def __init__(self, tables: Iterable[TableLook]):
        self._taken = {name for table in tables for name in [table.name, *table.columns]}

    def new(self, wanted: str) -> str:
        name, number = wanted, 2
        while name in self._taken:
            name, number = f"{wanted}_{number}", number + 1
        self._taken.add(name)
        return name
