"""The schema in words: every key with its type, default and description, for docs/reference.md and for the help of a task."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

import msgspec


@dataclass(frozen=True)
class Key:
    """A key of the configuration; `name` is its whole path, a part in angle brackets is a name of the user's own."""

    name: str
    type: str
    default: str  # "required", or the value as JSON; empty for a mapping of names
    description: str


def rows(struct: type[msgspec.Struct], path: str = "") -> Iterator[Key]:
    """Every leaf below `path`, and the sections that have a description."""
    for field in msgspec.structs.fields(struct):
        key = f"{path}.{field.encode_name}" if path else field.encode_name
        nested, named = _nested(field.type)
        if not nested:
            yield Key(key, _type_name(field.type), _default(field), _description(field.type))
            continue
        if description := _description(field.type):
            yield Key(key, "mapping" if named else "section", "" if named else _default(field), description)
        below = f"{key}.<name>" if named else key
        if len(nested) == 1:
            yield from rows(nested[0], below)
        else:
            yield from _choice_rows(nested, below)


def _choice_rows(structs: list[type[msgspec.Struct]], path: str) -> Iterator[Key]:
    """The key that chooses one of several sections, then each section's keys, marked with the choice."""
    tags = {str(struct.__struct_config__.tag): struct for struct in structs}
    what = "; ".join(f"{tag}: {(struct.__doc__ or '').splitlines()[0].rstrip('.')}" for tag, struct in tags.items())
    yield Key(f"{path}.{structs[0].__struct_config__.tag_field}", " | ".join(tags), "required", f"{what}.")
    for tag, struct in tags.items():
        for key in rows(struct, path):
            yield Key(key.name, key.type, key.default, f"{tag}: {key.description}")


def _plain(kind: Any) -> Any:
    return typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind


def _options(kind: Any) -> tuple[Any, ...]:
    kind = _plain(kind)
    return typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)


def _nested(kind: Any) -> tuple[list[type[msgspec.Struct]], bool]:
    """The sections one of which a type holds, and whether it holds one for each name of the user's."""
    found, named = [], False
    for option in _options(kind):
        of_names = typing.get_origin(_plain(option)) is dict
        inner = typing.get_args(_plain(option))[1] if of_names else _plain(option)
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            found.append(inner)
            named = of_names
    return found, named


def _type_name(kind: Any) -> str:
    names = []
    for option in _options(kind):
        option = _plain(option)
        if option is type(None):
            names.append("null")
        elif typing.get_origin(option) is Literal:
            names += [str(value) for value in typing.get_args(option)]
        elif isinstance(option, type) and issubclass(option, Enum):
            names += [str(value.value) for value in option]
        elif typing.get_origin(option) in (list, dict):
            inner = ", ".join(_type_name(argument) for argument in typing.get_args(option))
            names.append(f"{typing.get_origin(option).__name__}[{inner}]")
        elif typing.get_origin(option) in (typing.Union, types.UnionType):
            names.append(_type_name(option))
        else:
            names.append(option.__name__)
    return " | ".join(dict.fromkeys(names))


def _default(field: Any) -> str:
    if field.required:
        return "required"
    value = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
    return msgspec.json.encode(value).decode()


def _description(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Annotated:
        return next((meta.description for meta in kind.__metadata__ if isinstance(meta, msgspec.Meta) and meta.description), "")
    return ""
