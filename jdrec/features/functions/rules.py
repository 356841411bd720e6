"""What the registry says about a function: its arguments, the type of its result, its NULLs and its names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from jdrec.features.types import SqlType

T = SqlType
Types = tuple[SqlType | None, ...]  # of a call's arguments; None is the type of null

INTEGERS = (T.SMALLINT, T.INT, T.BIGINT)
NUMBERS = (*INTEGERS, T.FLOAT, T.DOUBLE)
ORDERED = (*NUMBERS, T.STRING, T.DATE, T.TIMESTAMP)
ANY = (T.BOOL, *ORDERED)
TEXT = (T.STRING,)
CALENDAR = (T.BIGINT, T.DATE, T.TIMESTAMP)
CLOCK = (T.BIGINT, T.TIMESTAMP)
CONDITION = (T.BOOL,)

NULL_IN_NULL_OUT = "NULL gives NULL."
SKIPPED = "NULL is skipped; NULL if there is no other value."


@dataclass(frozen=True)
class Argument:
    """What may stand in one place of a call.

    constant: a number written out, at least `least` and at most `most`, but not `without`.
    star: `*` (every row) is allowed. column: a bare column, no expression.
    row: evaluated for each row of the window, where `at` is allowed.
    null: null itself may stand there. strings: a list of strings, which only a function can give.
    optional: may be left out, with all after it. repeated: any number of them, at least one.
    """

    name: str
    types: tuple[SqlType, ...]
    constant: bool = False
    least: int | None = 0
    most: int | None = None
    without: int | None = None
    star: bool = False
    column: bool = False
    row: bool = False
    null: bool = False
    strings: bool = False
    optional: bool = False
    repeated: bool = False


@dataclass(frozen=True)
class Function:
    """One function.

    kind: "aggregate" runs over the rows of a window, "scalar" over the values of one row.
    result: a type, or a rule that makes it from the arguments' types.
    nulls: what NULL and, for aggregates, an empty window give.
    names: its name in versions of OpenMLDB where it differs from `name`.
    since: the first version of OpenMLDB that has it, if 0.6.0 has it not.
    gives_strings: its result is a list of strings, which another function has to take.
    written: how it is called, if its arguments do not say it all.
    """

    name: str
    kind: Literal["aggregate", "scalar"]
    args: tuple[Argument, ...]
    result: SqlType | Callable[[Types], SqlType | None]
    nulls: str
    doc: str
    aliases: tuple[str, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    since: str | None = None
    gives_strings: bool = False
    written: str | None = None

    @property
    def is_aggregate(self) -> bool:
        return self.kind == "aggregate"

    @property
    def least_arguments(self) -> int:
        return sum(not argument.optional for argument in self.args)

    @property
    def most_arguments(self) -> int | None:
        """None: any number."""
        return None if self.args and self.args[-1].repeated else len(self.args)

    def rules_for(self, count: int) -> tuple[Argument, ...]:
        """The rules of the first `count` arguments of a call; the last one repeats."""
        return self.args[:count] + self.args[-1:] * (count - len(self.args))

    def sql_name(self, version: str, written: str | None = None) -> str:
        """Its name in the SQL of an OpenMLDB version; an alias that the user wrote is kept."""
        return self.names.get(version, written if written in self.aliases else self.name)

    def is_in(self, version: str) -> bool:
        """Whether a version of OpenMLDB, such as 0.6, has it from its first release on."""
        return self.since is None or _numbers(self.since) <= _numbers(version)

    @property
    def signature(self) -> str:
        if self.written:
            return self.written
        text = ""
        for position, argument in enumerate(self.args):
            part = (", " if position else "") + argument.name
            text += f"[{part}]" if argument.optional else part + (", ..." if argument.repeated else "")
        return f"{self.name}({text})"


def _numbers(version: str) -> tuple[int, ...]:
    """0.9 as (0, 9, 0)."""
    numbers = [int(part) for part in version.split(".")]
    return tuple(numbers + [0] * (3 - len(numbers)))


def aggregate(name: str, *args: Argument, result, nulls: str, doc: str, **more) -> Function:  # type: ignore[no-untyped-def]
    """An entry for a function over a window's rows."""
    return Function(name, "aggregate", args, result, nulls, doc, **more)


def scalar(name: str, *args: Argument, result, doc: str, nulls: str = NULL_IN_NULL_OUT, **more) -> Function:  # type: ignore[no-untyped-def]
    """An entry for a function of one row."""
    return Function(name, "scalar", args, result, nulls, doc, **more)


def condition() -> Argument:
    return Argument("condition", CONDITION, row=True)


# --- rules of results ---


def same(types: Types) -> SqlType | None:
    """The type of the first argument."""
    return types[0]


def common(types: Types) -> SqlType | None:
    """The type that holds the values of all arguments."""
    return common_type(types)


def real(types: Types) -> SqlType:
    """Float of floats, double of all else."""
    return T.FLOAT if all(type_ is T.FLOAT for type_ in types) else T.DOUBLE


_RANK = {T.SMALLINT: 0, T.INT: 1, T.BIGINT: 2, T.FLOAT: 3, T.DOUBLE: 4}


def widest(types: Sequence[SqlType]) -> SqlType:
    """The widest of numbers' types, as arithmetic gives it."""
    return max(types, key=_RANK.__getitem__)


def common_type(types: Sequence[SqlType | None]) -> SqlType | None:
    """The type that holds the values of all `types`, as in the branches of CASE.

    Raises:
        ValueError: there is none without a cast.
    """
    result: SqlType | None = None
    for type_ in types:
        if result is None or type_ is None or type_ is result:
            result = result or type_
        elif result.is_number and type_.is_number:
            result = T.DOUBLE if {result, type_} == {T.BIGINT, T.FLOAT} else widest((result, type_))
        else:
            raise ValueError(f"{result.value} and {type_.value} have no common type: cast one of them")
    return result
