"""Rows as the APIServer's clients write them, and answers as it writes them.

Source: OpenMLDB documentation, "REST API" (types in JSON).
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jdrec.features.spec import Table
from jdrec.features.types import SqlType
from jdrec.online.server.refusal import Refused

T = SqlType
_DATE = re.compile(r"(\d{1,4})-(\d{1,2})-(\d{1,2})", re.ASCII)
_TYPE_NAMES = {T.SMALLINT: "int16", T.INT: "int32", T.BIGINT: "int64"}
_STORED_NAMES = {
    T.BOOL: "kBool",
    T.SMALLINT: "kSmallInt",
    T.INT: "kInt",
    T.BIGINT: "kBigInt",
    T.FLOAT: "kFloat",
    T.DOUBLE: "kDouble",
    T.STRING: "kString",
    T.DATE: "kDate",
    T.TIMESTAMP: "kTimestamp",
}


def type_name(type_: SqlType) -> str:
    """A type as schemas name it."""
    return _TYPE_NAMES.get(type_, type_.value)


def stored_name(type_: SqlType) -> str:
    """A type as descriptions of tables name it."""
    return _STORED_NAMES[type_]


class JsonRows:
    """Reads rows of one table, each a list in the order of its columns or an object by their names."""

    def __init__(self, table: Table):
        self._names = list(table.columns)
        self._dates = [name for name, type_ in table.columns.items() if type_ is T.DATE]

    def read(self, number: int, value: Any) -> dict[str, Any]:
        """The row by column, for the session to check further. An object may have more columns than the table.

        Raises:
            Refused: it is neither, or columns are missing.
        """
        if isinstance(value, list):
            if len(value) != len(self._names):
                raise Refused(f"row {number} has {len(value)} values, and the table {len(self._names)} columns")
            row = dict(zip(self._names, value, strict=True))
        elif isinstance(value, dict):
            missing = [name for name in self._names if name not in value]
            if missing:
                raise Refused(f"row {number} has no column {missing[0]!r}")
            row = {name: value[name] for name in self._names}
        else:
            raise Refused(f"row {number} is neither an array nor an object")
        for name in self._dates:
            if row[name] is not None:
                row[name] = _date(number, name, row[name])
        return row


def _date(number: int, name: str, value: Any) -> datetime.date:
    match = _DATE.fullmatch(value) if isinstance(value, str) else None
    try:
        if match:
            return datetime.date(*map(int, match.groups()))
    except ValueError:
        pass
    raise Refused(f"row {number}: {name} is a date, such as 2021-05-20, and {value!r:.80} is not")


class AnswerWriter:
    """Writes computed rows.

    Args:
        names, types: of the output columns.
    """

    def __init__(self, names: Sequence[str], types: Sequence[SqlType]):
        self._names = names
        self._floats = [place for place, type_ in enumerate(types) if type_.is_float]
        self._dates = [place for place, type_ in enumerate(types) if type_ is T.DATE]

    def plain(self, values: Sequence[Any], *, without_nan: bool) -> list[Any]:
        """One row as JSON has it; a date is written without leading zeros, as the APIServer does."""
        row = list(values)
        for place in self._dates:
            day = row[place]
            row[place] = None if day is None else f"{day.year}-{day.month}-{day.day}"
        if without_nan:
            for place in self._floats:
                if row[place] is not None and not math.isfinite(row[place]):
                    row[place] = None
        return row

    def named(self, row: Sequence[Any]) -> dict[str, Any]:
        return dict(zip(self._names, row, strict=True))

    def is_finite(self, rows: Sequence[Sequence[Any]]) -> bool:
        """Whether all numbers can be written as strict JSON."""
        return all(row[place] is None or math.isfinite(row[place]) for row in rows for place in self._floats)


def parse(body: bytes) -> Mapping[str, Any]:
    """A body's object. NaN, Infinity and -Infinity are numbers.

    Raises:
        Refused: it is not JSON, or no object.
    """
    import orjson

    value: Any
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            value = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refused(f"the body is not JSON: {str(error)[:200]}") from None
    if not isinstance(value, dict):
        raise Refused("the body is no JSON object")
    return value


def dumps(value: Any, *, finite: bool = True) -> bytes:
    """JSON; NaN and infinities as the APIServer writes them, unless all is finite."""
    import orjson

    write: Callable[[Any], Any] = orjson.dumps if finite else (lambda item: json.dumps(item, ensure_ascii=False).encode())
    return write(value)
