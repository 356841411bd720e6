"""The compiled part of the engine: one small function an aggregate, and the row evaluator that interprets a plan.

Everything works on plain addresses and the int64 words of `layout`: no allocation, no exceptions, no Python objects, so that the
machine code stands alone and can be kept on disk (see `native`). Only a first start, or a change here, imports this module.

A window of one row is a slice [low, high) of its store plus, when the frame has it, the current row itself. Rows are walked
newest first: the current row, then high - 1 down to low; the order matters where floating-point values are added up.
"""

# mypy: ignore-errors
# (numba types this module)

from __future__ import annotations

import numpy as np
from numba import njit, types

from jdrec.engines.embedded.layout import EMPTY_WINDOW, UNUSED, Aggregate, Column, Function, Job, Kind, Program, Slice, State, Tally, Window
from jdrec.engines.embedded.memory import bits, f32, f64, i16, i32, i64, put, u8

# Plain integers: the compiler takes members of an IntEnum for objects of their own.
C_DATA, C_VALID, C_KIND, C_RANK, C_STEP, C_WIDTH = (int(member) for member in Column)
K_CODE, K_BOOL, K_INT16, K_INT32, K_INT64, K_FLOAT32, K_FLOAT64 = (int(member) for member in Kind)
(P_TIMES, P_BEGINS, P_ENDS, P_COLUMNS, P_CURRENT, P_GROUP, P_TIME, P_PLACE) = (int(member) for member in list(Program)[:8])
P_WINDOWS, P_WINDOW_COUNT = int(Program.WINDOWS), int(Program.WINDOW_COUNT)
P_TALLIES, P_TALLY_COUNT = int(Program.TALLIES), int(Program.TALLY_COUNT)
P_AGGREGATES, P_AGGREGATE_COUNT, P_OUT_WIDTH = int(Program.AGGREGATES), int(Program.AGGREGATE_COUNT), int(Program.OUT_WIDTH)
W_IS_RANGE, W_START, W_END, W_MAX_SIZE, W_HAS_CURRENT, W_BEFORE, W_WIDTH = (int(member) for member in Window)
S_LOW, S_HIGH, S_BASE_LOW, S_BASE_HIGH, S_WIDTH = (int(member) for member in Slice)
T_WINDOW, T_COLUMN, T_CAPACITY, T_LIMIT, T_OFFSET, T_WIDTH = (int(member) for member in Tally)
X_GROUP, X_LOW, X_HIGH, X_USED, X_DISTINCT, X_TOP, X_VALUES, X_NULLS, X_WIDTH = (int(member) for member in State)
(A_FUNCTION, A_WINDOW, A_COLUMN, A_N, A_CONDITION, A_MATCH, A_TALLY, A_OUT, A_WIDTH) = (int(member) for member in Aggregate)
F_COUNT, F_COUNT_SAME, F_DISTINCT_COUNT, F_TOPN, F_TOP1_RATIO = (int(member) for member in list(Function)[:5])
F_SUM, F_AVG, F_MIN, F_MAX, F_AT, F_FIRST_VALUE, F_FRAME_AT, F_FRAME = (int(member) for member in list(Function)[5:])
J_WIDTH = int(Job.WIDTH)
NOTHING = EMPTY_WINDOW

_OPTIONS = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_kernel = njit(**_OPTIONS)
_small = njit(forceinline=True, **_OPTIONS)


# --- cells -------------------------------------------------------------------------------------------------------------


@_small
def is_valid(column, row):
    if i64(column, C_KIND) == K_CODE:
        return i32(i64(column, C_DATA), row) >= 0
    valid = i64(column, C_VALID)
    return valid == 0 or u8(valid, row) != 0


@_small
def float_key(value):
    """An int64 that orders as the float64 does."""
    pattern = bits(value)
    return pattern ^ ((pattern >> 63) & 0x7FFFFFFFFFFFFFFF)


@_kernel
def key_of(column, row):
    """A cell as an int64 that is equal and ordered as the cell is."""
    kind, data = i64(column, C_KIND), i64(column, C_DATA)
    if kind == K_CODE:
        return types.int64(i32(data, row))
    if kind == K_INT32:
        return types.int64(i32(data, row))
    if kind == K_INT64:
        return i64(data, row)
    if kind == K_FLOAT32:
        return float_key(types.float64(f32(data, row)))
    if kind == K_FLOAT64:
        return float_key(f64(data, row))
    if kind == K_INT16:
        return types.int64(i16(data, row))
    return types.int64(u8(data, row))


@_small
def tally_key(column, row):
    """As `key_of`, with -0.0 equal to 0.0."""
    key = key_of(column, row)
    if key == -1 and i64(column, C_KIND) >= K_FLOAT32:
        return types.int64(0)
    return key


@_small
def rank_of(column, key):
    """What orders keys of this column: the key itself, or the rank of a code whose dictionary has grown."""
    rank = i64(column, C_RANK)
    return key if rank == 0 else i64(rank, key)


@_small
def number(column, row):
    """A float cell as float64."""
    if i64(column, C_KIND) == K_FLOAT32:
        return types.float64(f32(i64(column, C_DATA), row))
    if i64(column, C_KIND) == K_FLOAT64:
        return f64(i64(column, C_DATA), row)
    return types.float64(key_of(column, row))


# --- windows -----------------------------------------------------------------------------------------------------------


@_kernel
def rows_before(times, low, high, time):
    """First position in [low, high) whose time is not before `time`."""
    while low < high:
        middle = (low + high) >> 1
        if i64(times, middle) < time:
            low = middle + 1
        else:
            high = middle
    return low


@_small
def rows_until(times, low, high, time):
    """First position in [low, high) whose time is after `time`."""
    return rows_before(times, low, high, time + 1)


@_kernel
def find_slice(program, row, window, result):
    """Where the window of a row lies in its store."""
    group = types.int64(i32(i64(program, P_GROUP), row))
    if group < 0:
        for word in range(S_WIDTH):
            put(result, word, 0)
        return
    times, time = i64(program, P_TIMES), i64(i64(program, P_TIME), row)
    begin, end = i64(i64(program, P_BEGINS), group), i64(i64(program, P_ENDS), group)
    place = i64(program, P_PLACE)
    # The rows that had come before this one: those above it in a store that holds it, else all up to its time.
    base = rows_until(times, begin, end, time) if place == 0 else i64(place, row)
    if i64(window, W_BEFORE) != 0:
        base = rows_before(times, begin, base, time)
    back, until = i64(window, W_START), i64(window, W_END)
    if i64(window, W_IS_RANGE) != 0:
        high = base
        if until > 0:
            high = rows_until(times, begin, base, max(time - until, 0))
        first = begin
        most = i64(window, W_MAX_SIZE)
        if most > 0:
            first = max(begin, high - (most - i64(window, W_HAS_CURRENT)))
        low = rows_before(times, first, high, max(time - back, 0))
    else:
        low = max(begin, base - max(back, 0))
        high = max(low, base - max(until - 1, 0))
    put(result, S_LOW, low)
    put(result, S_HIGH, high)
    put(result, S_BASE_LOW, begin)
    put(result, S_BASE_HIGH, base)


# --- tallies: how often each value is in a window ------------------------------------------------------------------------


@_small
def keys_of(tally, state):
    return state + 8 * X_WIDTH


@_small
def counts_of(tally, state):
    return state + 8 * (X_WIDTH + i64(tally, T_CAPACITY))


@_small
def used_of(tally, state):
    return state + 8 * (X_WIDTH + 2 * i64(tally, T_CAPACITY))


@_small
def frequencies_of(tally, state):
    """How many values have each count."""
    return state + 8 * (X_WIDTH + 3 * i64(tally, T_CAPACITY))


@_small
def slot_of(tally, state, key):
    """The slot that holds `key`, or the free one where it belongs."""
    mask = i64(tally, T_CAPACITY) - 1
    keys, counts = keys_of(tally, state), counts_of(tally, state)
    mixed = key * -7046029254386353131
    slot = (mixed ^ (mixed >> 32)) & mask
    while i64(counts, slot) != UNUSED and i64(keys, slot) != key:
        slot = (slot + 1) & mask
    return slot


@njit("void(int64, int64, int64)", forceinline=True, **_OPTIONS)  # one version instead of one for each literal argument
def bump(words, index, by):
    put(words, index, i64(words, index) + by)


@_kernel
def tally_add(tally, state, column, row):
    if not is_valid(column, row):
        bump(state, X_NULLS, 1)
        return
    key = tally_key(column, row)
    slot = slot_of(tally, state, key)
    counts, frequencies = counts_of(tally, state), frequencies_of(tally, state)
    count = i64(counts, slot)
    if count == UNUSED:
        put(keys_of(tally, state), slot, key)
        put(used_of(tally, state), i64(state, X_USED), slot)
        bump(state, X_USED, 1)
        count = 0
    if count == 0:
        bump(state, X_DISTINCT, 1)
    else:
        bump(frequencies, count, -1)
    put(counts, slot, count + 1)
    bump(frequencies, count + 1, 1)
    put(state, X_TOP, max(i64(state, X_TOP), count + 1))
    bump(state, X_VALUES, 1)


@_kernel
def tally_remove(tally, state, column, row):
    if not is_valid(column, row):
        bump(state, X_NULLS, -1)
        return
    slot = slot_of(tally, state, tally_key(column, row))
    counts, frequencies = counts_of(tally, state), frequencies_of(tally, state)
    count = i64(counts, slot)
    put(counts, slot, count - 1)
    bump(frequencies, count, -1)
    if count == 1:
        bump(state, X_DISTINCT, -1)
    else:
        bump(frequencies, count - 1, 1)
    if count == i64(state, X_TOP) and i64(frequencies, count) == 0:
        put(state, X_TOP, count - 1)
    bump(state, X_VALUES, -1)


@_kernel
def tally_clear(tally, state):
    counts, used, frequencies = counts_of(tally, state), used_of(tally, state), frequencies_of(tally, state)
    for index in range(i64(state, X_USED)):
        slot = i64(used, index)
        put(frequencies, i64(counts, slot), 0)
        put(counts, slot, UNUSED)
    for word in range(X_USED, X_WIDTH):
        put(state, word, 0)


@_kernel
def tally_slice(tally, state, column, group, low, high):
    """Counts the values of rows [low, high): by the difference to the last slice where that is less work."""
    last_low, last_high = i64(state, X_LOW), i64(state, X_HIGH)
    slides = i64(state, X_GROUP) == group and last_low <= low <= last_high <= high
    if slides and (low - last_low) + (high - last_high) < high - low and i64(state, X_USED) < i64(tally, T_LIMIT):
        for row in range(last_low, low):
            tally_remove(tally, state, column, row)
        for row in range(last_high, high):
            tally_add(tally, state, column, row)
    else:
        tally_clear(tally, state)
        for row in range(low, high):
            tally_add(tally, state, column, row)
    put(state, X_GROUP, group)
    put(state, X_LOW, low)
    put(state, X_HIGH, high)


# --- aggregates: each writes a status word (0: NULL) and its values --------------------------------------------------------


@_small
def give(out, value):
    put(out, 0, 1)
    put(out, 1, value)


@_small
def give_null(out):
    put(out, 0, 0)
    put(out, 1, 0)


@_kernel
def distinct_count(tally, state, zero, out):
    """NULL is counted as the type's zero value, whose key is `zero`."""
    result = i64(state, X_DISTINCT)
    if i64(state, X_NULLS) > 0 and i64(counts_of(tally, state), slot_of(tally, state, zero)) <= 0:
        result += 1
    give(out, result)


@_kernel
def count_same(tally, state, newest, row, out):
    """How many values equal the frame's newest; none do when that is NULL."""
    result = types.int64(0)
    if is_valid(newest, row):
        result = max(i64(counts_of(tally, state), slot_of(tally, state, tally_key(newest, row))), 0)
    give(out, result)


@_kernel
def top1_ratio(state, out):
    values = i64(state, X_VALUES)
    give(out, float_key(0.0 if values == 0 else i64(state, X_TOP) / values))


@_kernel
def topn_frequency(tally, state, column, n, best, out):
    """The n most frequent keys, ties by smaller key. Status: how many there are, or NOTHING for a window without rows.

    best: memory for n counts.
    """
    if i64(state, X_VALUES) + i64(state, X_NULLS) == 0:
        put(out, 0, NOTHING)
        return
    keys, counts, used = keys_of(tally, state), counts_of(tally, state), used_of(tally, state)
    found = types.int64(0)
    for index in range(i64(state, X_USED)):
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


@_small
def passes(condition, match, row, newest, newest_row):
    """Whether a row satisfies the condition column and equals the frame's newest row in the match column; NULL does neither."""
    if condition != 0 and (not is_valid(condition, row) or u8(i64(condition, C_DATA), row) == 0):
        return False
    if match != 0:
        if not is_valid(match, row) or not is_valid(newest, newest_row):
            return False
        return tally_key(match, row) == tally_key(newest, newest_row)
    return True


@_small
def offset_of(columns, column):
    """Address of a column's words, 0 for none."""
    return types.int64(0) if column < 0 else columns + 8 * C_WIDTH * column


@_kernel
def count(aggregate, columns, current, row, low, high, has_current, out):
    """Rows that are not NULL in the column (any row for `*`) and satisfy the condition."""
    column, condition, match = i64(aggregate, A_COLUMN), i64(aggregate, A_CONDITION), i64(aggregate, A_MATCH)
    result, none = types.int64(0), types.int64(0)
    # x = at(x, 0) compares with the frame's newest row: the current one, if the frame has it.
    newest, newest_row = offset_of(columns, match), high - 1
    if has_current:
        newest = offset_of(current, match)
        newest_row = row * i64(newest, C_STEP) if match >= 0 else row
        own = offset_of(current, column)
        seen = column < 0 or is_valid(own, row * i64(own, C_STEP))
        own_condition = offset_of(current, condition)
        own_row = row * i64(own_condition, C_STEP) if condition >= 0 else row
        if seen and passes(own_condition, none, own_row, none, none) and (match < 0 or is_valid(newest, newest_row)):
            result += 1
    if column < 0 and condition < 0 and match < 0:
        give(out, result + high - low)
        return
    values, where, same = offset_of(columns, column), offset_of(columns, condition), offset_of(columns, match)
    for index in range(low, high):
        if (column < 0 or is_valid(values, index)) and passes(where, same, index, newest, newest_row):
            result += 1
    give(out, result)


@_kernel
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


@_kernel
def sum_singles(column, own, own_row, low, high, has_current, out):
    """Adds up in single precision, as OpenMLDB does for float columns."""
    result, found = np.float32(0), has_current and is_valid(own, own_row)
    if found:
        result = f32(i64(own, C_DATA), own_row)
    for index in range(high - 1, low - 1, -1):
        if is_valid(column, index):
            result = np.float32(result + f32(i64(column, C_DATA), index))
            found = True
    if found:
        give(out, float_key(types.float64(result)))
    else:
        give_null(out)


@_kernel
def sum_doubles(column, own, own_row, low, high, has_current, mean, out):
    """Adds up in double precision; `mean` divides by the number of values."""
    result, values = 0.0, types.int64(0)
    if has_current and is_valid(own, own_row):
        result, values = number(own, own_row), types.int64(1)
    for index in range(high - 1, low - 1, -1):
        if is_valid(column, index):
            result += number(column, index)
            values += 1
    if values == 0:
        give_null(out)
    else:
        give(out, float_key(result / values if mean else result))


@_kernel
def extreme(column, own, own_row, low, high, has_current, largest, out):
    """The smallest or largest key."""
    found = has_current and is_valid(own, own_row)
    best, best_rank = types.int64(0), types.int64(0)
    if found:
        best = key_of(own, own_row)
        best_rank = rank_of(own, best)
    for index in range(high - 1, low - 1, -1):
        if is_valid(column, index):
            key = key_of(column, index)
            rank = rank_of(column, key)
            if not found or (rank > best_rank if largest else rank < best_rank):
                best, best_rank, found = key, rank, True
    if found:
        give(out, best)
    else:
        give_null(out)


@_small
def give_cell(column, row, out):
    if is_valid(column, row):
        give(out, key_of(column, row))
    else:
        give_null(out)


@_kernel
def at(column, own, own_row, slice_, n, out):
    """The value n rows back, whatever the frame; 0 is the current row's own."""
    place = i64(slice_, S_BASE_HIGH) - n
    if n == 0:
        give_cell(own, own_row, out)
    elif n > 0 and place >= i64(slice_, S_BASE_LOW):
        give_cell(column, place, out)
    else:
        give_null(out)


@_kernel
def frame_at(column, own, own_row, low, high, has_current, n, out):
    """The n-th row of the frame, its newest being 0."""
    place = high - n if has_current else high - 1 - n
    if has_current and n == 0:
        give_cell(own, own_row, out)
    elif n >= 0 and place >= low:
        give_cell(column, place, out)
    else:
        give_null(out)


@_kernel
def first_value(column, own, own_row, low, high, has_current, out):
    """The oldest row's value, NULL or not."""
    if low < high:
        give_cell(column, low, out)
    elif has_current:
        give_cell(own, own_row, out)
    else:
        give_null(out)


# --- the row evaluator -------------------------------------------------------------------------------------------------


@_kernel
def evaluate_aggregate(program, aggregate, row, slices, scratch, best, out):
    function = i64(aggregate, A_FUNCTION)
    window = i64(aggregate, A_WINDOW)
    slice_ = slices + 8 * S_WIDTH * window
    low, high = i64(slice_, S_LOW), i64(slice_, S_HIGH)
    has_current = i64(i64(program, P_WINDOWS) + 8 * W_WIDTH * window, W_HAS_CURRENT) != 0
    columns, current = i64(program, P_COLUMNS), i64(program, P_CURRENT)
    if function == F_COUNT:
        count(aggregate, columns, current, row, low, high, has_current, out)
        return
    if function == F_FRAME:
        give(out, low)
        put(out, 2, high)
        return
    column, own = offset_of(columns, i64(aggregate, A_COLUMN)), offset_of(current, i64(aggregate, A_COLUMN))
    own_row = row * i64(own, C_STEP)
    n = i64(aggregate, A_N)
    if i64(aggregate, A_TALLY) >= 0:
        tally = i64(program, P_TALLIES) + 8 * T_WIDTH * i64(aggregate, A_TALLY)
        state = scratch + 8 * i64(tally, T_OFFSET)
        if function == F_DISTINCT_COUNT:
            distinct_count(tally, state, n, out)
        elif function == F_COUNT_SAME:
            if has_current:
                count_same(tally, state, own, own_row, out)
            elif low < high:
                count_same(tally, state, column, high - 1, out)
            else:
                give(out, types.int64(0))
        elif function == F_TOP1_RATIO:
            top1_ratio(state, out)
        else:
            topn_frequency(tally, state, column, n, best, out)
    elif function == F_SUM:
        kind = i64(column, C_KIND)
        if kind == K_FLOAT32:
            sum_singles(column, own, own_row, low, high, has_current, out)
        elif kind == K_FLOAT64:
            sum_doubles(column, own, own_row, low, high, has_current, False, out)
        else:
            sum_integers(column, own, own_row, low, high, has_current, out)
    elif function == F_AVG:
        sum_doubles(column, own, own_row, low, high, has_current, True, out)
    elif function == F_MIN:
        extreme(column, own, own_row, low, high, has_current, False, out)
    elif function == F_MAX:
        extreme(column, own, own_row, low, high, has_current, True, out)
    elif function == F_AT:
        at(column, own, own_row, slice_, n, out)
    elif function == F_FRAME_AT:
        frame_at(column, own, own_row, low, high, has_current, n, out)
    else:
        first_value(column, own, own_row, low, high, has_current, out)


@_kernel
def evaluate_store(program, order, rows, scratch, slices, best, out):
    """Evaluates all aggregates of one store.

    Args (all int64, addresses where not said otherwise):
        program: `layout.Program`.
        order: int64 [rows]: which rows at hand to evaluate; rows of a group together and in time order slide their windows.
        rows: how many.
        scratch: the tallies' states, USED words 0 and counts UNUSED, or as an earlier call left them.
        slices: memory for `layout.Slice` of each window.
        best: memory for `MOST_TOP_VALUES` words.
        out: int64 [rows at hand, OUT_WIDTH].
    """
    windows, tallies, aggregates = i64(program, P_WINDOWS), i64(program, P_TALLIES), i64(program, P_AGGREGATES)
    columns, current = i64(program, P_COLUMNS), i64(program, P_CURRENT)
    for number_ in range(i64(program, P_TALLY_COUNT)):
        state = scratch + 8 * i64(tallies + 8 * T_WIDTH * number_, T_OFFSET)
        put(state, X_GROUP, -2)  # what an earlier call counted is of other rows
    for index in range(rows):
        row = i64(order, index)
        group = types.int64(i32(i64(program, P_GROUP), row))
        for window in range(i64(program, P_WINDOW_COUNT)):
            find_slice(program, row, windows + 8 * W_WIDTH * window, slices + 8 * S_WIDTH * window)
        for number_ in range(i64(program, P_TALLY_COUNT)):
            tally = tallies + 8 * T_WIDTH * number_
            state, slice_ = scratch + 8 * i64(tally, T_OFFSET), slices + 8 * S_WIDTH * i64(tally, T_WINDOW)
            column = offset_of(columns, i64(tally, T_COLUMN))
            tally_slice(tally, state, column, group, i64(slice_, S_LOW), i64(slice_, S_HIGH))
            if i64(windows + 8 * W_WIDTH * i64(tally, T_WINDOW), W_HAS_CURRENT) != 0:
                own = offset_of(current, i64(tally, T_COLUMN))
                tally_add(tally, state, own, row * i64(own, C_STEP))
        for number_ in range(i64(program, P_AGGREGATE_COUNT)):
            aggregate = aggregates + 8 * A_WIDTH * number_
            result = out + 8 * (row * i64(program, P_OUT_WIDTH) + i64(aggregate, A_OUT))
            evaluate_aggregate(program, aggregate, row, slices, scratch, best, result)
        for number_ in range(i64(program, P_TALLY_COUNT)):
            tally = tallies + 8 * T_WIDTH * number_
            if i64(windows + 8 * W_WIDTH * i64(tally, T_WINDOW), W_HAS_CURRENT) != 0:
                own = offset_of(current, i64(tally, T_COLUMN))
                tally_remove(tally, scratch + 8 * i64(tally, T_OFFSET), own, row * i64(own, C_STEP))


def evaluate(jobs, count):
    """Evaluates several stores' aggregates.

    Args:
        jobs: address of int64 [count, Job.WIDTH]: the arguments of `evaluate_store` for each.
    """
    for number_ in range(count):
        job = jobs + 8 * J_WIDTH * number_
        evaluate_store(i64(job, 0), i64(job, 1), i64(job, 2), i64(job, 3), i64(job, 4), i64(job, 5), i64(job, 6))


ENTRY_POINTS = {"evaluate": (evaluate, types.void(types.int64, types.int64))}
