"""From coded records to Parquet tables: files that grow piece by piece, and columns of times, ids and texts."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jdrec.dataset.generated.shares import DAY
from jdrec.dataset.generated.spill import Spill
from jdrec.progress import Task

TIME = pa.timestamp("us")
_UTC8_MS = 8 * 3600 * 1000  # Asia/Shanghai has had no summer time since 1991


class TableFile:
    """`<root>/<name>/<name>.parquet`, written piece by piece."""

    def __init__(self, root: Path, name: str, schema: pa.Schema):
        folder = root / name
        folder.mkdir()
        self.name, self.schema, self.rows = name, schema, 0
        self._writer = pq.ParquetWriter(folder / f"{name}.parquet", schema)

    def write(self, columns: dict[str, pa.Array]) -> None:
        table = pa.table(columns, schema=self.schema)
        self.rows += table.num_rows
        self._writer.write_table(table, row_group_size=250_000)

    def __enter__(self) -> TableFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.close()


def write_spill(file: TableFile, spill: Spill, columns: Callable[[np.ndarray], dict[str, pa.Array]], task: Task) -> int:
    """Writes all records of a spill into a table's file, by a function from records to columns; returns its rows."""
    with file:
        for records in spill.buckets():
            file.write(columns(records))
            task.advance(len(records), f"writing {file.name}")
        return file.rows


# --- columns -----------------------------------------------------------------------------------------------------------


def local_time_text(start_ms: int, seconds: np.ndarray) -> pa.Array:
    """'2016-02-01 09:30:00' in Asia/Shanghai for seconds after the start, int [n]."""
    day, second = np.divmod(np.asarray(seconds, np.int64), DAY)
    first = int(day.min(initial=0))
    text = np.empty((len(day), 19), np.uint8)
    text[:, :11] = _day_texts(start_ms, first, int(day.max(initial=0)))[day - first]
    text[:, 11:] = _second_texts()[second]
    ends = np.arange(0, 19 * (len(day) + 1), 19, dtype=np.int32)
    return pa.StringArray.from_buffers(len(day), pa.py_buffer(ends), pa.py_buffer(text))


def _day_texts(start_ms: int, first: int, last: int) -> np.ndarray:
    start = np.datetime64(start_ms + _UTC8_MS, "ms").astype("datetime64[D]")
    days = np.datetime_as_string(start + np.arange(first, last + 1))
    return np.frombuffer("".join(f"{day} " for day in days).encode(), np.uint8).reshape(-1, 11)


@cache
def _second_texts() -> np.ndarray:
    seconds = np.datetime_as_string(np.datetime64(0, "s") + np.arange(DAY))
    return np.frombuffer("".join(text[11:] for text in seconds).encode(), np.uint8).reshape(-1, 8)


def milliseconds(start_ms: int, seconds: np.ndarray) -> np.ndarray:
    """Epoch milliseconds int64 [n] of seconds after the start of the period."""
    return start_ms + 1000 * seconds.astype(np.int64)


def instants(start_ms: int, seconds: np.ndarray) -> pa.Array:
    """The same as timestamps without a zone, in UTC."""
    return pa.array(1000 * milliseconds(start_ms, seconds)).view(TIME)


def ids(numbers: np.ndarray, first: int) -> pa.Array:
    """Numbers counted from `first`, as texts."""
    return pa.array(numbers.astype(np.int64) + first).cast(pa.string())


def texts(of: tuple[str, ...], codes: np.ndarray) -> pa.Array:
    """The texts that codes stand for."""
    return pa.array(of, pa.string()).take(pa.array(codes))


def joined(left: pa.Array, right: pa.Array) -> pa.Array:
    """'left_right'."""
    return pc.binary_join_element_wise(left, right, "_")
