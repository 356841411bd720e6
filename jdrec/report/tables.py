"""What the input tables hold: rows, NULLs, ranges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    import pyarrow as pa

    from jdrec.dataset.tables import TableFiles, TableSet


def profile(tables: TableSet, most_rows: int, zone: str = "UTC") -> list[dict[str, Any]]:
    """For each table its name, rows, whether that is all of them, and its columns: name, type, nulls, low, high.

    Args:
        most_rows: a larger table is looked at only so far, in whole parts of its files.
        zone: of the moments.
    """
    return [_table(name, tables[name], most_rows, zone) for name in tables]


def _table(name: str, files: TableFiles, most_rows: int, zone: str) -> dict[str, Any]:
    types = files.table.columns
    nulls, lows, highs = dict.fromkeys(types, 0), dict[str, Any](), dict[str, Any]()
    rows, whole = 0, True
    for part in files.read(list(types)):
        if rows >= most_rows:
            whole = False
            break
        rows += len(next(iter(part.values())))
        for column, array in part.items():
            nulls[column] += array.null_count
            low, high = _range(array)
            if low is not None:
                lows[column] = min(lows.get(column, low), low)
                highs[column] = max(highs.get(column, high), high)
    columns = [
        {
            "name": column,
            "type": type_.value,
            "nulls": nulls[column],
            "low": plain(lows.get(column), zone),
            "high": plain(highs.get(column), zone),
        }
        for column, type_ in types.items()
    ]
    return {"name": name, "files": len(files.files), "rows": rows, "whole": whole, "time": files.table.time, "columns": columns}


def _range(array: pa.Array) -> Sequence[Any]:
    """Smallest and largest value; (None, None) where there is none."""
    import pyarrow.compute as pc

    found = pc.min_max(array).as_py()
    return found["min"], found["max"]


def plain(value: Any, zone: str = "UTC") -> Any:
    """A value for JSON: moments in a zone to the minute, floats that JSON has no word for as text."""
    if isinstance(value, datetime):
        return (value.astimezone(ZoneInfo(zone)) if value.tzinfo else value).strftime("%Y-%m-%d %H:%M")
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
