"""Durations and the bounds of a window's frame, as they are written in the YAML."""

from __future__ import annotations

import re

from jdrec.features.spec import Bound

UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

_DURATION = re.compile(r"(\d+)\s*([smhd]?)", re.IGNORECASE | re.ASCII)
_BOUND = re.compile(r"(.*?)(\s+open)?", re.IGNORECASE | re.ASCII)
_LONGEST_MS = 2**53
_MOST_ROWS = 2**31
_UNBOUNDED = "unbounded"


def milliseconds(text: str | int) -> int:
    """A duration such as 14d, 10h, 30m, 5s; a bare number is milliseconds.

    Raises:
        ValueError: it is not a duration.
    """
    match = _DURATION.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration: write a number and s, m, h or d, e.g. 14d; a bare number is milliseconds.")
    value = int(match[1]) * UNITS.get(match[2].lower(), 1)
    if value > _LONGEST_MS:
        raise ValueError(f"{text!r} is too long.")
    return value


def range_bound(text: str | int) -> Bound:
    """A bound of a ROWS_RANGE frame: a duration, optionally followed by `open`, or `unbounded`.

    Raises:
        ValueError: it is not one.
    """
    if str(text).strip().lower() == _UNBOUNDED:
        return Bound(_LONGEST_MS, _UNBOUNDED)
    length, is_open = _split(text)
    value = milliseconds(length)
    written = "0s" if value == 0 else length.lower().replace(" ", "")
    return Bound(value, written, is_open)


def rows_bound(text: str | int) -> Bound:
    """A bound of a ROWS frame: a number of rows, optionally followed by `open`, or `unbounded`.

    Raises:
        ValueError: it is not one.
    """
    if str(text).strip().lower() == _UNBOUNDED:
        return Bound(_MOST_ROWS, _UNBOUNDED)
    count, is_open = _split(text)
    if not (count.isascii() and count.isdigit()) or int(count) > _MOST_ROWS:
        raise ValueError(f"{text!r} is not a number of rows: write e.g. 10 or '10 open'.")
    return Bound(int(count), str(int(count)), is_open)


def _split(text: str | int) -> tuple[str, bool]:
    match = _BOUND.fullmatch(str(text).strip())
    assert match is not None
    return match[1], match[2] is not None
