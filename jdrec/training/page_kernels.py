"""Compiled decoding of what lies in a Parquet column chunk: headers of its pages, and references to its dictionary.

Source: the Parquet format's specification (apache/parquet-format: parquet.thrift, Encodings.md) and Thrift's compact protocol. Every read is checked
against the end of the data.
"""

from __future__ import annotations

import numba
import numpy as np

from jdrec.preprocess.kernels import word64

KIND, PACKED, UNPACKED, VALUES, ENCODING, START = range(6)  # columns of what `page_headers` writes
_DEEPEST = 8  # structs inside one another; a page header has three
_SCALARS = {"true": 1, "false": 2, "byte": 3, "i16": 4, "i32": 5, "i64": 6, "double": 7, "binary": 8, "struct": 12}
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _STRUCT = _SCALARS.values()
_DATA_HEADER, _DICTIONARY_HEADER = 5, 7  # fields of PageHeader; both have the number of values and the encoding first


@numba.njit(cache=True, nogil=True)
def page_headers(data, pages):  # type: ignore[no-untyped-def]
    """What the pages are that lie one after the other in a column chunk.

    Args:
        data: uint8 [bytes]. pages: int64 [most, 6], written: kind, bytes as they lie, bytes when they are unpacked, values, encoding, first byte.

    Returns:
        How many pages there are; -1: more than there is room for, or no such headers.
    """
    at, count = np.int64(0), 0
    field = np.zeros(_DEEPEST, np.int64)
    while at < data.size:
        if count == pages.shape[0]:
            return -1
        page = pages[count]
        page[:] = 0
        depth, field[0] = 0, 0
        while depth >= 0:
            if at >= data.size:
                return -1
            byte = np.int64(data[at])
            at += 1
            if byte == 0:
                depth -= 1
                continue
            kind = byte & 15
            if byte >> 4:
                field[depth] += byte >> 4
            else:
                value, at = _varint(data, at)
                field[depth] = _signed(value)
            if kind == _STRUCT:
                depth += 1
                if depth == _DEEPEST:
                    return -1
                field[depth] = 0
            elif _I16 <= kind <= _I64:
                value, at = _varint(data, at)
                if depth == 0 and 1 <= field[0] <= 3:
                    page[(KIND, UNPACKED, PACKED)[field[0] - 1]] = _signed(value)
                elif depth == 1 and (field[0] == _DATA_HEADER or field[0] == _DICTIONARY_HEADER) and 1 <= field[1] <= 2:
                    page[(VALUES, ENCODING)[field[1] - 1]] = _signed(value)
            elif kind == _BINARY:
                value, at = _varint(data, at)
                if value > data.size:
                    return -1
                at += np.int64(value)
            elif kind == _DOUBLE:
                at += 8
            elif kind == _BYTE:
                at += 1
            elif kind != _TRUE and kind != _FALSE:
                return -1
        page[START] = at
        if page[PACKED] < 0 or page[UNPACKED] < 0 or page[VALUES] < 0 or page[PACKED] > data.size - at:
            return -1
        at += page[PACKED]
        count += 1
    return count


@numba.njit(cache=True, nogil=True)
def page_references(data, nullable, distinct, out):  # type: ignore[no-untyped-def]
    """The references of a data page (version 1, RLE_DICTIONARY) to its chunk's dictionary.

    Args:
        data: uint8 [bytes], unpacked. nullable: whether the page says which values are NULL. distinct: values of the dictionary. out: int32 [values], written.

    Returns:
        Whether they could be read: not where a value is NULL, or a reference leads out of the dictionary.
    """
    at = np.int64(0)
    if nullable:
        if data.size < 4:
            return False
        size = np.int64(data[0]) | np.int64(data[1]) << 8 | np.int64(data[2]) << 16 | np.int64(data[3]) << 24
        at = 4 + size
        if at > data.size or not _hybrid(data[:at], 4, 1, 2, out):
            return False
        for i in range(out.size):
            if out[i] == 0:
                return False
    return at < data.size and _hybrid(data, at + 1, np.int64(data[at]), distinct, out)


@numba.njit(cache=True, nogil=True)
def _hybrid(data, at, width, limit, out):  # type: ignore[no-untyped-def]
    """Runs of repeated and of bit-packed values below `limit`, `width` bits each, from `at` on."""
    if width > 31:
        return False
    done, mask = np.int64(0), (np.uint64(1) << np.uint64(width)) - np.uint64(1)
    while done < out.size:
        if at >= data.size:
            return False
        header, at = _varint(data, at)
        rest = np.uint64(out.size - done)
        if header & np.uint64(1):
            groups = header >> np.uint64(1)  # of eight values, the last of them perhaps cut off
            size = np.int64(min(groups * np.uint64(8), rest) if groups < rest else rest)
            if (size * width + 7) // 8 > data.size - at:
                return False
            fast = max(0, min(size // 8, (data.size - at - 8) // width)) if width else 0  # groups from which no load leads out of the data
            _unpack(data, at, width, mask, fast, out[done : done + size])
            for i in range(8 * fast, size):
                value = np.uint64(0)
                for k in range(width):
                    place = i * width + k
                    value |= ((np.uint64(data[at + (place >> 3)]) >> np.uint64(place & 7)) & np.uint64(1)) << np.uint64(k)
                out[done + i] = value
            at += (size + 7) // 8 * width
        else:
            size = np.int64(min(header >> np.uint64(1), rest))
            value, octets = np.uint64(0), (width + 7) // 8
            if size == 0 or octets > data.size - at:
                return False
            for k in range(octets):
                value |= np.uint64(data[at + k]) << np.uint64(8 * k)
            if value > mask:  # in 32 bits it might be negative
                return False
            out[done : done + size] = value
            at += octets
        done += size
    greatest = np.int32(0)
    for i in range(out.size):
        greatest = max(greatest, out[i])
    return greatest < limit


@numba.njit(cache=True, nogil=True)
def _unpack(data, at, width, mask, groups, out):  # type: ignore[no-untyped-def]
    """Eight values a group; a load of eight bytes has all of them, or four, or two."""
    step = np.uint64(width)
    if width <= 8:
        for group in range(groups):
            word = word64(data, at + group * width)
            for k in range(8):
                out[8 * group + k] = (word >> (step * np.uint64(k))) & mask
    elif width <= 16:
        for half in range(2 * groups):
            bit = 4 * half * width
            word = word64(data, at + (bit >> 3)) >> np.uint64(bit & 7)
            for k in range(4):
                out[4 * half + k] = (word >> (step * np.uint64(k))) & mask
    else:
        for i in range(8 * groups):
            bit = i * width
            out[i] = (word64(data, at + (bit >> 3)) >> np.uint64(bit & 7)) & mask


@numba.njit(cache=True, nogil=True)
def _varint(data, at):  # type: ignore[no-untyped-def]
    """(an unsigned number of seven bits a byte, where it ends); all bits where the data end before."""
    value, shift = np.uint64(0), np.uint64(0)
    while at < data.size and shift < np.uint64(64):
        byte = np.uint64(data[at])
        at += 1
        value |= (byte & np.uint64(127)) << shift
        if byte < np.uint64(128):
            return value, at
        shift += np.uint64(7)
    return np.uint64(0xFFFFFFFFFFFFFFFF), at


@numba.njit(cache=True, nogil=True, inline="always")
def _signed(value):  # type: ignore[no-untyped-def]
    """Of a number in zigzag order."""
    return np.int64(value >> np.uint64(1)) ^ -np.int64(value & np.uint64(1))
