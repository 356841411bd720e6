"""How `pandas.read_csv` types a column of texts, and what `str()` of a typed value is; without pandas, value by value.

The rule is that of pandas 1.2 to 2.x, C parser, default options, a column read in one piece: integers, unsigned integers, floats,
booleans, text, the first that all values fit; missing values turn integers into floats. The tests compare it with pandas itself.
(pandas 3 parses floats to the nearest double; ids must not change with the installed version, so this module does not follow it.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

# "integers with gaps" are read as integers and then made float64, because a missing value is a float; "as is" is a column of which
# some values need uint64 while others are negative or missing: pandas then gives every text back, even the missing ones.
ColumnType = Literal["int64", "uint64", "integers with gaps", "float64", "bool", "object", "as is"]

# read_csv's default na_values
MISSING = frozenset(
    {"", "NULL", "null", "NaN", "nan", "-NaN", "-nan", "None", "NA", "N/A", "n/a", "<NA>", "#NA", "#N/A", "#N/A N/A"}
    | {"1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"}
)
_INTEGER = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?)([0-9]+))?")
_INFINITY = {"inf": "inf", "+inf": "inf", "infinity": "inf", "+infinity": "inf", "-inf": "-inf", "-infinity": "-inf"}
_TRUE, _FALSE = ("True", "TRUE", "true"), ("False", "FALSE", "false")
_POWERS = [float(f"1e{n}") for n in range(309)]
_DIGITS = 17  # more significant digits (leading zeros count) are not read


class TypeGuess:
    """Finds a column's type from its values, batch by batch."""

    def __init__(self) -> None:
        self.missing = self.any = self.negative = self.above_int64 = False
        self.floats = self.booleans = True
        # What stopped a reader of int64, and then one of uint64: a number too large, or something else. The first stop decides.
        self.int_stop: Literal["overflow", "text"] | None = None
        self.uint_stop: Literal["overflow", "text"] | None = None

    def update(self, texts: Iterable[str]) -> None:
        """Looks at more values; repeated ones may be left out, but the order of first appearance matters."""
        for text in texts:
            if self.settled:
                return
            if text in MISSING:
                self.missing = True
                continue
            self.any = True
            self.floats = self.floats and parse_float(text) is not None
            self.booleans = self.booleans and (text in _TRUE or text in _FALSE)
            negative = text[0] == "-"
            if self.uint_stop is None:
                self.negative |= negative
            digits = _INTEGER.match(text)
            value = int(digits.group()) if digits else 0
            if not -(1 << 63) <= value < 1 << 63:  # noticed before anything that follows the digits
                self.int_stop = self.int_stop or "overflow"
            elif not digits or digits.end() < len(text):
                self.int_stop = self.int_stop or "text"
            if negative:
                continue  # the reader of uint64 takes note of the sign and reads no further
            if value >= 1 << 64:
                self.uint_stop = self.uint_stop or "overflow"
            elif not digits or digits.end() < len(text):
                self.uint_stop = self.uint_stop or "text"
            elif self.uint_stop is None:
                self.above_int64 |= value >= 1 << 63

    @property
    def settled(self) -> bool:
        """Whether nothing that follows can change the type: some value is plain text."""
        return self.int_stop == self.uint_stop == "text" and not self.floats and not self.booleans

    def type(self) -> ColumnType:
        """The type of the column so far."""
        if not self.any:
            return "float64"
        if self.int_stop is None:
            return "integers with gaps" if self.missing else "int64"
        if self.int_stop == "overflow" and self.uint_stop != "text":
            if self.uint_stop == "overflow" or not self.above_int64:
                return "object"
            return "as is" if self.negative or self.missing else "uint64"
        if self.floats:
            return "float64"
        return "bool" if self.booleans else "object"


def typed_text(text: str, column_type: ColumnType) -> str:
    """`str()` of the value that pandas would have read; a value that does not fit the column's type stays as it is."""
    if column_type == "as is":
        return text
    if text in MISSING:
        return "nan"
    if column_type == "float64":
        value = parse_float(text)
        return text if value is None else repr(value)
    if column_type == "integers with gaps":
        if not _INTEGER.fullmatch(text):
            return typed_text(text, "float64")
        number = int(text)
        return "nan" if number == -(1 << 63) else repr(float(number))  # the least int64 is pandas' mark of a missing one
    if column_type in ("int64", "uint64"):
        return str(int(text)) if _INTEGER.fullmatch(text) else text
    if column_type == "bool":
        return "True" if text in _TRUE else "False" if text in _FALSE else text
    return text


def parse_float(text: str) -> float | None:
    """The float that pandas' default parser makes of `text` (it is not always the nearest one), or None."""
    if text.lower() in _INFINITY:
        return float(_INFINITY[text.lower()])
    match = _FLOAT.fullmatch(text)
    if not match:
        return None
    sign, whole, fraction, exponent_sign, exponent_text = match.groups()
    fraction = fraction or ""
    if not whole and not fraction:
        return None
    used_whole = whole[:_DIGITS]
    used_fraction = fraction[: _DIGITS - len(used_whole)]
    number = 0.0
    for digit in used_whole + used_fraction:
        number = number * 10.0 + int(digit)
    if sign == "-":
        number = -number
    exponent = len(whole) - len(used_whole) - len(used_fraction)
    if exponent_text:
        exponent += int(exponent_text) * (-1 if exponent_sign == "-" else 1)
    if exponent > 308:
        return None
    if exponent >= 0:
        number *= _POWERS[exponent]
    elif exponent >= -308:
        number /= _POWERS[-exponent]
    else:
        number = number / _POWERS[min(-308 - exponent, 308)] / _POWERS[308] if exponent >= -616 else number * 0.0
    return None if number in (float("inf"), float("-inf")) else number
