"""How composed values become a `Config`, or one clear error."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from jdrec.config.whole import Config


def load(values: dict[str, Any]) -> Config:
    """Checks composed values against the schema.

    Args:
        values: the composed configuration as plain containers, interpolations resolved.

    Raises:
        ConfigError: every mistake found, each with its YAML path, the reason and the nearest valid name.
    """
    version = values.get("openmldb", {}).get("version")
    if isinstance(version, float):  # YAML and the command line read 0.6 as a number
        values = {**values, "openmldb": {**values["openmldb"], "version": str(version)}}
    values = _with_on(values)
    try:
        if not _holds_missing(values):
            return msgspec.convert(values, Config)
    except msgspec.ValidationError:
        pass
    from jdrec.config.errors import explain

    raise explain(values, Config)


def _with_on(values: dict[str, Any]) -> dict[str, Any]:
    """YAML 1.1 reads the key `on` of a join as true; this gives it its name back where another loader than `composition`'s has read it."""
    features = values.get("features")
    joins = features.get("joins") if isinstance(features, dict) else None
    if not isinstance(features, dict) or not isinstance(joins, dict):
        return values

    def named(join: Any) -> Any:
        misread = [key for key in (True, "true") if isinstance(join, dict) and key in join]  # "true" once it went through JSON
        if not misread:
            return join
        return {"on": join[misread[0]], **{key: value for key, value in join.items() if key not in misread}}

    return {**values, "features": {**features, "joins": {name: named(join) for name, join in joins.items()}}}


def _holds_missing(value: Any) -> bool:
    """Whether a required key still has Hydra's mark for "must be given"."""
    return value == "???" or (isinstance(value, dict) and any(map(_holds_missing, value.values())))


def defaults() -> dict[str, Any]:
    """Every key with a default, as plain containers; a required key is "???". Hydra composes the YAML on top of it."""
    return _defaults_of(Config)


def _defaults_of(section: type[Struct]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for info in msgspec.structs.fields(section):
        if info.default_factory is not msgspec.NODEFAULT:
            value = info.default_factory()
        elif info.default is not msgspec.NODEFAULT:
            value = info.default
        elif isinstance(info.type, type) and issubclass(info.type, Struct):
            value = _defaults_of(info.type)
        else:
            value = "???"
        result[info.encode_name] = msgspec.to_builtins(value)
    return result
