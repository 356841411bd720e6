"""How OpenMLDB writes values as text, and reads dates and times from it."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, timedelta

from jdrec.features.types import SqlType

ZONE_MS = 8 * 3_600_000
_EPOCH = datetime(1970, 1, 1)
_DAY = date(1970, 1, 1)
_TIME = re.compile(r"\s*(\d{1,4})-\s*(\d{1,2})-\s*(\d{1,2})\s*(\d{1,2}):\s*(\d{1,2}):\s*(\d{1,2})", re.ASCII)
_WORD = re.compile(r"[0-9A-Za-z]+", re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):?(\d\d))", re.ASCII)


def of(value: float, type_: SqlType) -> str:
    """A number as %d or %f, a time in UTC+8, a date (days since 1970): as in the text that an aggregate makes."""
    return _signed(f"{value:f}", value) if type_.is_float else cast(value, type_)


def cast(value: float, type_: SqlType) -> str:
    """As of(), but a float with six digits, and a bool as true or false: a value cast to string."""
    if type_.is_float:
        return _signed(f"{value:g}", value)
    if type_ is SqlType.TIMESTAMP:
        return (_EPOCH + timedelta(seconds=int((value + ZONE_MS) / 1000))).strftime("%Y-%m-%d %H:%M:%S")
    if type_ is SqlType.DATE:
        return (_DAY + timedelta(days=value)).isoformat()
    if type_ is SqlType.BOOL:
        return "true" if value else "false"
    return str(int(value))


def _signed(written: str, value: float) -> str:
    """As C writes a float: NaN has a sign, too."""
    return "-nan" if written == "nan" and math.copysign(1, value) < 0 else written


def read_date(text: str) -> int | None:
    """Days since 1970 of yyyy-mm-dd, yyyymmdd or yyyy-mm-dd hh:mm:ss; None of anything else, and before 1900."""
    size = len(text.encode())
    if size == 19:
        moment = _read_time(text)
        return None if moment is None else (moment.date() - _DAY).days
    parts: list[str] = []
    if size == 10:
        parts = _WORD.findall(text)[:3]
    elif size == 8 and text.isascii() and text.isdigit():
        parts = [text[:4], text[4:6], text[6:]]
    if len(parts) < 3 or not (parts[0].isdigit() and parts[2].isdigit()):
        return None
    month = int(parts[1]) if parts[1].isdigit() else _MONTHS.index(parts[1][:3].lower()) + 1 if parts[1][:3].lower() in _MONTHS else 0
    try:
        day = date(int(parts[0]), month, int(parts[2]))
    except ValueError:
        return None
    return (day - _DAY).days if day.year >= 1900 else None


def _read_time(text: str) -> datetime | None:
    """The clock's time; a day beyond its month is one of the next."""
    match = _TIME.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups())
    if year < 1900 or not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 62):
        return None
    return datetime(year, month, 1) + timedelta(days=day - 1, hours=hour, minutes=minute, seconds=second)


def date_ms(days: int) -> int | None:
    """The milliseconds at which a day begins in UTC+8; None before 1900."""
    return days * 86_400_000 - ZONE_MS if days >= -25567 else None


def read_timestamp(text: str) -> int | None:
    """Milliseconds of a text in UTC+8, of the same forms as `read_date`."""
    if len(text.encode()) == 19:
        moment = _read_time(text)
        return None if moment is None else (moment - _EPOCH) // timedelta(milliseconds=1) - ZONE_MS
    days = read_date(text)
    return None if days is None else date_ms(days)


def day_of_moment(text: str) -> int | None:
    """Days since 1970 in UTC+8 of a text in UTC, as datediff reads it."""
    size = len(text.encode())
    try:
        if size == 19:
            moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S")
        elif size in (8, 10):
            moment = datetime.strptime(text, "%Y-%m-%d" if size == 10 else "%Y%m%d")
        else:
            match = _RFC3339.fullmatch(text)
            if match is None:
                return None
            year, month, day, hour, minute, second, sign, hours, minutes = match.groups()
            moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second))
            shift = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
            moment = moment + shift if sign == "-" else moment - shift
    except ValueError:
        return None
    return ((moment + timedelta(milliseconds=ZONE_MS)).date() - _DAY).days
