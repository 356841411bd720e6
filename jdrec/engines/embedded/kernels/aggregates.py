"""The aggregates over one slice. Each writes a status word (0: NULL) and its values."""

# mypy: ignore-errors
# (numba types this module)

from __future__ import annotations

import numpy as np
from numba import types

from jdrec.engines.embedded.kernels import words as w
from jdrec.engines.embedded.kernels.cells import float_key, is_nan, is_valid, key_of, number, rank_of, tally_key
from jdrec.engines.embedded.kernels.tallies import counts_of, keys_of, slot_of, used_of
from jdrec.engines.embedded.kernels.words import kernel, small
from jdrec.engines.embedded.layout import BIG_BLOCK, BLOCK
from jdrec.engines.embedded.memory import f32, i64, put, u8

LARGEST_FLOAT32, LARGEST_FLOAT64 = float(np.finfo(np.float32).max), float(np.finfo(np.float64).max)


@small
def give(out, value):
    """Writes a value."""
    put(out, 0, 1)
    put(out, 1, value)


@small
def give_null(out):
    """Writes NULL."""
    put(out, 0, 0)
    put(out, 1, 0)


@kernel
def distinct_count(tally, state, zero, out):
    """NULL is counted as the type's zero value, whose key is `zero`; each NaN is a value of its own."""
    result = i64(state, w.X_DISTINCT) + i64(state, w.X_NANS)
    if i64(state, w.X_NULLS) > 0 and i64(counts_of(tally, state), slot_of(tally, state, zero)) <= 0:
        result += 1
    give(out, result)


@kernel
def count_same(tally, state, newest, row, out):
    """How many values equal the frame's newest; none do when that is NULL."""
    result = types.int64(0)
    if is_valid(newest, row):
        result = max(i64(counts_of(tally, state), slot_of(tally, state, tally_key(newest, row))), 0)
    give(out, result)


@kernel
def top1_ratio(state, out):
    """The share of the most frequent value among those that are not NULL; 0.0 of none."""
    values = i64(state, w.X_VALUES)
    give(out, float_key(0.0 if values == 0 else i64(state, w.X_TOP) / values))


@kernel
def topn_frequency(tally, state, column, n, best, out):
    """The n most frequent keys, ties by smaller key. Status: how many there are, or w.NOTHING for a window without rows.

    best: memory for n counts.
    """
    if i64(state, w.X_VALUES) + i64(state, w.X_NULLS) == 0:
        put(out, 0, w.NOTHING)
        return
    keys, counts, used = keys_of(tally, state), counts_of(tally, state), used_of(tally, state)
    found = types.int64(0)
    for index in range(i64(state, w.X_USED)):
        slot = i64(used, index)
        count = i64(counts, slot)
        if count <= 0 or (found == n and count < i64(best, n - 1)):
            continue
        key = i64(keys, slot)
        rank = rank_of(column, key)
        place = found
        while place > 0:
            other = i64(best, place - 1)
            if count < other or (count == other and rank > rank_of(column, i64(out, place))):
                break
            if place < n:
                put(best, place, other)
                put(out, place + 1, i64(out, place))
            place -= 1
        if place < n:
            put(best, place, count)
            put(out, place + 1, key)
            found = min(found + 1, n)
    put(out, 0, found)


@small
def passes(condition, match, row, newest, newest_row):
    """Whether a row satisfies the condition column and equals the frame's newest row in the match column; NULL does neither."""
    if condition != 0 and (not is_valid(condition, row) or u8(i64(condition, w.C_DATA), row) == 0):
        return False
    if match != 0:
        if not is_valid(match, row) or not is_valid(newest, newest_row):
            return False
        return tally_key(match, row) == tally_key(newest, newest_row)
    return True


@small
def offset_of(columns, column):
    """Address of a column's words, 0 for none."""
    return types.int64(0) if column < 0 else columns + 8 * w.C_WIDTH * column


@small
def between(running, low, high):
    """What rows [low, high) add up to, from a running sum."""
    return i64(running, high) - i64(running, low)


@kernel
def count(aggregate, columns, current, row, low, high, has_current, out):
    """Rows that are not NULL in the column (any row for `*`) and satisfy the condition."""
    column, condition, match = i64(aggregate, w.A_COLUMN), i64(aggregate, w.A_CONDITION), i64(aggregate, w.A_MATCH)
    result, none = types.int64(0), types.int64(0)
    # x = at(x, 0) compares with the frame's newest row: the current one, if the frame has it.
    newest, newest_row = offset_of(columns, match), high - 1
    if has_current:
        newest = offset_of(current, match)
        newest_row = row * i64(newest, w.C_STEP) if match >= 0 else row
        own = offset_of(current, column)
        seen = column < 0 or is_valid(own, row * i64(own, w.C_STEP))
        own_condition = offset_of(current, condition)
        own_row = row * i64(own_condition, w.C_STEP) if condition >= 0 else row
        if seen and passes(own_condition, none, own_row, none, none) and (match < 0 or is_valid(newest, newest_row)):
            result += 1
    if column < 0 and condition < 0 and match < 0:
        give(out, result + high - low)
        return
    if i64(aggregate, w.A_HELP) != 0:
        give(out, result + between(i64(i64(aggregate, w.A_HELP), w.H_COUNTS), low, high))
        return
    values, where, same = offset_of(columns, column), offset_of(columns, condition), offset_of(columns, match)
    for index in range(low, high):
        if (column < 0 or is_valid(values, index)) and passes(where, same, index, newest, newest_row):
            result += 1
    give(out, result)


@kernel
def sum_integers(column, own, own_row, low, high, has_current, out):
    """Wraps around as int64; narrower types are cut to their width afterwards, which gives the same."""
    result, found = types.int64(0), has_current and is_valid(own, own_row)
    if found:
        result = key_of(own, own_row)
    for index in range(high - 1, low - 1, -1):
        if is_valid(column, index):
            result += key_of(column, index)
            found = True
    if found:
        give(out, result)
    else:
        give_null(out)


@kernel
def sum_by_help(help_, own, own_row, low, high, has_current, mean, out):
    """The sum of integers, or their mean, from running sums."""
    result, values = between(i64(help_, w.H_SUMS), low, high), between(i64(help_, w.H_COUNTS), low, high)
    if has_current and is_valid(own, own_row):
        result += key_of(own, own_row)
        values += 1
    if values == 0:
        give_null(out)
    elif mean:
        give(out, float_key(types.float64(result) / values))
    else:
        give(out, result)


@kernel
def sum_singles(column, own, own_row, low, high, has_current, out):
    """Adds up in single precision, as OpenMLDB does for float columns; it begins with 0, so that -0 alone gives 0."""
    result, found = np.float32(0), has_current and is_valid(own, own_row)
    if found:
        result = np.float32(result + f32(i64(own, w.C_DATA), own_row))
    for index in range(high - 1, low - 1, -1):
        if is_valid(column, index):
            result = np.float32(result + f32(i64(column, w.C_DATA), index))
            found = True
    if found:
        give(out, float_key(types.float64(result)))
    else:
        give_null(out)


@kernel
def sum_doubles(column, own, own_row, low, high, has_current, mean, out):
    """Adds up in double precision, from 0 on; `mean` divides by the number of values."""
    result, values = 0.0, types.int64(0)
    if has_current and is_valid(own, own_row):
        result += number(own, own_row)
        values += 1
    for index in range(high - 1, low - 1, -1):
        if is_valid(column, index):
            result += number(column, index)
            values += 1
    if values == 0:
        give_null(out)
    else:
        give(out, float_key(result / values if mean else result))


@kernel
def extreme(column, own, own_row, low, high, has_current, largest, first, help_, out):
    """The smallest or largest key.

    NaN is never it, and of nothing but NaN it is the finite number that any other would beat; but where the search starts with the `first`
    value instead of that number, as the functions with a condition do, a NaN that comes first stays.
    """
    seen, found, stays = has_current and is_valid(own, own_row), False, False
    best, best_rank, nan = types.int64(0), types.int64(0), types.int64(0)
    if seen:
        best = nan = key_of(own, own_row)
        stays = is_nan(own, best)
        found = not stays
        best_rank = rank_of(own, best) if found else best_rank
    index = high - 1
    while index >= low:
        # Whole blocks are as good as their rows, but for a NaN that may come first.
        if help_ != 0 and (seen or not first) and (index + 1) % BLOCK == 0 and index + 1 - BLOCK >= low:
            size, block = types.int64(BLOCK), i64(help_, w.H_BLOCKS) + 16 * (index // BLOCK)
            if (index + 1) % BIG_BLOCK == 0 and index + 1 - BIG_BLOCK >= low:
                size, block = types.int64(BIG_BLOCK), i64(help_, w.H_BIG_BLOCKS) + 16 * (index // BIG_BLOCK)
            if i64(block, 0) == w.STATE_NUMBER:
                key = i64(block, 1)
                if not found or (key > best_rank if largest else key < best_rank):
                    best, best_rank, found = key, key, True
            seen = seen or i64(block, 0) != 0
            index -= size
            continue
        if is_valid(column, index):
            key = key_of(column, index)
            if is_nan(column, key):
                if not seen:
                    stays, nan = True, key
            else:
                rank = rank_of(column, key)
                if not found or (rank > best_rank if largest else rank < best_rank):
                    best, best_rank, found = key, rank, True
            seen = True
        index -= 1
    if stays and first:
        give(out, nan)
    elif found:
        give(out, best)
    elif seen:
        most = LARGEST_FLOAT32 if i64(column, w.C_KIND) == w.K_FLOAT32 else LARGEST_FLOAT64
        give(out, float_key(-most if largest else most))
    else:
        give_null(out)


@small
def give_cell(column, row, out):
    """Writes a cell."""
    if is_valid(column, row):
        give(out, key_of(column, row))
    else:
        give_null(out)


@kernel
def at(column, own, own_row, slice_, n, out):
    """The value n rows back, whatever the frame; 0 is the current row's own."""
    place = i64(slice_, w.S_BASE_HIGH) - n
    if n == 0:
        give_cell(own, own_row, out)
    elif n > 0 and place >= i64(slice_, w.S_BASE_LOW):
        give_cell(column, place, out)
    else:
        give_null(out)


@kernel
def frame_at(column, own, own_row, low, high, has_current, n, out):
    """The n-th row of the frame, its newest being 0."""
    place = high - n if has_current else high - 1 - n
    if has_current and n == 0:
        give_cell(own, own_row, out)
    elif n >= 0 and place >= low:
        give_cell(column, place, out)
    else:
        give_null(out)


@kernel
def first_value(column, own, own_row, low, high, has_current, out):
    """The oldest row's value, NULL or not."""
    if low < high:
        give_cell(column, low, out)
    elif has_current:
        give_cell(own, own_row, out)
    else:
        give_null(out)
