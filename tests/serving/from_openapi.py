"""Calls made of an OpenAPI document: as it describes them, broken in one place, and with their bytes spoilt."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from hypothesis import strategies as st

NUMBERS = st.integers() | st.integers(-(10**40), 10**40) | st.floats()
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=20) | st.sampled_from(["2016-03-31", "2016-03-31T18:11:20+08:00", "NaN"])
ANYTHING = SCALARS | st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6
)
_MOST_ITEMS = 4  # of an array, so that calls stay short


def described(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema takes."""
    if "oneOf" in schema:
        return st.one_of([described(option) for option in schema["oneOf"]])
    strategy = _of_type(schema)
    return st.none() | strategy if schema.get("nullable") else strategy


def _of_type(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    kind = schema.get("type")
    if kind == "object":
        required = set(schema.get("required", ()))
        members = {name: described(member) for name, member in schema.get("properties", {}).items()}
        needed = {name: member for name, member in members.items() if name in required}
        return st.fixed_dictionaries(needed, optional={name: member for name, member in members.items() if name not in required})
    if kind == "array":
        return st.lists(described(schema["items"]), min_size=schema.get("minItems", 0), max_size=_MOST_ITEMS)
    if kind == "integer":
        return st.integers(schema.get("minimum", -(2**63)), schema.get("maximum", 2**63 - 1))
    if kind == "number":
        return st.floats(-1e38, 1e38)
    if kind == "string" and schema.get("format") in ("date", "date-time"):
        return st.dates().map(str) if schema["format"] == "date" else st.datetimes(datetime(1970, 1, 2)).map(datetime.isoformat)
    return {"boolean": st.booleans(), "string": st.text(st.characters(exclude_categories=("Cs",)), max_size=12)}.get(kind, ANYTHING)


def broken(value: Any, change: int, other: Any) -> Any:
    """A copy of a value in which one place is missing, is something else, or has an unknown neighbour."""
    value = copy.deepcopy(value)
    places = list(_places([value]))
    container, key = places[change % len(places)]
    how = change // len(places) % 3
    if how == 0 and container[key] is not value:
        del container[key]
    elif how == 1 and isinstance(container, dict):
        container[f"{key}d"] = other
    else:
        container[key] = other
        return other if container[key] is value else value
    return value


def _places(container: Any) -> Iterator[tuple[Any, Any]]:
    for key, value in container.items() if isinstance(container, dict) else enumerate(container):
        yield container, key
        if isinstance(value, dict | list):
            yield from _places(value)


def calls(document: dict[str, Any]) -> st.SearchStrategy[tuple[str, str, bytes]]:
    """(path, path with its query, body) of the calls that take a body; one in three is as it should be."""
    return st.sampled_from([path for path, methods in document["paths"].items() if "post" in methods]).flatmap(
        {path: _calls_of(path, methods["post"]) for path, methods in document["paths"].items() if "post" in methods}.__getitem__
    )


def _calls_of(path: str, call: dict[str, Any]) -> st.SearchStrategy[tuple[str, str, bytes]]:
    bodies = described(call["requestBody"]["content"]["application/json"]["schema"])
    bodies |= st.builds(broken, bodies, st.integers(0, 1000), ANYTHING) | st.builds(broken, bodies, st.integers(0, 1000), SCALARS)
    queries = [
        st.builds(lambda value, name=parameter["name"]: {name: value}, described(parameter["schema"]) | st.text(max_size=5))
        for parameter in call.get("parameters", ())
    ]
    query = st.one_of(st.just({}), st.just({}), *queries)
    written: Callable[[Any, dict[str, Any]], tuple[str, str, bytes]] = lambda body, query: (  # noqa: E731
        path,
        path + ("?" + urlencode({name: str(value).lower() for name, value in query.items()}, errors="replace") if query else ""),
        json.dumps(body).encode(),
    )
    return st.builds(written, bodies, query)


def spoilt(body: bytes, seed: int) -> bytes:
    """A body with a few bytes changed, cut off, repeated, or in another encoding."""
    chance = random.Random(seed)
    here, there = sorted(chance.randrange(len(body) + 1) for _ in range(2))
    junk = chance.choice([b"\xff", b"\x00", b'"', b"[", b"}", b"9" * 30, b"NaN", b"\\ud800", b"\xed\xa0\x80", b"e999", b"-", b","])
    return [
        lambda: body[:here],
        lambda: body[:here] + junk + body[here:],
        lambda: body[:here] + junk + body[there:],
        lambda: body[:here] + body[here:there] * 2 + body[there:],
        lambda: body.decode().encode(chance.choice(["utf-16", "utf-8-sig", "utf-7"])),
        lambda: bytes(byte ^ (chance.random() < 0.05) << chance.randrange(8) for byte in body),
    ][chance.randrange(6)]()
