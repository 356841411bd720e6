"""Arrow arrays as NumPy views and back, over their buffers.

Arrow's own conversions import pandas wherever it is installed, which costs a short command a third of its time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


def one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as one contiguous array, its dictionary (if it has one) resolved."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        if column.num_chunks == 1:
            column = column.chunk(0)
        else:
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, column.type)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def null_mask(array: pa.Array) -> np.ndarray | None:
    """bool [n], True where NULL; None where there is none."""
    import pyarrow as pa

    if array.null_count == 0:
        return None
    if pa.types.is_null(array.type):
        return np.ones(len(array), bool)
    return ~_bits(array.buffers()[0], array.offset, len(array))


def numbers(array: pa.Array) -> np.ndarray:
    """The values [n] of a bool, integer, float, date32 or timestamp array; anything where NULL. Dates and times come as integers."""
    import pyarrow as pa

    data = array.buffers()[1]
    if pa.types.is_boolean(array.type):
        return _bits(data, array.offset, len(array))
    if pa.types.is_floating(array.type):
        dtype = np.dtype(f"f{array.type.bit_width // 8}")
    else:
        dtype = np.dtype(f"{'u' if pa.types.is_unsigned_integer(array.type) else 'i'}{array.type.bit_width // 8}")
    if data is None or not len(array):
        return np.empty(0, dtype)
    return np.frombuffer(data, dtype, len(array), array.offset * dtype.itemsize)


def text_buffers(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """(bytes uint8, offsets int32 or int64 [n + 1]) of a string or binary array."""
    import pyarrow as pa

    wide = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    dtype = np.dtype(np.int64 if wide else np.int32)
    _, offsets, data = array.buffers()
    if not len(array):
        return np.zeros(1, np.uint8), np.zeros(1, dtype)
    text = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    return text, np.frombuffer(offsets, dtype, len(array) + 1, array.offset * dtype.itemsize)


def from_numbers(values: np.ndarray, nulls: np.ndarray | None = None) -> pa.Array:
    """An Arrow array over an int64, int32, float32, float64 or uint8 array, without copying; NULL where `nulls` is True."""
    import pyarrow as pa

    types = {"int64": pa.int64(), "int32": pa.int32(), "float32": pa.float32(), "float64": pa.float64(), "uint8": pa.uint8()}
    values = np.ascontiguousarray(values)
    validity = None if nulls is None else pa.py_buffer(np.packbits(~nulls, bitorder="little"))
    return pa.Array.from_buffers(types[values.dtype.name], len(values), [validity, pa.py_buffer(values)])


def from_mask(mask: np.ndarray) -> pa.Array:
    """An Arrow bool array of a NumPy one."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.bool_(), len(mask), [None, pa.py_buffer(np.packbits(mask, bitorder="little"))])


def _bits(buffer: pa.Buffer, offset: int, count: int) -> np.ndarray:
    first = offset // 8
    packed = np.frombuffer(buffer, np.uint8, (offset + count + 7) // 8 - first, first)
    return np.unpackbits(packed, bitorder="little", count=offset - first * 8 + count)[offset - first * 8 :].astype(bool)
