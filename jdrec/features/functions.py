"""The registry of the feature language's functions: one entry says all that is known about one of them.

Rules were taken from OpenMLDB's own compiler and engine (0.9.2). To add a function, add an entry to `_TABLE`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from jdrec.features.types import SqlType

T = SqlType

INTEGERS = (T.SMALLINT, T.INT, T.BIGINT)
NUMBERS = (*INTEGERS, T.FLOAT, T.DOUBLE)
ORDERED = (*NUMBERS, T.STRING, T.DATE, T.TIMESTAMP)
ANY = (T.BOOL, *ORDERED)
CALENDAR = (T.BIGINT, T.DATE, T.TIMESTAMP)
CLOCK = (T.BIGINT, T.TIMESTAMP)


@dataclass(frozen=True)
class Argument:
    """What may stand in one place of a call.

    constant: an integer literal of at least `least` and at most `most`.
    star: `*` (every row) is allowed. column: a bare column, no expression.
    row: evaluated for each row of the window, where `at` is allowed.
    """

    name: str
    types: tuple[SqlType, ...]
    constant: bool = False
    least: int = 0
    most: int | None = None
    star: bool = False
    column: bool = False
    row: bool = False


@dataclass(frozen=True)
class Function:
    """One function.

    kind: "aggregate" runs over the rows of a window, "scalar" over the values of one row.
    result: a type, or a rule that makes it from the arguments' types (None is the type of null).
    nulls: what NULL and, for aggregates, an empty window give.
    names: its name in versions of OpenMLDB where it differs from `name`.
    """

    name: str
    kind: Literal["aggregate", "scalar"]
    args: tuple[Argument, ...]
    result: SqlType | Callable[[tuple[SqlType | None, ...]], SqlType | None]
    nulls: str
    doc: str
    aliases: tuple[str, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    engines: tuple[str, ...] = ("embedded", "openmldb")

    @property
    def is_aggregate(self) -> bool:
        return self.kind == "aggregate"

    def sql_name(self, version: str, written: str | None = None) -> str:
        """Its name in the SQL of an OpenMLDB version; an alias that the user wrote is kept."""
        return self.names.get(version, written if written in self.aliases else self.name)

    @property
    def signature(self) -> str:
        return f"{self.name}({', '.join(argument.name for argument in self.args)})"


def _same(types: tuple[SqlType | None, ...]) -> SqlType | None:
    return types[0]


def _common(types: tuple[SqlType | None, ...]) -> SqlType | None:
    from jdrec.features.infer import common_type

    return common_type(types)


def _aggregate(name: str, *args: Argument, result, nulls: str, doc: str, **more) -> Function:  # type: ignore[no-untyped-def]
    return Function(name, "aggregate", args, result, nulls, doc, **more)


def _scalar(name: str, *args: Argument, result, doc: str, nulls: str = "NULL gives NULL.", **more) -> Function:  # type: ignore[no-untyped-def]
    return Function(name, "scalar", args, result, nulls, doc, **more)


def _condition() -> Argument:
    return Argument("condition", (T.BOOL,), row=True)


_SKIPS = "NULL is skipped; NULL if there is no other value."

_TABLE = (
    # --- aggregates over a window; rows are walked newest first ---
    _aggregate(
        "count",
        Argument("x", ANY, star=True),
        result=T.BIGINT,
        nulls="NULL is not counted, count(*) counts every row; an empty window gives 0.",
        doc="Number of rows.",
    ),
    _aggregate(
        "count_where",
        Argument("x", ANY, star=True),
        _condition(),
        result=T.BIGINT,
        nulls="A NULL x is not counted, a NULL condition is false; an empty window gives 0.",
        doc="Number of rows for which the condition holds.",
    ),
    _aggregate(
        "distinct_count",
        Argument("x", ANY),
        result=T.BIGINT,
        nulls="NULL counts as the type's zero value ('' or 0 or the epoch); an empty window gives 0.",
        doc="Number of different values.",
    ),
    _aggregate(
        "topn_frequency",
        Argument("x", ORDERED),
        Argument("n", (T.INT,), constant=True, least=1, most=1024),
        result=T.STRING,
        nulls="NULL is skipped; missing places are filled with the text NULL; an empty window gives ''.",
        doc="The n most frequent values, joined by commas; equally frequent ones in ascending order.",
        names={"0.6": "fz_topn_frequency"},
    ),
    _aggregate(
        "top1_ratio",
        Argument("x", ORDERED),
        result=T.DOUBLE,
        nulls="NULL is skipped; 0.0 if there is no other value.",
        doc="Share of the most frequent value among the values.",
        names={"0.6": "fz_top1_ratio"},
    ),
    _aggregate(
        "sum",
        Argument("x", NUMBERS),
        result=_same,
        nulls=_SKIPS,
        doc="Sum, in the type of x: an int wraps around, a float adds up in single precision.",
    ),
    _aggregate("avg", Argument("x", NUMBERS), result=T.DOUBLE, nulls=_SKIPS, doc="Mean, added up in double precision."),
    _aggregate("min", Argument("x", ORDERED), result=_same, nulls=_SKIPS, doc="Smallest value; strings compare by bytes."),
    _aggregate("max", Argument("x", ORDERED), result=_same, nulls=_SKIPS, doc="Largest value; strings compare by bytes."),
    _aggregate(
        "at",
        Argument("x", ANY, column=True),
        Argument("n", (T.INT,), constant=True),
        result=_same,
        nulls="NULL values count as rows; NULL if there are fewer than n rows before the current one.",
        doc="The value n rows before the current row; at(x, 0) is the current row's own. It does not see the frame's bounds.",
        aliases=("lag",),
    ),
    _aggregate(
        "first_value",
        Argument("x", ANY, column=True),
        result=_same,
        nulls="NULL values are not skipped; an empty window gives NULL.",
        doc="The value of the oldest row in the frame.",
    ),
    # --- scalar functions of one row ---
    _scalar("isnull", Argument("x", ANY), result=T.BOOL, nulls="NULL gives true.", doc="Whether x is NULL.", aliases=("is_null",)),
    _scalar(
        "if_null",
        Argument("x", ANY),
        Argument("default", ANY),
        result=_common,
        nulls="NULL gives the default.",
        doc="x, or the default where x is NULL.",
        aliases=("ifnull", "nvl"),
    ),
    _scalar("dayofweek", Argument("time", CALENDAR), result=T.INT, doc="Day of the week in UTC+8: 1 is Sunday, 7 is Saturday."),
    _scalar("day", Argument("time", CALENDAR), result=T.INT, doc="Day of the month in UTC+8.", aliases=("dayofmonth",)),
    _scalar("month", Argument("time", CALENDAR), result=T.INT, doc="Month in UTC+8, 1 to 12."),
    _scalar("year", Argument("time", CALENDAR), result=T.INT, doc="Year in UTC+8."),
    _scalar("hour", Argument("time", CLOCK), result=T.INT, doc="Hour in UTC+8, 0 to 23."),
    _scalar("minute", Argument("time", CLOCK), result=T.INT, doc="Minute of the hour."),
    _scalar("second", Argument("time", CLOCK), result=T.INT, doc="Second of the minute."),
)

FUNCTIONS: dict[str, Function] = {function.name: function for function in _TABLE}
_BY_ANY_NAME: dict[str, Function] = {name: f for f in _TABLE for name in (f.name, *f.aliases)}


def find(name: str) -> Function | None:
    """The function of that name or alias, in any case; None if there is none."""
    return _BY_ANY_NAME.get(name.lower())


def names() -> list[str]:
    """All names that can be written, aliases included."""
    return sorted(_BY_ANY_NAME)


def renamed_in(name: str) -> str | None:
    """The name to write for a function that some version of OpenMLDB calls `name`."""
    return next((f.name for f in _TABLE if name.lower() in f.names.values()), None)
