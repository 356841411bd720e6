"""Where the window of a row lies: a slice [low, high) of its store."""

# mypy: ignore-errors
# (numba types this module)

from __future__ import annotations

from numba import types

from jdrec.engines.embedded.kernels import words as w
from jdrec.engines.embedded.kernels.words import kernel, small
from jdrec.engines.embedded.memory import i32, i64, put


@kernel
def rows_before(times, low, high, time):
    """First position in [low, high) whose time is not before `time`."""
    while low < high:
        middle = (low + high) >> 1
        if i64(times, middle) < time:
            low = middle + 1
        else:
            high = middle
    return low


@small
def rows_until(times, low, high, time):
    """First position in [low, high) whose time is after `time`."""
    return rows_before(times, low, high, time + 1)


@kernel
def find_slice(program, row, window, result):
    """Where the window of a row lies in its store."""
    group = types.int64(i32(i64(program, w.P_GROUP), row))
    if group < 0:
        for word in range(w.S_WIDTH):
            put(result, word, 0)
        return
    times, time = i64(program, w.P_TIMES), i64(i64(program, w.P_TIME), row)
    begin, end = i64(i64(program, w.P_BEGINS), group), i64(i64(program, w.P_ENDS), group)
    place = i64(program, w.P_PLACE)
    # The rows that had come before this one: those above it in a store that holds it, else all up to its time.
    base = rows_until(times, begin, end, time) if place == 0 else i64(place, row)
    if i64(window, w.W_BEFORE) != 0:
        base = rows_before(times, begin, base, time)
    back, until = i64(window, w.W_START), i64(window, w.W_END)
    if i64(window, w.W_IS_RANGE) != 0:
        high = base
        if until > 0:
            high = rows_until(times, begin, base, max(time - until, 0))
        first = begin
        most = i64(window, w.W_MAX_SIZE)
        if most > 0:
            first = max(begin, high - (most - i64(window, w.W_HAS_CURRENT)))
        low = rows_before(times, first, high, max(time - back, 0))
    else:
        low = max(begin, base - max(back, 0))
        high = max(low, base - max(until - 1, 0))
    put(result, w.S_LOW, low)
    put(result, w.S_HIGH, high)
    put(result, w.S_BASE_LOW, begin)
    put(result, w.S_BASE_HIGH, base)
