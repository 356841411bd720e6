"""How often each value is in a window, kept while the window slides."""

# mypy: ignore-errors
# (numba types this module)

from __future__ import annotations

from jdrec.engines.embedded.kernels import words as w
from jdrec.engines.embedded.kernels.cells import is_nan, is_valid, tally_key
from jdrec.engines.embedded.kernels.words import bump, kernel, small
from jdrec.engines.embedded.layout import UNUSED
from jdrec.engines.embedded.memory import i64, put


@small
def keys_of(tally, state):
    """Address of the slots' keys."""
    return state + 8 * w.X_WIDTH


@small
def counts_of(tally, state):
    """Address of the slots' counts."""
    return state + 8 * (w.X_WIDTH + i64(tally, w.T_CAPACITY))


@small
def used_of(tally, state):
    """Address of the numbers of the slots in use."""
    return state + 8 * (w.X_WIDTH + 2 * i64(tally, w.T_CAPACITY))


@small
def frequencies_of(tally, state):
    """How many values have each count."""
    return state + 8 * (w.X_WIDTH + 3 * i64(tally, w.T_CAPACITY))


@small
def slot_of(tally, state, key):
    """The slot that holds `key`, or the free one where it belongs."""
    mask = i64(tally, w.T_CAPACITY) - 1
    keys, counts = keys_of(tally, state), counts_of(tally, state)
    mixed = key * -7046029254386353131
    slot = (mixed ^ (mixed >> 32)) & mask
    while i64(counts, slot) != UNUSED and i64(keys, slot) != key:
        slot = (slot + 1) & mask
    return slot


@kernel
def tally_add(tally, state, column, row):
    """Counts a row in."""
    if not is_valid(column, row):
        bump(state, w.X_NULLS, 1)
        return
    key = tally_key(column, row)
    if is_nan(column, key):
        bump(state, w.X_NANS, 1)
        bump(state, w.X_VALUES, 1)
        return
    slot = slot_of(tally, state, key)
    counts, frequencies = counts_of(tally, state), frequencies_of(tally, state)
    count = i64(counts, slot)
    if count == UNUSED:
        put(keys_of(tally, state), slot, key)
        put(used_of(tally, state), i64(state, w.X_USED), slot)
        bump(state, w.X_USED, 1)
        count = 0
    if count == 0:
        bump(state, w.X_DISTINCT, 1)
    else:
        bump(frequencies, count, -1)
    put(counts, slot, count + 1)
    bump(frequencies, count + 1, 1)
    put(state, w.X_TOP, max(i64(state, w.X_TOP), count + 1))
    bump(state, w.X_VALUES, 1)


@kernel
def tally_remove(tally, state, column, row):
    """Counts a row out that was counted in."""
    if not is_valid(column, row):
        bump(state, w.X_NULLS, -1)
        return
    key = tally_key(column, row)
    if is_nan(column, key):
        bump(state, w.X_NANS, -1)
        bump(state, w.X_VALUES, -1)
        return
    slot = slot_of(tally, state, key)
    counts, frequencies = counts_of(tally, state), frequencies_of(tally, state)
    count = i64(counts, slot)
    put(counts, slot, count - 1)
    bump(frequencies, count, -1)
    if count == 1:
        bump(state, w.X_DISTINCT, -1)
    else:
        bump(frequencies, count - 1, 1)
    if count == i64(state, w.X_TOP) and i64(frequencies, count) == 0:
        put(state, w.X_TOP, count - 1)
    bump(state, w.X_VALUES, -1)


@kernel
def tally_clear(tally, state):
    """Forgets all rows; the work goes with the slots in use."""
    counts, used, frequencies = counts_of(tally, state), used_of(tally, state), frequencies_of(tally, state)
    for index in range(i64(state, w.X_USED)):
        slot = i64(used, index)
        put(frequencies, i64(counts, slot), 0)
        put(counts, slot, UNUSED)
    for word in range(w.X_USED, w.X_WIDTH):
        put(state, word, 0)


@kernel
def tally_slice(tally, state, column, group, low, high):
    """Counts the values of rows [low, high): by the difference to the last slice where that is less work."""
    last_low, last_high = i64(state, w.X_LOW), i64(state, w.X_HIGH)
    slides = i64(state, w.X_GROUP) == group and last_low <= low <= last_high <= high
    if slides and (low - last_low) + (high - last_high) < high - low and i64(state, w.X_USED) < i64(tally, w.T_LIMIT):
        for row in range(last_low, low):
            tally_remove(tally, state, column, row)
        for row in range(last_high, high):
            tally_add(tally, state, column, row)
    else:
        tally_clear(tally, state)
        for row in range(low, high):
            tally_add(tally, state, column, row)
    put(state, w.X_GROUP, group)
    put(state, w.X_LOW, low)
    put(state, w.X_HIGH, high)
