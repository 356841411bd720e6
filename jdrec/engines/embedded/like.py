"""LIKE and ILIKE. Source: OpenMLDB 0.9.2's functions, which compare bytes."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=1024)
def _pattern(pattern: str, escape: str, ignore_case: bool) -> re.Pattern[bytes] | None:
    """LIKE's pattern as a regular expression; None if nothing can match it."""
    data, sign = pattern.encode(), escape.encode()
    parts, place = [], 0
    while place < len(data):
        char = data[place : place + 1]
        if sign and char == sign:
            place += 1
            if place == len(data):
                return None
            parts.append(re.escape(data[place : place + 1]))
        else:
            parts.append({b"%": b".*", b"_": b"."}.get(char, re.escape(char)))
        place += 1
    return re.compile(b"".join(parts), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def like(text: str, pattern: str, escape: str = "\\", *, ignore_case: bool = False) -> bool:
    """Whether a text matches a pattern of % and _ (one byte)."""
    if len(escape.encode()) > 1:
        return False
    compiled = _pattern(pattern, escape, ignore_case)
    return compiled is not None and compiled.fullmatch(text.encode()) is not None


def ilike(text: str, pattern: str, escape: str = "\\") -> bool:
    """As like, in upper or lower case of ASCII letters."""
    return like(text, pattern, escape, ignore_case=True)
