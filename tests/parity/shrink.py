"""Makes a difference small: one feature, or as few as it takes, and as few rows."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tests.parity.generate import Case

MOST_RUNS = 40


def shrink(case: Case, feature: str, differs: Callable[[Case], bool], *, most_runs: int = MOST_RUNS) -> Case | None:
    """The case with few features and rows, still differing; None if it does not.

    Args:
        feature: the one that differs: it stays, alone if it differs alone.
        differs: runs both engines; called some `most_runs` times.
    """
    names = [name for name in case.features["features"] if name != feature]
    if not differs(case):
        return None
    if differs(case.only([feature])):
        names = []
    size = len(names)
    while size >= 1 and names:  # OpenMLDB evaluates features together: it may take another one
        at = 0
        while at < len(names):
            fewer = names[:at] + names[at + size :]
            if differs(case.only([*fewer, feature])):
                names = fewer
            else:
                at += size
        size //= 2
    case = case.only([*names, feature])
    runs = 1
    used = _tables_of(case)
    for table in case.tables:
        if table not in used:
            case = case.with_rows(table, [])
    for table in sorted(used, key=lambda name: name != "req"):
        size = max(len(case.tables[table].rows) // 2, 1)
        while size >= 1 and runs < most_runs:
            at, before = 0, len(case.tables[table].rows)
            while at < len(case.tables[table].rows) and runs < most_runs:
                rows = case.tables[table].rows
                smaller = case.with_rows(table, rows[:at] + rows[at + size :])
                runs += 1
                if (table != "req" or smaller.tables[table].rows) and differs(smaller):
                    case = smaller
                else:
                    at += size
            size = size // 2 if size > 1 or len(case.tables[table].rows) == before else 1
    return case


def describe(case: Case) -> list[str]:
    """A small case in words: its YAML and its rows, with the columns that it reads."""
    features = case.features
    text = " ".join(feature["expr"] for feature in features["features"].values())
    lines = [f"features: {_plain(features['features'])}"]
    lines += [f"{section}: {_plain(features[section])}" for section in ("windows", "joins") if features[section]]
    for name in sorted(_tables_of(case), key=lambda name: name != "req"):
        table = case.tables[name]
        shown = [c for c in table.columns if c in ("rid", "k1", "k2", case.times[name]) or c in text]
        lines.append(f"{name} ({', '.join(f'{c} {table.columns[c].value}' for c in shown)}):")
        lines += [f"  {', '.join(repr(row[c]) for c in shown)}" for row in table.rows]
    return lines


def _tables_of(case: Case) -> set[str]:
    """Names of the tables that the features read."""
    used = {"req"} | {join["last_join"] for join in case.features["joins"].values()}
    for window in case.features["windows"].values():
        union = window.get("union", [])
        used |= {union} if isinstance(union, str) else set(union)
    return used


def _plain(section: object) -> str:
    return msgspec.json.encode(section).decode()
