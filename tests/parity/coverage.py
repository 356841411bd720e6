"""What random cases hold: how often each function, each option of windows and joins, and each kind of table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from jdrec.features.functions import FUNCTIONS
from tests.parity.expressions import UNFIT
from tests.parity.generate import Case

_NAMES = {name: function.name for function in FUNCTIONS.values() for name in (function.name, *function.aliases)}
_CALL = re.compile(r"([a-z_][a-z_0-9]*)\(")
_OPERATORS = re.compile(r" (and|or|xor|in|between|like|is|div|=|!=|<|<=|>|>=|\+|-|\*|/|%) |(case when|not |cast\()")


def coverage(case: Case) -> Counter[str]:
    """How often a case has what could make engines differ; the names are those of `expected`, and more."""
    return Counter(_functions(case)) + Counter(_windows(case)) + Counter(_joins(case)) + Counter(_tables(case))


def expected() -> list[str]:
    """All that enough cases have to hold."""
    windows = ["rows", "range", "rows open", "range open", "rows end", "range end", "rows end open", "range end open", "rows unbounded"]
    windows += ["range unbounded", "max_size", "no union", "union of 1", "union of 2", "one key", "two keys", "key of another name"]
    windows += ["derived key", "request_row", "exclude instances", "exclude current_row", "exclude current_time", "exclude 2", "exclude 3"]
    windows += ["over a join", "ties"]
    joins = ["join on one", "join on several", "join by a join", "join order_by", "join where"]
    tables = ["empty union table", "empty joined table", "one request", "no NULL", "NULL", "NULL key", "bigint time", "derived"]
    return [f"{name}()" for name in FUNCTIONS if name not in UNFIT] + [*windows, *joins, *tables]


def _functions(case: Case) -> Iterator[str]:
    texts = [feature["expr"] for feature in case.features["features"].values()]
    texts += [text for columns in case.features.get("derived", {}).values() for text in columns.values()]
    texts += [join["where"] for join in case.features["joins"].values() if "where" in join]
    for text in texts:
        yield from (f"{_NAMES[name]}()" for name in _CALL.findall(text) if name in _NAMES)
        yield from (f"operator {(one or other).strip('( ')}" for one, other in _OPERATORS.findall(text))


def _windows(case: Case) -> Iterator[str]:
    for feature in case.features["features"].values():
        if "over" in feature and "join_" in feature["expr"]:
            yield "over a join"
    for window in case.features["windows"].values():
        frame = "rows" if "rows" in window else "range"
        yield frame
        for key in (frame, "end"):
            if key in window:
                suffix = "" if key == frame else " end"
                yield f"{frame}{suffix}" if key == "end" else f"{frame} unbounded" if window[key] == "unbounded" else "bounded"
                if "open" in str(window[key]):
                    yield f"{frame}{suffix} open"
        yield from (key for key in ("max_size", "request_row") if key in window)
        union = window.get("union", [])
        yield {0: "no union", 1: "union of 1", 2: "union of 2"}[1 if isinstance(union, str) else len(union)]
        keys = window["partition_by"]
        yield "two keys" if len([keys] if isinstance(keys, str) else keys) > 1 else "one key"
        if isinstance(keys, dict):
            yield "key of another name"
        if "e1" in keys:
            yield "derived key"
        exclude = window.get("exclude", [])
        yield from (f"exclude {name}" for name in exclude)
        if len(exclude) > 1:
            yield f"exclude {len(exclude)}"


def _joins(case: Case) -> Iterator[str]:
    for join in case.features["joins"].values():
        yield "join on several" if len([join["on"]] if isinstance(join["on"], str) else join["on"]) > 1 else "join on one"
        yield from (f"join {key}" for key in ("order_by", "where") if key in join)
        if "join_" in str(join["on"]):
            yield "join by a join"


def _tables(case: Case) -> Iterator[str]:
    if case.features.get("derived"):
        yield "derived"
    if len(case.tables["req"].rows) == 1:
        yield "one request"
    for name, table in case.tables.items():
        if not table.rows:
            yield "empty joined table" if name.startswith("j") else "empty union table"
        values = [value for row in table.rows for value in row.values()]
        if values:
            yield "NULL" if None in values else "no NULL"
        if any(row["k1"] is None or row["k2"] is None for row in table.rows):
            yield "NULL key"
        time = case.times[name]
        yield f"{table.columns[time].value} time"
        if not name.startswith("j") and len({row[time] for row in table.rows}) < len(table.rows):
            yield "ties"
