"""What a model was trained on, written beside it: the feature set as plain JSON, compared when the model is served."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jdrec.features.spec import FeatureSet

_FEATURE = ("name", "text", "type", "kind", "window", "join", "encoding")


def describe(feature_set: FeatureSet) -> dict[str, Any]:
    """Everything that decides the values of the features; where the tables lie does not."""
    return {
        "timezone": feature_set.timezone,
        "request": {"table": feature_set.request_table, "key": feature_set.request_key, "time": feature_set.request_time},
        "tables": {
            name: {"time": table.time, "columns": {column: type.value for column, type in table.columns.items()}}
            | ({"derived": {column: derived.text for column, derived in table.derived.items()}} if table.derived else {})
            for name, table in feature_set.tables.items()
        },
        "joins": {name: _plain(join) for name, join in feature_set.joins.items()},
        "windows": {name: _plain(window) for name, window in feature_set.windows.items()},
        "features": [{name: _value(getattr(feature, name)) for name in _FEATURE} for feature in feature_set.features],
        "label": feature_set.label.feature if feature_set.label else None,
    }


def first_difference(expected: Any, actual: Any, path: str = "") -> str | None:
    """Where two descriptions differ, e.g. "features.3.text: 'sum(x)' instead of 'max(x)'"; None if they don't."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name in [*expected, *(name for name in actual if name not in expected)]:
            here = f"{path}.{name}" if path else str(name)
            if name not in expected or name not in actual:
                return f"{here}: only in {'the run' if name in actual else 'the model'}"
            if difference := first_difference(expected[name], actual[name], here):
                return difference
        return None
    if isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            return f"{path}: {len(actual)} instead of {len(expected)}"
        differences = (first_difference(a, b, f"{path}.{i}") for i, (a, b) in enumerate(zip(expected, actual, strict=True)))
        return next(filter(None, differences), None)
    return None if expected == actual else f"{path}: {actual!r} instead of {expected!r}"


def _value(value: Any) -> Any:
    return value.value if hasattr(value, "value") else value


def _plain(item: Any) -> dict[str, Any]:
    """A dataclass as JSON would give it back: tuples become lists."""

    def lists(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: lists(inner) for name, inner in value.items()}
        return [lists(inner) for inner in value] if isinstance(value, (list, tuple)) else _value(value)

    return lists(dataclasses.asdict(item))
