"""The registry of the feature language's functions: one entry says all that is known about one of them.

Rules were taken from OpenMLDB's own compiler and engine (0.9.2). To add a function, add an entry to the table of its family.
"""

from __future__ import annotations

from jdrec.features.functions import categories, choices, dates, mathematics, texts, windows
from jdrec.features.functions.rules import ANY, Argument, Function

__all__ = ["ANY", "FAMILIES", "FUNCTIONS", "Argument", "Function", "find", "names", "renamed_in"]

FAMILIES: dict[str, tuple[Function, ...]] = {
    "Counts and frequencies": windows.COUNTS,
    "Statistics of numbers": windows.NUMERIC,
    "Under a condition": windows.CONDITIONAL,
    "By place": windows.PLACES,
    "By category": categories.TABLE,
    "NULL": choices.TABLE,
    "Dates and times": dates.TABLE,
    "Strings": texts.TABLE,
    "Mathematics": mathematics.TABLE,
}
_ALL = tuple(function for family in FAMILIES.values() for function in family)

FUNCTIONS: dict[str, Function] = {function.name: function for function in _ALL}
_BY_ANY_NAME: dict[str, Function] = {name: f for f in _ALL for name in (f.name, *f.aliases)}


def find(name: str) -> Function | None:
    """The function of that name or alias, in any case; None if there is none."""
    return _BY_ANY_NAME.get(name.lower())


def names() -> list[str]:
    """All names that can be written, aliases included."""
    return sorted(_BY_ANY_NAME)


def renamed_in(name: str) -> str | None:
    """The name to write for a function that some version of OpenMLDB calls `name`."""
    return next((f.name for f in _ALL if name.lower() in f.names.values()), None)
