"""The row evaluator, which interprets a plan."""

# mypy: ignore-errors
# (numba types this module)

from __future__ import annotations

from numba import types

from jdrec.engines.embedded.kernels import words as w
from jdrec.engines.embedded.kernels.aggregates import (
    at,
    count,
    count_same,
    distinct_count,
    extreme,
    first_value,
    frame_at,
    give,
    offset_of,
    sum_by_help,
    sum_doubles,
    sum_integers,
    sum_singles,
    top1_ratio,
    topn_frequency,
)
from jdrec.engines.embedded.kernels.slices import find_slice
from jdrec.engines.embedded.kernels.tallies import tally_add, tally_remove, tally_slice
from jdrec.engines.embedded.kernels.words import kernel
from jdrec.engines.embedded.memory import i32, i64, put


@kernel
def evaluate_aggregate(program, aggregate, row, slices, scratch, best, out):
    """One aggregate of one row."""
    function = i64(aggregate, w.A_FUNCTION)
    window = i64(aggregate, w.A_WINDOW)
    slice_ = slices + 8 * w.S_WIDTH * window
    low, high = i64(slice_, w.S_LOW), i64(slice_, w.S_HIGH)
    if i64(aggregate, w.A_MOST) != 0 and high - low > i64(aggregate, w.A_MOST):
        return
    has_current = i64(i64(program, w.P_WINDOWS) + 8 * w.W_WIDTH * window, w.W_HAS_CURRENT) != 0
    columns, current = i64(program, w.P_COLUMNS), i64(program, w.P_CURRENT)
    if function == w.F_COUNT:
        count(aggregate, columns, current, row, low, high, has_current, out)
        return
    if function == w.F_FRAME:
        give(out, low)
        put(out, 2, high)
        return
    column, own = offset_of(columns, i64(aggregate, w.A_COLUMN)), offset_of(current, i64(aggregate, w.A_COLUMN))
    own_row = row * i64(own, w.C_STEP)
    n, help_ = i64(aggregate, w.A_N), i64(aggregate, w.A_HELP)
    if i64(aggregate, w.A_TALLY) >= 0:
        tally = i64(program, w.P_TALLIES) + 8 * w.T_WIDTH * i64(aggregate, w.A_TALLY)
        state = scratch + 8 * i64(tally, w.T_OFFSET)
        if function == w.F_DISTINCT_COUNT:
            distinct_count(tally, state, n, out)
        elif function == w.F_COUNT_SAME:
            if has_current:
                count_same(tally, state, own, own_row, out)
            elif low < high:
                count_same(tally, state, column, high - 1, out)
            else:
                give(out, types.int64(0))
        elif function == w.F_TOP1_RATIO:
            top1_ratio(state, out)
        else:
            topn_frequency(tally, state, column, n, best, out)
    elif help_ != 0 and (function == w.F_SUM or function == w.F_AVG):
        sum_by_help(help_, own, own_row, low, high, has_current, function == w.F_AVG, out)
    elif function == w.F_SUM:
        kind = i64(column, w.C_KIND)
        if kind == w.K_FLOAT32:
            sum_singles(column, own, own_row, low, high, has_current, out)
        elif kind == w.K_FLOAT64:
            sum_doubles(column, own, own_row, low, high, has_current, False, out)
        else:
            sum_integers(column, own, own_row, low, high, has_current, out)
    elif function == w.F_AVG:
        sum_doubles(column, own, own_row, low, high, has_current, True, out)
    elif function == w.F_MIN:
        extreme(column, own, own_row, low, high, has_current, False, n != 0, help_, out)
    elif function == w.F_MAX:
        extreme(column, own, own_row, low, high, has_current, True, n != 0, help_, out)
    elif function == w.F_AT:
        at(column, own, own_row, slice_, n, out)
    elif function == w.F_FRAME_AT:
        frame_at(column, own, own_row, low, high, has_current, n, out)
    else:
        first_value(column, own, own_row, low, high, has_current, out)


@kernel
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
    windows, tallies, aggregates = i64(program, w.P_WINDOWS), i64(program, w.P_TALLIES), i64(program, w.P_AGGREGATES)
    columns, current = i64(program, w.P_COLUMNS), i64(program, w.P_CURRENT)
    for number_ in range(i64(program, w.P_TALLY_COUNT)):
        state = scratch + 8 * i64(tallies + 8 * w.T_WIDTH * number_, w.T_OFFSET)
        put(state, w.X_GROUP, -2)  # what an earlier call counted is of other rows
    for index in range(rows):
        row = i64(order, index)
        group = types.int64(i32(i64(program, w.P_GROUP), row))
        for window in range(i64(program, w.P_WINDOW_COUNT)):
            find_slice(program, row, windows + 8 * w.W_WIDTH * window, slices + 8 * w.S_WIDTH * window)
        for number_ in range(i64(program, w.P_TALLY_COUNT)):
            tally = tallies + 8 * w.T_WIDTH * number_
            state, slice_ = scratch + 8 * i64(tally, w.T_OFFSET), slices + 8 * w.S_WIDTH * i64(tally, w.T_WINDOW)
            column = offset_of(columns, i64(tally, w.T_COLUMN))
            tally_slice(tally, state, column, group, i64(slice_, w.S_LOW), i64(slice_, w.S_HIGH))
            if i64(windows + 8 * w.W_WIDTH * i64(tally, w.T_WINDOW), w.W_HAS_CURRENT) != 0:
                own = offset_of(current, i64(tally, w.T_COLUMN))
                tally_add(tally, state, own, row * i64(own, w.C_STEP))
        for number_ in range(i64(program, w.P_AGGREGATE_COUNT)):
            aggregate = aggregates + 8 * w.A_WIDTH * number_
            result = out + 8 * (row * i64(program, w.P_OUT_WIDTH) + i64(aggregate, w.A_OUT))
            evaluate_aggregate(program, aggregate, row, slices, scratch, best, result)
        for number_ in range(i64(program, w.P_TALLY_COUNT)):
            tally = tallies + 8 * w.T_WIDTH * number_
            if i64(windows + 8 * w.W_WIDTH * i64(tally, w.T_WINDOW), w.W_HAS_CURRENT) != 0:
                own = offset_of(current, i64(tally, w.T_COLUMN))
                tally_remove(tally, scratch + 8 * i64(tally, w.T_OFFSET), own, row * i64(own, w.C_STEP))


def evaluate(jobs, count):
    """Evaluates several stores' aggregates.

    Args:
        jobs: address of int64 [count, Job.WIDTH]: the arguments of `evaluate_store` for each.
    """
    for number_ in range(count):
        job = jobs + 8 * w.J_WIDTH * number_
        evaluate_store(i64(job, 0), i64(job, 1), i64(job, 2), i64(job, 3), i64(job, 4), i64(job, 5), i64(job, 6))


def find_slices(program, order, rows, window, out):
    """Where windows lie in the store.

    Args (all int64, addresses where not said otherwise):
        program, order, rows: as of `evaluate_store`.
        window: its number.
        out: int64 [rows, Slice.WIDTH].
    """
    for index in range(rows):
        find_slice(program, i64(order, index), i64(program, w.P_WINDOWS) + 8 * w.W_WIDTH * window, out + 8 * w.S_WIDTH * index)


ENTRY_POINTS = {
    "evaluate": (evaluate, types.void(types.int64, types.int64)),
    "find_slices": (find_slices, types.void(*[types.int64] * 5)),
}
