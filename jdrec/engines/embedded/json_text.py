"""Values inside a text of JSON, as they are written there. Source: OpenMLDB 0.9.2's functions, which read with simdjson.

OpenMLDB reads no more of the text than it needs and may find something in what is no JSON as a whole; here that gives NULL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

_SPACE = re.compile(r"[ \t\n\r]*")
_INDEX = re.compile(r"0|[1-9][0-9]*", re.ASCII)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)  # NaN and Infinity, which Python's reader would take


def get_json_object(text: str, pointer: str) -> str | None:
    """The value at a JSON pointer (RFC 6901), strings without quotes and all else as it is written; None if there is none.

    The pointer's names are compared with the keys as they are written, escapes and all.
    """
    start = _document(text)
    if start is None or (pointer and not pointer.startswith("/")):
        return None
    for name in pointer.split("/")[1:]:
        found = _child(text, start, name)
        if found is None:
            return None
        start = found
    value, end = _DECODER.raw_decode(text, start)
    if not pointer and not isinstance(value, dict | list):
        return None
    if not isinstance(value, str):
        return text[start:end]
    return value if _is_text(value) else None


def json_array_length(text: str) -> int | None:
    """How many elements an array has; None for all else."""
    start = _document(text)
    if start is None or text[start] != "[":
        return None
    return len(_DECODER.raw_decode(text, start)[0])


def _document(text: str) -> int | None:
    """Where the text's only value begins; None if it is no JSON."""
    try:
        _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None
    return _skip(text, 0)


def _child(text: str, start: int, name: str) -> int | None:
    """Where the member or element of that name begins, in the object or array that begins at `start`."""
    if text[start] == "{":
        if re.search(r"~(?![01])", name):
            return None
        key = name.replace("~1", "/").replace("~0", "~")
        return next((place for written, place in _members(text, start) if written == key), None)
    if text[start] == "[" and _INDEX.fullmatch(name):
        return next((place for number, place in enumerate(_elements(text, start)) if number == int(name)), None)
    return None


def _members(text: str, start: int) -> Iterator[tuple[str, int]]:
    """The keys of an object as they are written, without quotes, and where their values begin."""
    place = _skip(text, start + 1)
    while text[place] != "}":
        end = _end(text, place)
        key = text[place + 1 : end - 1]
        value = _skip(text, _skip(text, end) + 1)
        yield key, value
        place = _next(text, value)


def _elements(text: str, start: int) -> Iterator[int]:
    place = _skip(text, start + 1)
    while text[place] != "]":
        yield place
        place = _next(text, place)


def _next(text: str, start: int) -> int:
    """What follows the value at `start` and the comma behind it."""
    place = _skip(text, _end(text, start))
    return _skip(text, place + 1) if text[place] == "," else place


def _end(text: str, start: int) -> int:
    return _DECODER.raw_decode(text, start)[1]


def _skip(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    assert match is not None
    return match.end()


def _is_text(value: Any) -> bool:
    """Whether it has no half of a surrogate pair."""
    return not any("\ud800" <= char <= "\udfff" for char in value)
