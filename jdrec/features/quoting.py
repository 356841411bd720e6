"""Names and values inside SQL, so that nothing from the YAML can leave its place."""

from __future__ import annotations

import re

from jdrec.errors import CheckError

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

# Words that OpenMLDB's grammar does not take as a bare name.
_RESERVED_WORDS = """
    all and any array as asc assert_rows_modified at between by case cast collate contains create cross cube current default define
    desc distinct div else end enum escape except exclude exists extract false fetch following for from full group grouping groups hash
    having if ignore ilike in index inner instance_not_in_window intersect interval into is join last lateral left like limit lookup map
    merge mod natural new no not null nulls of on open or order outer over partition preceding proto range recursive respect right rlike
    rollup rows rows_range select set some struct tablesample then to treat true unbounded union unnest using when where window with
    within xor
"""
RESERVED = frozenset(_RESERVED_WORDS.split())

_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def is_identifier(name: str) -> bool:
    """Whether SQL takes `name` as a name, in backticks if need be."""
    return _IDENTIFIER.fullmatch(name) is not None


def quoted(name: str) -> str:
    """A name in backticks.

    Raises:
        CheckError: it is not a name.
    """
    if not is_identifier(name):
        raise CheckError(f"{name!r} is not an SQL name: letters, digits and _, not starting with a digit.")
    return f"`{name}`"


def bare(name: str) -> str:
    """A name without backticks, unless it is a reserved word.

    Raises:
        CheckError: it is not a name.
    """
    written = quoted(name)
    return written if name.lower() in RESERVED else name


def text(value: str) -> str:
    """A string literal in single quotes.

    Raises:
        CheckError: it holds a control character that no path or option has.
    """
    if any(ord(c) < 32 and c not in _ESCAPES for c in value):
        raise CheckError(f"{value!r} holds a control character.")
    return "'" + "".join(_ESCAPES.get(c, c) for c in value) + "'"
