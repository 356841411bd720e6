"""What is wrong with a configuration: every mistake, with its YAML path, the reason and the nearest valid name."""

from __future__ import annotations

import json
import re
import types
import typing
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Literal

import msgspec

from jdrec.errors import ConfigError, ConfigErrors, JdrecError, nearest


def explain(values: Any, schema: type) -> JdrecError:
    """The mistakes in `values` against `schema`, as one error."""
    errors = list(_mistakes(values, schema, ""))
    return errors[0] if len(errors) == 1 else ConfigErrors(errors)


def _mistakes(value: Any, kind: Any, path: str) -> Iterator[JdrecError]:
    struct = _struct_in(kind, value)
    if struct is not None:
        yield from _struct_mistakes(value, struct, path)
    elif isinstance(value, Mapping) and (tagged := _tagged(kind)):
        yield _tag_mistake(value, tagged, path)
    elif isinstance(value, Mapping) and (entry := _mapping_entry(kind)) is not None:
        for name, item in value.items():
            yield from _mistakes(item, entry, f"{path}.{name}")
    else:
        yield from _leaf_mistakes(value, kind, path)


def _struct_mistakes(value: Mapping[str, Any], struct: type, path: str) -> Iterator[JdrecError]:
    found = list(_field_mistakes(value, struct, path))
    yield from found
    if not found:
        try:
            msgspec.convert(value, struct)
        except msgspec.ValidationError as error:  # the section's own rule about several keys
            yield ConfigError(_reason(error), where=path)


def _field_mistakes(value: Mapping[str, Any], struct: type, path: str) -> Iterator[JdrecError]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    for name, item in value.items():
        place = f"{path}.{name}".lstrip(".")
        if name in fields:
            yield from _mistakes(item, fields[name].type, place)
        elif name != struct.__struct_config__.tag_field:  # type: ignore[attr-defined]
            cut = "An expression with a comma is quoted inside { }." if isinstance(name, str) and ")" in name else None
            yield ConfigError(f"unknown key {name!r}.", where=place, hint=cut or nearest(name, fields))
    for name, field in fields.items():
        if field.required and name not in value:
            yield ConfigError("is required.", where=f"{path}.{name}".lstrip("."), hint=_description(field.type))


def _tag_mistake(value: Mapping[str, Any], tagged: dict[str, type], path: str) -> JdrecError:
    """The key that says which of several sections is meant is missing or wrong."""
    key = next(iter(tagged.values())).__struct_config__.tag_field  # type: ignore[attr-defined]
    place, choices = f"{path}.{key}", ", ".join(tagged)
    if key not in value:
        return ConfigError("is required.", where=place, hint=f"One of {choices}.")
    return ConfigError(f"{value[key]!r} is not a valid value.", where=place, hint=nearest(str(value[key]), tagged))


def _leaf_mistakes(value: Any, kind: Any, path: str) -> Iterator[JdrecError]:
    if value == "???":
        yield ConfigError("must be given.", where=path, hint=_description(kind))
        return
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        reason = _reason(error)
        choices = _choices(kind)
        if choices and isinstance(value, str):
            yield ConfigError(f"{value!r} is not a valid value.", where=path, hint=nearest(value, choices))
        else:
            yield ConfigError(f"{_written(value)} does not fit: {reason}.", where=path, hint=_description(kind))


def _written(value: Any) -> str:
    """A value as YAML has it."""
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)


def _reason(error: msgspec.ValidationError) -> str:
    """msgspec's words without its path, which does not name the keys of a mapping."""
    return re.sub(r" - at `\$.*`$", "", str(error)).replace("`", "'")


def _plain(kind: Any) -> Any:
    return typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind


def _members(kind: Any) -> list[Any]:
    """The alternatives of a union, or the type alone, without annotations."""
    kind = _plain(kind)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return [member for option in typing.get_args(kind) for member in _members(option)]
    return [kind]


def _struct_in(kind: Any, value: Any) -> type | None:
    """The section that a mapping is; of several it is the one that the mapping's tag names."""
    if not isinstance(value, Mapping):
        return None
    if tagged := _tagged(kind):
        key = next(iter(tagged.values())).__struct_config__.tag_field  # type: ignore[attr-defined]
        return tagged.get(str(value.get(key)))
    return next(iter(_structs(kind)), None)


def _structs(kind: Any) -> list[type]:
    return [m for m in _members(kind) if isinstance(m, type) and issubclass(m, msgspec.Struct)]


def _tagged(kind: Any) -> dict[str, type]:
    """Several sections that can stand in one place, by tag; empty where there is but one."""
    structs = _structs(kind)
    return {struct.__struct_config__.tag: struct for struct in structs} if len(structs) > 1 else {}  # type: ignore[attr-defined]


def _mapping_entry(kind: Any) -> Any:
    return next((typing.get_args(m)[1] for m in _members(kind) if typing.get_origin(m) is dict), None)


def _choices(kind: Any) -> list[str]:
    found: list[str] = []
    for member in _members(kind):
        if typing.get_origin(member) is Literal:
            found += [str(option) for option in typing.get_args(member)]
        elif isinstance(member, type) and issubclass(member, Enum):
            found += [str(option.value) for option in member]
    return found


def _description(kind: Any) -> str | None:
    if typing.get_origin(kind) is typing.Annotated:
        for meta in kind.__metadata__:
            if isinstance(meta, msgspec.Meta) and meta.description:
                return meta.description
    return None


def keys_at(schema: type, path: list[str]) -> list[str]:
    """The keys that the schema allows under a YAML path; empty where names are free."""
    kind: Any = schema
    for part in path:
        if fields := _fields(kind):
            if part not in fields:
                return []
            kind = fields[part]
        elif (entry := _mapping_entry(kind)) is not None:
            kind = entry
        else:
            return []
    return list(_fields(kind))


def first_wrong(schema: type, path: list[str]) -> tuple[int, list[str]] | None:
    """Which part of a YAML path cannot be there, counted from 0, and the keys that can; none of these where the part before holds a value.

    None for a path that the schema allows; an item of a list is a number.
    """
    kind: Any = schema
    for place, part in enumerate(path):
        if fields := _fields(kind):
            if part not in fields:
                return place, list(fields)
            kind = fields[part]
        elif (entry := _mapping_entry(kind)) is not None:
            kind = entry
        else:
            return None if part.isdigit() or Any in _members(kind) else (place, [])
    return None


def leaves(schema: type, path: str = "") -> Iterator[str]:
    """The YAML paths of all keys that hold values; what is below free names is left out."""
    for name, kind in _fields(schema).items():
        if not _mapping_entry(kind):
            yield from leaves(kind, f"{path}{name}.") if _fields(kind) else (f"{path}{name}",)


def _fields(kind: Any) -> dict[str, Any]:
    """Name to type of the fields of every section that can stand here."""
    structs = _structs(kind)
    tag = {structs[0].__struct_config__.tag_field: str} if len(structs) > 1 else {}  # type: ignore[attr-defined]
    return {**tag, **{field.encode_name: field.type for struct in structs for field in msgspec.structs.fields(struct)}}


def choices_at(schema: type, path: list[str]) -> list[str]:
    """The values that a key takes where the schema lists them; empty where they are free."""
    kind: Any = schema
    for part in path:
        fields = _fields(kind)
        entry = _mapping_entry(kind)
        if not fields and entry is None:
            return []
        kind = fields.get(part) if fields else entry
    members = _members(kind)
    found = [*_choices(kind), *(["false", "true"] if bool in members else [])]
    return [*found, "null"] if found and type(None) in members else found
