"""Functions of strings, by their bytes. Source: OpenMLDB 0.9.2's functions of the same names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from jdrec.engines.embedded import casts, distinct, json_text, libm, regular
from jdrec.engines.embedded.distinct import decoded
from jdrec.engines.embedded.like import ilike, like
from jdrec.engines.embedded.vector import Vector
from jdrec.features.types import SqlType

T = SqlType
_UPPER, _LOWER = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz"
_TO_LOWER, _TO_UPPER = bytes.maketrans(_UPPER, _LOWER), bytes.maketrans(_LOWER, _UPPER)
LISTS = ("split", "split_by_key", "split_by_value")


def _function(function: Callable[..., Any], type_: SqlType = T.STRING) -> Callable[..., Vector]:
    return lambda *arguments: distinct.apply(function, arguments, type_)


def concat(*values: Vector) -> Vector:
    return distinct.apply(lambda *texts: "".join(texts), [casts.cast(value, T.STRING) for value in values], T.STRING)


def concat_ws(separator: Vector, *values: Vector) -> Vector:
    texts = [casts.cast(value, T.STRING) for value in (separator, *values)]
    return distinct.apply(lambda between, *parts: between.join(parts), texts, T.STRING)


def _substr(text: str, start: int, length: int = 2**31) -> str:
    data = text.encode()
    if start == 0 or length < 1 or abs(start) > len(data):
        return ""
    begin = start - 1 if start > 0 else len(data) + start
    return decoded(data[begin : begin + length])


def _replace(text: str, search: str, replacement: str = "") -> str:
    return text.replace(search, replacement) if search else text


def _strcmp(one: str, other: str) -> int:
    """The difference of the first bytes that differ, as C's memcmp gives it; else of 1 by length."""
    a, b = one.encode(), other.encode()
    return next((x - y for x, y in zip(a, b, strict=False) if x != y), (len(a) > len(b)) - (len(a) < len(b)))


def _hex_text(text: str) -> str:
    return "".join(f"{byte if byte < 128 else byte + 0xFFFFFF00:X}" for byte in text.encode())


_HEX_MASKS = {T.SMALLINT: 2**16 - 1, T.INT: 2**32 - 1, T.BIGINT: 2**64 - 1}


def _hex(x: Vector) -> Vector:
    if x.type is T.STRING:
        return distinct.apply(_hex_text, [x], T.STRING)
    if x.type is not None and x.type.is_float:
        with np.errstate(all="ignore"):
            x = Vector(T.BIGINT, libm.call("round", x.data.astype(np.float64)).astype(np.int64), x.valid, x.constant)
    mask = _HEX_MASKS.get(x.type or T.INT, 0)
    return distinct.apply(lambda number: f"{number & mask:X}", [x], T.STRING)


def _unhex(text: str) -> str | None:
    if not re.fullmatch(r"[0-9A-Fa-f]*", text):
        return None
    return decoded(bytes.fromhex("0" * (len(text) % 2) + text))


def _char(code: int) -> str:
    return decoded(bytes([code % 256]))


# --- lists: they live only inside join and size ------------------------------------------------------------------------------


def _split(text: str | None, separator: str) -> list[str]:
    if text is None or not separator:
        return []
    return text.split(separator) if len(separator.encode()) == 1 else re.split(separator, text)


def _split_by(part: int) -> Callable[..., list[str]]:
    def split(text: str | None, separator: str, inner: str) -> list[str]:
        if not inner:
            return []
        pieces = [_split(piece, inner) for piece in _split(text, separator)]
        return [piece[part] for piece in pieces if len(piece) > 1]

    return split


_LISTS: dict[str, Callable[..., list[str]]] = {"split": _split, "split_by_key": _split_by(0), "split_by_value": _split_by(1)}


def of_list(name: str, list_name: str, arguments: list[Vector]) -> Vector:
    """join(split(...), separator) or size(split(...)).

    Args:
        arguments: of the split, then the others of join.
    """
    split, count = _LISTS[list_name], 2 if list_name == "split" else 3

    def join(*values: str | None) -> str | None:
        return None if None in values[1:] else (values[count] or "").join(split(*values[:count]))

    def size(*values: str | None) -> int | None:
        return None if None in values[1:] else len(split(*values))

    return distinct.apply(join if name == "join" else size, arguments, T.STRING if name == "join" else T.INT, nulls=True)


FUNCTIONS: dict[str, Callable[..., Vector]] = {
    "concat": concat,
    "concat_ws": concat_ws,
    "substr": _function(_substr),
    "char_length": _function(lambda text: len(text.encode()), T.INT),
    "lower": _function(lambda text: text.encode().translate(_TO_LOWER).decode()),
    "upper": _function(lambda text: text.encode().translate(_TO_UPPER).decode()),
    "replace": _function(_replace),
    "reverse": _function(lambda text: decoded(text.encode()[::-1])),
    "strcmp": _function(_strcmp, T.INT),
    "like_match": _function(like, T.BOOL),
    "ilike_match": _function(ilike, T.BOOL),
    "regexp_like": regular.regexp_like,
    "get_json_object": _function(json_text.get_json_object),
    "json_array_length": _function(json_text.json_array_length, T.INT),
    "char": _function(_char),
    "hex": _hex,
    "unhex": _function(_unhex),
}
