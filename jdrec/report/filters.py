"""How numbers and times are written in the pages."""

from __future__ import annotations

from typing import Any


def number(value: Any) -> str:
    """Four decimals, thousands separated; a dash for what is not there."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4f}" if abs(value) < 100 else f"{value:,.1f}"


def fixed(value: float, digits: int) -> str:
    """So many decimals, and no minus before a zero."""
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if not float(text) else text


def short(value: Any) -> str:
    """At most five significant digits."""
    if isinstance(value, float):
        return f"{value:,.5g}" if abs(value) < 1e6 else f"{value:,.4g}"
    return number(value)


def percent(value: float | None, digits: int = 1) -> str:
    if value is None:
        return "–"
    if 0 < value < 0.5 * 10 ** -(digits + 2):
        return f"<{10.0**-digits:g} %"
    return f"{100 * value:.{digits}f} %"


def duration(seconds: float) -> str:
    """21 ms, 23.7 s, 4 min 05 s, 2 h 10 min."""
    if seconds < 0.95:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def mebibytes(size: float) -> str:
    return f"{size / 2**20:,.0f} MiB"
