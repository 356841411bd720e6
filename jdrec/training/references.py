"""What is done for each reference of a sample to an id of its row group."""

from __future__ import annotations

import numba

_BLOCK = 512  # rows that are written column by column: they stay in the processor's second cache


@numba.njit(cache=True, nogil=True)
def tally(codes, kept, counts):  # type: ignore[no-untyped-def]
    """counts[c] += how often c is among `codes`, int32 [n], where `kept` is True: bool [n], or [0] for everywhere."""
    for i in range(codes.size):
        counts[codes[i]] += kept[i] if kept.size else True


@numba.njit(cache=True, nogil=True)
def gather(codes, starts, table, rows):  # type: ignore[no-untyped-def]
    """rows[i, c] = table[starts[c] + codes[c, i]], for int32 codes [columns, n]; a few rows at a time, which stay in the processor's first cache."""
    for begin in range(0, rows.shape[0], _BLOCK):
        end = min(begin + _BLOCK, rows.shape[0])
        for c in range(rows.shape[1]):
            start = starts[c]
            for i in range(begin, end):
                rows[i, c] = table[start + codes[c, i]]
