"""Arrow arrays to NumPy and back, and Arrow's compute functions, at no start-up cost.

`pa.array`, `pa.scalar` and `pyarrow.compute` import pandas or wrap hundreds of functions first, which takes longer than many a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow._compute as _compute

from jdrec.features.types import SqlType

STORAGE: dict[SqlType, Any] = {
    SqlType.BOOL: np.uint8,
    SqlType.SMALLINT: np.int16,
    SqlType.INT: np.int32,
    SqlType.BIGINT: np.int64,
    SqlType.FLOAT: np.float32,
    SqlType.DOUBLE: np.float64,
    SqlType.DATE: np.int32,  # days
    SqlType.TIMESTAMP: np.int64,  # milliseconds, UTC
}
"""What NumPy keeps a column in; strings are kept by Arrow."""


TYPES = {type_: type_.arrow for type_ in SqlType}
"""Arrow's type of each SQL type."""


def call(function: str, *args: Any, options: Any = None) -> Any:
    """An Arrow compute function by name."""
    return _compute.call_function(function, list(args), options)


def one_chunk(array: Any) -> Any:
    """A plain array of a chunked one; dictionaries become one."""
    if not isinstance(array, pa.ChunkedArray):
        return array
    if pa.types.is_dictionary(array.type) and array.num_chunks > 1:
        array = array.unify_dictionaries()
    if array.num_chunks == 1:
        return array.chunk(0)
    return array.combine_chunks() if array.num_chunks else empty(array.type)


def empty(type_: pa.DataType) -> Any:
    """No rows of a type."""
    return pa.schema([pa.field("x", type_)]).empty_table().column(0).combine_chunks()


def valid_of(array: Any) -> np.ndarray | None:
    """uint8 [rows], 0 where NULL; None where nothing is."""
    if array.null_count == 0:
        return None
    bitmap = array.buffers()[0]
    if bitmap is None:  # a column of the null type
        return np.zeros(len(array), np.uint8)
    return _unpack(bitmap, array.offset, len(array))


def values_of(array: Any, type_: SqlType) -> np.ndarray:
    """The values of an array of `type_.arrow` as its storage type; anything where NULL. Shares memory if possible."""
    data = array.buffers()[1]
    if type_ is SqlType.BOOL:
        return _unpack(data, array.offset, len(array)) if data is not None else np.zeros(len(array), np.uint8)
    dtype = np.dtype(STORAGE[type_])
    if data is None:
        return np.zeros(len(array), dtype)
    return np.frombuffer(data, dtype, len(array), array.offset * dtype.itemsize)


def array_of(values: np.ndarray, valid: np.ndarray | None, type_: SqlType) -> Any:
    """An Arrow array of `type_.arrow` from storage values and validity."""
    data = np.packbits(values.astype(bool), bitorder="little") if type_ is SqlType.BOOL else np.ascontiguousarray(values, STORAGE[type_])
    return pa.Array.from_buffers(TYPES[type_], len(values), [_bitmap(valid), pa.py_buffer(data)])


def codes_array(codes: np.ndarray) -> Any:
    """int32 Arrow indices; a negative code is NULL."""
    codes = np.ascontiguousarray(codes, np.int32)
    valid = codes >= 0
    return pa.Array.from_buffers(pa.int32(), len(codes), [None if valid.all() else _bitmap(valid), pa.py_buffer(codes)])


def take(array: Any, rows: np.ndarray) -> Any:
    """The rows at these positions (int32 or int64); a negative position gives NULL."""
    return call("take", array, codes_array(rows), options=_compute.TakeOptions(boundscheck=False))


def decoded(array: Any) -> Any:
    """The values of a dictionary array."""
    return call("take", array.dictionary, array.indices, options=_compute.TakeOptions(boundscheck=False))


def index_in(values: Any, known: Any) -> np.ndarray:
    """Position of each string among `known`, int32; -1 for strings it has not, and for NULL unless known has a NULL."""
    found = call("index_in", values, options=_compute.SetLookupOptions(value_set=known))
    result = np.frombuffer(found.buffers()[1], np.int32, len(found), found.offset * 4)
    valid = valid_of(found)
    return result if valid is None else np.where(valid != 0, result, np.int32(-1))


def sort_order(strings: Any) -> np.ndarray:
    """Positions of strings in ascending order of their bytes."""
    order = call("array_sort_indices", strings, options=_compute.ArraySortOptions("ascending"))
    return np.frombuffer(order.buffers()[1], np.uint64, len(order)).astype(np.int64)


def strings_of(texts: Sequence[str | None]) -> Any:
    """A string array of Python strings."""
    data = [b"" if text is None else text.encode() for text in texts]
    offsets = np.zeros(len(data) + 1, np.int64)
    np.cumsum([len(item) for item in data], out=offsets[1:])
    valid = np.array([text is not None for text in texts], np.uint8)
    if offsets[-1] > 2**31 - 1:
        raise OverflowError("more than 2 GiB of strings in one array")
    buffers = [None if valid.all() else _bitmap(valid), pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(b"".join(data))]
    return pa.Array.from_buffers(pa.string(), len(data), buffers)


def assume_zone(naive: Any, zone: str) -> Any:
    """Instants of wall-clock times in a zone; of a time that comes twice the earlier, of one that is skipped the moment before."""
    return call("assume_timezone", naive, options=_compute.AssumeTimezoneOptions(zone, ambiguous="earliest", nonexistent="earliest"))


def cast(array: Any, type_: pa.DataType) -> Any:
    """A cast that refuses to lose anything (pa.ArrowInvalid)."""
    return call("cast", array, options=_compute.CastOptions.safe(type_))


def _bitmap(valid: np.ndarray | None) -> pa.Buffer | None:
    return None if valid is None else pa.py_buffer(np.packbits(np.asarray(valid, bool), bitorder="little"))


def _unpack(bitmap: pa.Buffer, offset: int, length: int) -> np.ndarray:
    packed = np.frombuffer(bitmap, np.uint8)[offset // 8 : (offset + length + 7) // 8]
    return np.unpackbits(packed, bitorder="little")[offset % 8 : offset % 8 + length]
