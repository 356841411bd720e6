"""Reads request rows from JSON and checks every column strictly against the request table.

What a column takes: bool true/false; integers JSON integers in range; float and double finite numbers; string text; date
"YYYY-MM-DD"; timestamp integer epoch milliseconds or an ISO 8601 time, which without a zone is in the data set's time zone.
Every column must be there; null is allowed except for the request's key and time.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from jdrec.errors import nearest
from jdrec.features.types import SqlType
from jdrec.serving.failures import InvalidRequest

if TYPE_CHECKING:
    from jdrec.features.spec import FeatureSet

Row = dict[str, Any]
_SHOWN_PROBLEMS = 20
_INTEGER_BITS = {SqlType.SMALLINT: 16, SqlType.INT: 32, SqlType.BIGINT: 64}
_MAX_FLOAT = 3.4028235677973366e38  # from here on a double rounds to an infinite float32
MAX_TIME_MS = 253_402_300_799_999  # the end of the year 9999
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_ISO_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class _Wrong(Exception):
    """A value that a column does not take; the text says what it takes."""


class RowReader:
    """Checks request bodies of one feature set.

    Args:
        feature_set: its request table gives the columns.
        max_rows: most rows in one body.
    """

    def __init__(self, feature_set: FeatureSet, max_rows: int):
        self.columns = feature_set.request.columns
        self.max_rows = max_rows
        zone = ZoneInfo(feature_set.timezone)
        self._readers = {name: _reader(type, zone) for name, type in self.columns.items()}
        self._required = {feature_set.request_key, feature_set.request_time}
        self._time = feature_set.request_time
        self._names = self.columns.keys()

    def read(self, body: bytes) -> list[Row]:
        """The rows of a JSON body: one object, or a list of objects.

        Returns:
            Rows with every column of the request table, in its order; times are epoch milliseconds, dates are `datetime.date`.

        Raises:
            InvalidRequest: with all that is wrong, up to a limit.
        """
        return self.check(self._parse(body))

    def check(self, rows: list[Row]) -> list[Row]:
        """The rows with every column checked, in the table's order.

        Raises:
            InvalidRequest: with all that is wrong, up to a limit.
        """
        problems: list[dict[str, Any]] = []
        result = []
        for number, row in enumerate(rows):
            result.append(self._read_row(number, row, problems))
            if len(problems) >= _SHOWN_PROBLEMS:
                break
        if problems:
            first = problems[0]
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            message = f"row {first['row']}, field {first['field']!r}: {first['message']}{more}"
            raise InvalidRequest(message, status=422, kind="invalid_row", details=problems[:_SHOWN_PROBLEMS])
        return result

    def check_column(self, name: str, values: list[Any]) -> list[Any]:
        """Values of one column, none of them null.

        Raises:
            InvalidRequest: one is not the column's.
        """
        read = self._readers[name]
        try:
            return [read(value) for value in values]
        except (_Wrong, TypeError) as wrong:
            raise InvalidRequest(f"{name}: {wrong}", status=422, kind="invalid_row") from None

    def _parse(self, body: bytes) -> list[Row]:
        value = parse_json(body)
        rows = value if isinstance(value, list) else [value]
        self.check_count(len(rows), "rows")
        for number, row in enumerate(rows):
            if not isinstance(row, dict):
                message = f"The body must be one row as an object, or a list of such; row {number} is {_kind(row)}."
                raise InvalidRequest(message, status=400, kind="not_rows")
        return rows

    def check_count(self, count: int, what: str) -> None:
        """Refuses no rows, and more than a call may have."""
        if not count:
            raise InvalidRequest(f"The list of {what} is empty.", status=400, kind=f"no_{what}")
        if count > self.max_rows:
            raise InvalidRequest(f"{count} {what} in one call; at most {self.max_rows} are taken.", status=413, kind=f"too_many_{what}")

    def _read_row(self, number: int, row: Row, problems: list[dict[str, Any]]) -> Row:
        result: Row = {}
        for name, read in self._readers.items():
            try:
                value = row[name]
            except KeyError:
                problems.append(_problem(number, name, "is missing", self.columns[name].value, ""))
                continue
            try:
                if value is None:
                    if name in self._required:
                        raise _Wrong("must not be null")
                    result[name] = None
                else:
                    result[name] = value = read(value)
                    if name == self._time and not 0 <= value <= MAX_TIME_MS:
                        raise _Wrong("is not a time between 1970 and 9999")
            except _Wrong as wrong:
                problems.append(_problem(number, name, str(wrong), self.columns[name].value, ""))
        if len(row) != len(self.columns) or row.keys() != self._names:
            unknown = [name for name in row if name not in self.columns]
            for name in unknown[:_SHOWN_PROBLEMS]:
                hint = nearest(name, [column for column in self.columns if column not in row] or self.columns)
                problems.append(_problem(number, name[:100], "is not a column of the request table", None, hint))
        return result


def parse_json(body: bytes) -> Any:
    """The value of a JSON text, strictly: no NaN, no halves of surrogate pairs, no deep nesting.

    Raises:
        InvalidRequest: it is none.
    """
    import orjson

    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not JSON: {error}", status=400, kind="invalid_json") from None


def _problem(row: int, field: str, message: str, expected: str | None, hint: str) -> dict[str, Any]:
    return {"row": row, "field": field, "message": message, "expected": expected, "hint": hint}


# --- values ----------------------------------------------------------------------------------------------------------------


def _reader(type: SqlType, zone: ZoneInfo) -> Callable[[Any], Any]:
    """A function from a JSON value, not null, to the column's value; it raises `_Wrong`."""
    if type.is_integer:
        return _integer_reader(_INTEGER_BITS[type])
    if type.is_float:
        return _float_reader(_MAX_FLOAT if type is SqlType.FLOAT else math.inf)
    if type is SqlType.TIMESTAMP:
        return lambda value: _read_time(value, zone)
    return {SqlType.BOOL: _read_bool, SqlType.STRING: _read_string, SqlType.DATE: _read_date}[type]


def _kind(value: Any) -> str:
    names = {type(None): "null", bool: "true/false", int: "an integer", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names[type(value)]


def _read_bool(value: Any) -> bool:
    if value is True or value is False:
        return value
    raise _Wrong(f"must be true or false, not {_kind(value)}")


def _read_string(value: Any) -> str:
    if type(value) is str:
        return value
    raise _Wrong(f"must be text, not {_kind(value)}")


def _integer_reader(bits: int) -> Callable[[Any], int]:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def read(value: Any) -> int:
        if type(value) is not int:
            raise _Wrong(f"must be an integer, not {_kind(value)}")
        if not low <= value <= high:
            raise _Wrong(f"must be an integer of {bits} bits")
        return value

    return read


def _float_reader(limit: float) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        if type(value) is not float and type(value) is not int:
            raise _Wrong(f"must be a number, not {_kind(value)}")
        result = float(value)
        if not math.isfinite(result) or abs(result) >= limit:
            raise _Wrong("is too large for its type")
        return result

    return read


def _read_date(value: Any) -> datetime.date:
    if type(value) is str and _ISO_DATE.fullmatch(value):
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            pass
    raise _Wrong('must be a date as "YYYY-MM-DD"')


def _read_time(value: Any, zone: ZoneInfo) -> int:
    if type(value) is int:
        if abs(value) <= MAX_TIME_MS:
            return value
    elif type(value) is str and (match := _ISO_TIME.fullmatch(value)):
        day, minutes, seconds, fraction, offset = match.groups()
        offset = "+00:00" if offset == "Z" else offset if not offset or ":" in offset else f"{offset[:3]}:{offset[3:]}"
        try:
            moment = datetime.datetime.fromisoformat(f"{day}T{minutes}{seconds or ':00'}{offset or ''}")
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=zone)
            whole = (moment - _EPOCH) // datetime.timedelta(milliseconds=1)
        except (ValueError, OverflowError):
            pass
        else:
            return whole + int((fraction or ".")[1:].ljust(3, "0")[:3])
    raise _Wrong("must be epoch milliseconds, or an ISO time such as 2016-03-31T18:11:20+08:00")
