"""What a feature set may do but hardly should (warnings), and what cannot be right (errors).

Each check is a function of the feature set; to add one, write it, add it to `_CHECKS` and give docs/checks.md an example. What a deployment
cannot do is in `deployment.py`, what only data can tell in `engines/data_checks.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from jdrec.errors import CheckError, ConfigErrors
from jdrec.features import expression as ast
from jdrec.features.deployment import undeployable
from jdrec.features.finding import Finding
from jdrec.features.spec import Feature, FeatureSet, Kind, Window
from jdrec.features.types import SqlType

CALENDAR_FUNCTIONS = frozenset({"dayofweek", "dayofyear", "weekofyear", "day", "month", "year", "hour", "last_day", "date_format"})


NULL_BY_CHANCE = frozenset({"add_months", "unhex"})


def check(feature_set: FeatureSet, *, deployable: bool = True, deploying: bool = False) -> list[Finding]:
    """Warnings about a feature set, in the order of the checks. No data is read.

    Args:
        deployable: whether OpenMLDB has to be able to deploy it; otherwise what it cannot deploy is no mistake.
        deploying: it is about to be deployed: no message says how to do without.

    Raises:
        ConfigErrors: all errors found.
    """
    findings = [finding for one in _CHECKS for finding in one(feature_set)]
    if deployable:
        findings += undeployable(feature_set, deploying=deploying)
    errors = [CheckError(finding.message, where=finding.where) for finding in findings if finding.error]
    if errors:
        raise ConfigErrors(errors)
    return findings


def _fields(feature_set: FeatureSet) -> list[Feature]:
    return [feature for feature in feature_set.features if feature.kind in (Kind.NUMERIC, Kind.CATEGORICAL)]


def _used_windows(feature_set: FeatureSet) -> list[Window]:
    names = dict.fromkeys(name for block in feature_set.blocks for name in block.windows)
    return [feature_set.windows[name] for name in names]


def sees_request_moment(feature_set: FeatureSet) -> Iterator[Finding]:
    """Windows over other tables that see what happens at the request's own time."""
    for window in _used_windows(feature_set):
        if not window.sees_request_moment:
            continue
        tables = " and ".join(window.union)
        cure = "end: 0s open leaves" if window.frame == "rows_range" else "current_time and current_row in exclude leave"
        own = " and the request's own row, with '' and 0 in the columns that it lacks" if window.sees_current_row else ""
        message = f"it sees rows of {tables} at the request's own time{own}: {cure} only what came before."
        yield Finding(f"features.windows.{window.name}", message)


def only_current_row(feature_set: FeatureSet) -> Iterator[Finding]:
    """Windows without union that leave out the table's rows."""
    for window in _used_windows(feature_set):
        if window.instance_not_in_window and not window.union:
            message = "without union, leaving out instances leaves the request's own row alone."
            yield Finding(f"features.windows.{window.name}.exclude", message)


def cut_by_merging(feature_set: FeatureSet) -> Iterator[Finding]:
    """Rows that OpenMLDB looks back to over a range window's rows, further than that window's MAXSIZE keeps them.

    It evaluates a ROWS window together with a range over the same rows, and takes `at(x, n)` that is a whole feature for a frame of n rows.
    """
    for block in feature_set.blocks:
        windows = [feature_set.windows[name] for name in block.windows]
        back = [
            (window, f"{window.name} ({window.start.text} rows)", window.start.value, window.start.unbounded)
            for window in windows
            if window.frame == "rows"
        ]
        back += [
            (feature_set.windows[str(feature.window)], f"{feature.name} ({rows} rows back)", rows, False)
            for feature in block.features
            if (rows := _rows_back(feature)) is not None
        ]
        framed = {feature.window for feature in block.features if _rows_back(feature) is None}
        for other in (window for window in windows if window.max_size is not None and window.name in framed):
            size = other.max_size or 0
            cut = [(rows, name, unbounded) for window, name, rows, unbounded in back if _mergeable(window, other) and rows >= size]
            if cut:
                rows, name, unbounded = max(cut, key=lambda one: one[0])
                cure = "take no max_size" if unbounded else f"take a max_size above {rows}"
                message = f"OpenMLDB evaluates it together with {name} and would cut that short: {cure}."
                yield Finding(f"features.windows.{other.name}.max_size", message, error=True)


def _rows_back(feature: Feature) -> int | None:
    """n of a feature that is at(x, n) and nothing else."""
    node = feature.node
    if feature.window is None or not isinstance(node, ast.Call) or node.name != "at":
        return None
    rows = ast.constant(node.args[1])
    return rows if isinstance(rows, int) else None


def ends_mistaken_by_merging(feature_set: FeatureSet) -> Iterator[Finding]:
    """Two range windows that OpenMLDB evaluates as one although their frames end at different places, which it gets wrong.

    It does so if one end is the other without its boundary, such as 0s and 0s open, or if both have the same MAXSIZE.
    """
    for block in feature_set.blocks:
        windows = [feature_set.windows[name] for name in block.windows]
        ranges = [window for window in windows if window.frame != "rows"]
        for place, window in enumerate(ranges):
            for other in ranges[:place]:
                at_one_place = window.end.value == other.end.value
                if not _mergeable(window, other) or window.max_size != other.max_size or window.end == other.end:
                    continue
                if at_one_place or window.max_size is not None:
                    message = (
                        f"OpenMLDB evaluates it together with {other.name}, whose frame ends elsewhere, and mistakes one of them: "
                        "give one of them a max_size of its own."
                    )
                    yield Finding(f"features.windows.{window.name}.end", message, error=True)


def _mergeable(one: Window, other: Window) -> bool:
    def shared(window: Window) -> tuple[object, ...]:
        flags = window.instance_not_in_window, window.exclude_current_row, window.exclude_current_time
        return window.union, window.partition_by, window.order_by, flags

    return shared(one) == shared(other)


def keys_are_fields(feature_set: FeatureSet) -> Iterator[Finding]:
    """The sub-queries' key columns fed to the model."""
    if any(feature.is_block_key for feature in _fields(feature_set)):
        yield Finding("features.query.keys_are_fields", "the request key differs in every row; the model cannot learn anything from it.")


def unique_per_row(feature_set: FeatureSet) -> Iterator[Finding]:
    """Fields whose value is another one in (nearly) every row by construction."""
    for feature in _fields(feature_set):
        if feature.is_block_key or not isinstance(feature.node, ast.Column):
            continue
        if feature.node.table is None and feature.node.name == feature_set.request_key:
            yield Finding(feature.path, "it is the request key, another one in every row; drop it or give it kind: drop.")
        elif feature.type is SqlType.TIMESTAMP:
            yield Finding(feature.path, "a moment as it is hardly ever comes again; take dayofweek, hour or a difference of times.")


def label_in_features(feature_set: FeatureSet) -> Iterator[Finding]:
    """Fields that read what the label reads."""
    if feature_set.label is None:
        return
    label = feature_set.by_name[feature_set.label.feature]
    secret = set(_origins(feature_set, label))
    for feature in _fields(feature_set):
        for table, name in _origins(feature_set, feature):
            if (table, name) in secret:
                what = f"it reads {table}.{name}, which the label {label.name} is made of"
                if feature.window is None:
                    yield Finding(feature.path, f"{what}: the model would be told the answer.", error=True)
                else:
                    yield Finding(feature.path, f"{what}; see to it that labels in the window are known at the time of the request.")


def _origins(feature_set: FeatureSet, feature: Feature) -> Iterator[tuple[str, str]]:
    """The tables and stored columns that an expression's columns come from."""
    window = feature_set.windows[feature.window] if feature.window is not None else None
    for column in feature.columns:
        if column.table is not None:
            tables: tuple[str, ...] = (feature_set.joins[column.table].table,)
        else:
            tables = window.union if window is not None and window.union else (feature_set.request_table,)
        for table in tables:
            for name in feature_set.tables[table].stored(column.name):
                yield table, name


def calendar_zone(feature_set: FeatureSet) -> Iterator[Finding]:
    """Calendar functions, which are in UTC+8, over data of another zone."""
    from zoneinfo import ZoneInfo

    zone = ZoneInfo(feature_set.timezone)
    if {datetime(2016, month, 1, tzinfo=zone).utcoffset() for month in (1, 7)} == {timedelta(hours=8)}:
        return
    for feature in feature_set.features:
        called = {node.name for node in ast.walk(feature.node) if isinstance(node, ast.Call)} & CALENDAR_FUNCTIONS
        if called:
            message = f"{', '.join(sorted(called))} {'counts' if len(called) == 1 else 'count'} in UTC+8, as OpenMLDB does, whatever dataset.timezone ({feature_set.timezone}) says."
            yield Finding(feature.path, message)


def null_by_chance(feature_set: FeatureSet) -> Iterator[Finding]:
    """Functions whose NULLs OpenMLDB does not set."""
    for feature in feature_set.features:
        called = {node.name for node in ast.walk(feature.node) if isinstance(node, ast.Call)} & NULL_BY_CHANCE
        for name in sorted(called):
            yield Finding(
                feature.path, f"{name} may be NULL in OpenMLDB where it should not: its code never says whether there is a value."
            )


_CHECKS: tuple[Callable[[FeatureSet], Iterator[Finding]], ...] = (
    sees_request_moment,
    only_current_row,
    cut_by_merging,
    ends_mistaken_by_merging,
    keys_are_fields,
    unique_per_row,
    label_in_features,
    calendar_zone,
    null_by_chance,
)
