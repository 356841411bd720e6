"""Regular expressions as OpenMLDB reads them: RE2's, of POSIX syntax.

Arrow has RE2, too, but in Perl's syntax. A pattern that both know matches the same texts; what POSIX has not is found here.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow._compute as _compute

from jdrec.dataset import arrow
from jdrec.engines.embedded import distinct
from jdrec.engines.embedded.vector import Vector
from jdrec.features.types import SqlType

T = SqlType
_PERL_ESCAPE = re.compile(r"\\[^\W_0-7afnrtvx]|\\[^\x00-\x7f]")  # letters and digits that escape nothing in POSIX
_PIECE = re.compile(
    r"""
    (?P<class>\[\^?\]?(?:\[:\^?\w*:\]|\\.|[^\]\\])*\])
  | (?P<repeat>[*+?]|\{\d+(?:,\d*)?\})
  | (?P<open>\()
  | (?P<close>\))
  | (?P<between>\|)
  | (?P<one>\\x\{[0-9A-Fa-f]+\}|\\x[0-9A-Fa-f]{2}|\\[0-7]{1,3}|\\.|.)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)


def regexp_like(x: Vector, pattern: Vector, flags: Vector | None = None) -> Vector:
    """Whether the whole of a text matches; NULL if the pattern is no regular expression.

    Args:
        flags: texts of letters: i is any case, c the case as it is (the later one counts), m for ^ and $ at lines' ends, s for a dot that
            is also a line's end; others mean nothing.
    """
    flags = flags if flags is not None else Vector.of_value("c", T.STRING)
    if not x.constant and pattern.constant and flags.constant and pattern.is_valid[0] and flags.is_valid[0]:
        dictionary, codes = x.encoded()
        found = _match(dictionary, pattern.data[0].as_py(), flags.data[0].as_py())
        if found is None:
            return Vector.of_value(None, T.BOOL).spread(len(x))
        valid = codes >= 0
        return Vector(T.BOOL, np.append(found, np.uint8(0))[codes], None if valid.all() else valid.astype(np.uint8))
    return distinct.apply(_matches, [x, pattern, flags], T.BOOL)


def _matches(text: str, pattern: str, flags: str) -> int | None:
    found = _match(arrow.strings_of([text]), pattern, flags)
    return None if found is None else int(found[0])


def _match(texts: pa.Array, pattern: str, flags: str) -> np.ndarray | None:
    """uint8 [texts], or None if the pattern is none."""
    written = _in_perl_syntax(pattern)
    if written is None:
        return None
    on = "".join(flag for flag in "ms" if flag in flags) + ("i" if flags.rfind("i") > flags.rfind("c") else "")
    try:
        _search(arrow.strings_of([""]), written)  # by itself, so that a stray parenthesis is seen
        return arrow.values_of(_search(texts, rf"\A(?{on}:{written})\z"), T.BOOL)
    except pa.ArrowInvalid:
        return None


def _search(texts: pa.Array, pattern: str) -> pa.Array:
    return arrow.call("match_substring_regex", texts, options=_compute.MatchSubstringOptions(pattern))


def _in_perl_syntax(pattern: str) -> str | None:
    """The pattern with each repetition of a repetition in parentheses, which Perl wants; None if POSIX does not know it."""
    if _PERL_ESCAPE.search(re.sub(r"\\\\", "", pattern)):
        return None
    out: list[str] = []
    opened: list[int] = []  # where open groups begin in `out`
    atom: int | None = None  # where what may be repeated begins
    repeated = False
    for piece in _PIECE.finditer(pattern):
        kind, text = piece.lastgroup, piece.group()
        if kind == "repeat" and atom is None:
            return None
        if kind == "repeat" and repeated:
            out[atom:] = ["(?:", *out[atom:], ")"]
        if kind == "open":
            opened.append(len(out))
            atom = None
        elif kind == "close":
            atom = opened.pop() if opened else None
        elif kind == "between":
            atom = None
        elif kind != "repeat":
            atom = len(out)
        repeated = kind == "repeat"
        out.append(text)
    return "".join(out)
