"""The words that a plan is written in: the layout of the int64 arrays that the compiled row evaluator reads.

Python fills these arrays (`program.py`), the kernels interpret them (`kernels`). Addresses of other arrays are words too.
"""

from __future__ import annotations

from enum import IntEnum


class Column(IntEnum):
    """One column of a store, or the same column of the rows at hand."""

    DATA = 0  # address of the values
    VALID = 1  # address of one byte a row, 0 where NULL; or 0: no NULLs. Codes have none: their NULL is -1
    KIND = 2  # a Kind
    RANK = 3  # address of int64 ranks that order codes; or 0: codes are in order themselves
    STEP = 4  # 1, or 0 when one value stands for every row
    WIDTH = 5


class Kind(IntEnum):
    """How a column's values are stored."""

    CODE = 0  # int32 code into a dictionary of strings
    BOOL = 1  # uint8
    INT16 = 2
    INT32 = 3  # also dates (days)
    INT64 = 4  # also timestamps (milliseconds)
    FLOAT32 = 5
    FLOAT64 = 6


class Program(IntEnum):
    """What one call of the row evaluator needs: everything about one store and the rows at hand."""

    TIMES = 0  # address of int64 [rows of the store], ascending within a group
    BEGINS = 1  # address of int64 [groups]: first row of a group
    ENDS = 2  # address of int64 [groups]: one past its last row
    COLUMNS = 3  # address of int64 [columns, Column.WIDTH]: the store's columns
    CURRENT = 4  # address of int64 [columns, Column.WIDTH]: the same columns of the rows at hand
    GROUP = 5  # address of int32 [rows at hand]: the group of each, -1 where the store has none
    TIME = 6  # address of int64 [rows at hand]
    PLACE = 7  # address of int64 [rows at hand]: where the row itself lies in the store; or 0: it does not
    WINDOWS = 8  # address of int64 [windows, Window.WIDTH]
    WINDOW_COUNT = 9
    TALLIES = 10  # address of int64 [tallies, Tally.WIDTH]
    TALLY_COUNT = 11
    AGGREGATES = 12  # address of int64 [aggregates, Aggregate.WIDTH]
    AGGREGATE_COUNT = 13
    OUT_WIDTH = 14  # words of one row's results
    WIDTH = 15


class Job(IntEnum):
    """One store's part of a call of the row evaluator: its arguments (see `kernels.evaluator.evaluate_store`)."""

    PROGRAM = 0
    ORDER = 1
    ROWS = 2
    SCRATCH = 3
    SLICES = 4
    BEST = 5
    OUT = 6
    WIDTH = 7


class Slab(IntEnum):
    """A store that takes rows as they come: each group's rows lie in a slab with room to grow (see `kernels.slabs`)."""

    TIMES = 0  # address of int64 [capacity], ascending within a group
    ROLES = 1  # address of uint8 [capacity]: where a row came from; where times are equal, a larger role is newer. 0: one role
    BEGINS = 2  # address of int64 [groups]: first row of a group
    ENDS = 3  # address of int64 [groups]: one past its last row
    STARTS = 4  # address of int64 [groups]: where its slab begins
    ROOMS = 5  # address of int64 [groups]: how long its slab is
    CAPACITY = 6  # rows that the arrays have room for
    USED = 7  # rows that slabs take
    FREE = 8  # address of int64 [64]: a free slab of 2**n rows and more, -1 for none; its first time names the next one
    COLUMNS = 9  # address of int64 [columns, SlabColumn.WIDTH]
    COLUMN_COUNT = 10
    LONGEST = 11  # rows of the largest group there ever was
    TTLS = 12  # address of int64 [roles, Ttl.WIDTH]; 0: rows are kept for ever
    ROLE_COUNT = 13
    LIVE = 14  # rows in all groups
    WIDTH = 15


class SlabColumn(IntEnum):
    """A column of a slab store, or of the rows that are inserted."""

    DATA = 0
    VALID = 1  # address of one byte a row, or 0
    SIZE = 2  # bytes of a value
    WIDTH = 3


class Ttl(IntEnum):
    """How long rows of one role are kept."""

    RULE = 0  # a TtlRule
    AGE_MS = 1  # 0: age does not count
    ROWS = 2  # 0: rank does not count
    WIDTH = 3


class TtlRule(IntEnum):
    """OpenMLDB's types of TTL: what makes a row expire."""

    FOREVER = 0
    ABSOLUTE = 1  # its age
    LATEST = 2  # that so many newer ones came
    ABSORLAT = 3  # either
    ABSANDLAT = 4  # both


class Window(IntEnum):
    """A frame. Open bounds are already folded into START and END."""

    IS_RANGE = 0  # 1: ROWS_RANGE (milliseconds), 0: ROWS
    START = 1  # how far back it begins
    END = 2  # how far back it ends
    MAX_SIZE = 3  # 0: unlimited
    HAS_CURRENT = 4  # the current row is in the frame
    BEFORE = 5  # EXCLUDE CURRENT_TIME
    WIDTH = 6


class Slice(IntEnum):
    """A window of one row, as positions in the store."""

    LOW = 0
    HIGH = 1  # one past the newest
    BASE_LOW = 2  # the oldest row that `at` can reach
    BASE_HIGH = 3  # one past the newest row that `at` can reach
    WIDTH = 4


class Tally(IntEnum):
    """Counts of a column's values in a window, kept while the window slides."""

    WINDOW = 0
    COLUMN = 1
    CAPACITY = 2  # slots, a power of two
    LIMIT = 3  # more used slots than this: count afresh
    OFFSET = 4  # first word of its state in the scratch memory
    WIDTH = 5


class State(IntEnum):
    """A tally's state in scratch memory; then KEY, COUNT and USED [capacity] each, then how many values have a count."""

    GROUP = 0
    LOW = 1
    HIGH = 2
    USED = 3  # slots in use, dead ones (count 0) too
    DISTINCT = 4
    TOP = 5  # the largest count
    VALUES = 6  # rows that are not NULL
    NULLS = 7
    NANS = 8  # rows that are no number; they are among VALUES and in no slot
    WIDTH = 9


class Aggregate(IntEnum):
    """One aggregate call."""

    FUNCTION = 0
    WINDOW = 1
    COLUMN = 2  # -1: `*`
    N = 3  # n of topn_frequency and at; the zero value's key for distinct_count; of min and max 1: a NaN that comes first stays
    CONDITION = 4  # column of the condition, or -1
    MATCH = 5  # column that must equal that of the frame's newest row, or -1
    TALLY = 6  # or -1
    OUT = 7  # its first word in the row's results: status (0: NULL), then values
    HELP = 8  # address of `Help`, or 0: windows are walked
    MOST = 9  # rows of a window; larger ones are left to `large`. 0: none is
    WIDTH = 10


class Help(IntEnum):
    """What spares the walk through windows of very many rows (see `hot`): addresses, those that the aggregate needs."""

    COUNTS = 0  # int64 [rows + 1]: rows that count before each
    SUMS = 1  # int64 [rows + 1]: what they add up to
    BLOCKS = 2  # int64 [rows // BLOCK, 2]: state and best key of each block of rows
    BIG_BLOCKS = 3  # int64 [rows // BIG_BLOCK, 2]
    WIDTH = 4


class BlockState(IntEnum):
    """What a block holds for min and max."""

    NOTHING = 0  # NULL alone
    NAN = 1  # and nothing better
    NUMBER = 2


BLOCK, BIG_BLOCK = 64, 4096  # rows
LANES = 32  # windows that are walked together (see `kernels.lanes`)


class Categories(IntEnum):
    """What `kernels.sliding.categories` needs."""

    LEAVES = 0  # address of int32 [rows]: each row's category, numbered within its group in ascending order
    ADDS = 1  # address of int64 [rows]: what each row adds to its category's sum
    LOWS = 2  # address of int64 [windows]
    HIGHS = 3  # address of int64 [windows]
    OWN_LEAVES = 4  # address of int64 [windows]: the request's own category; -1: it has none
    OWN_ADDS = 5  # address of int64 [windows]
    COUNT = 6  # windows
    STATISTIC = 7  # a Statistic
    CHOICE = 8  # a Choice
    SHIFT = 9  # 64 less the width of sums in bits
    MOST = 10  # categories that are asked for
    ROOM = 11  # a power of two, more than the largest category's number
    STATE = 12  # address of int64 [4 * ROOM]: counts and sums of categories, zeros; then a tree of maxima, ABSENT
    FOUND = 13  # address of int64 [windows]: how many categories were written
    OUT = 14  # address of int64 [windows, MOST, 3]: category, count, sum
    WIDTH = 15


class Statistic(IntEnum):
    """What orders categories by value."""

    COUNT = 0
    SUM = 1
    MEAN = 2


class Choice(IntEnum):
    """Which categories are asked for, and in which order."""

    FREQUENCY = 0  # those with the largest value, of equal ones the smaller category first
    VALUE = 1  # those with the largest value, of equal ones the larger category first
    KEY = 2  # the largest categories, descending
    ALL = 3  # the smallest ones, ascending


ABSENT = -(2**63)  # key of a category that no row of the window has


class Function(IntEnum):
    """The aggregates that have a kernel."""

    COUNT = 0
    COUNT_SAME = 1  # count_where(x, x = at(x, 0)) from a tally
    DISTINCT_COUNT = 2
    TOPN_FREQUENCY = 3
    TOP1_RATIO = 4
    SUM = 5
    AVG = 6
    MIN = 7
    MAX = 8
    AT = 9  # rows back from the current one, whatever the frame
    FIRST_VALUE = 10
    FRAME_AT = 11  # rows back from the frame's newest
    FRAME = 12  # where the frame lies in the store: its slice's ends


EMPTY_WINDOW = -1  # status of topn_frequency over no rows at all
MOST_TOP_VALUES = 1024  # OpenMLDB's limit of topn_frequency's n
UNUSED = -1  # count of a tally's slot that no value has taken
