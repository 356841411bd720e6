"""Functions that choose by NULL."""

from __future__ import annotations

from jdrec.features.functions.rules import ANY, Argument, Function, T, Types, common, common_type, scalar

_X = Argument("x", ANY, null=True)


def _branches(types: Types) -> T | None:
    """The type that holds the values of the last two arguments."""
    return common_type(types[1:])


TABLE: tuple[Function, ...] = (
    scalar("isnull", _X, result=T.BOOL, nulls="NULL gives true.", doc="Whether x is NULL.", aliases=("is_null",)),
    scalar(
        "if_null",
        _X,
        Argument("default", ANY, null=True),
        result=common,
        nulls="NULL gives the default.",
        doc="x, or the default where x is NULL.",
        aliases=("ifnull", "nvl"),
    ),
    scalar(
        "nvl2",
        _X,
        Argument("then", ANY, null=True),
        Argument("otherwise", ANY, null=True),
        result=_branches,
        nulls="NULL gives the last value.",
        doc="The second value where x is not NULL, the third where it is.",
    ),
)
