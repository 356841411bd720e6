"""What all kernels are made with: how functions are compiled, and the places of the words that `layout` names, as plain integers."""

# mypy: ignore-errors
# (numba types this module)

from __future__ import annotations

from numba import njit

from jdrec.engines.embedded.layout import (
    EMPTY_WINDOW,
    Aggregate,
    BlockState,
    Column,
    Function,
    Help,
    Job,
    Kind,
    Program,
    Slice,
    State,
    Tally,
    Window,
)
from jdrec.engines.embedded.memory import i64, put

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
X_GROUP, X_LOW, X_HIGH, X_USED, X_DISTINCT, X_TOP, X_VALUES, X_NULLS, X_NANS, X_WIDTH = (int(member) for member in State)
(A_FUNCTION, A_WINDOW, A_COLUMN, A_N, A_CONDITION, A_MATCH, A_TALLY, A_OUT, A_HELP, A_MOST, A_WIDTH) = (int(member) for member in Aggregate)
H_COUNTS, H_SUMS, H_BLOCKS, H_BIG_BLOCKS = (int(member) for member in list(Help)[:4])
STATE_NAN, STATE_NUMBER = int(BlockState.NAN), int(BlockState.NUMBER)
F_COUNT, F_COUNT_SAME, F_DISTINCT_COUNT, F_TOPN, F_TOP1_RATIO = (int(member) for member in list(Function)[:5])
F_SUM, F_AVG, F_MIN, F_MAX, F_AT, F_FIRST_VALUE, F_FRAME_AT, F_FRAME = (int(member) for member in list(Function)[5:])
J_WIDTH = int(Job.WIDTH)
NOTHING = EMPTY_WINDOW

_OPTIONS = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_OPTIONS)
small = njit(forceinline=True, **_OPTIONS)


@njit("void(int64, int64, int64)", forceinline=True, **_OPTIONS)  # one version instead of one for each literal argument
def bump(words, index, by):
    put(words, index, i64(words, index) + by)
