"""Random cases: a feature set, as YAML would give it, and its tables. The seed decides everything.

What OpenMLDB leaves open is not generated, see docs/parity.md: NULL times, times before 1970, results that depend on the order of rows
of one table at one time, LAST JOIN without one best row, divisions of integers by zero, casts of numbers to types that cannot hold them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from jdrec.config import Config, load
from jdrec.features import functions
from jdrec.features.types import SqlType
from tests.parity.data import RandomTable, random_table
from tests.parity.expressions import Maker

T = SqlType
_AGGREGATES = tuple(name for f in functions.FUNCTIONS.values() if f.is_aggregate for name in (f.name, *f.aliases))
_KEY_TYPES = (T.STRING, T.BIGINT, T.INT, T.SMALLINT, T.DATE, T.TIMESTAMP)


@dataclass(frozen=True)
class Case:
    """A feature set and its tables.

    Attributes:
        features: the section `features` of a configuration.
        tables: name to table; the first is the request table.
    """

    seed: int
    features: dict[str, Any]
    tables: dict[str, RandomTable]
    times: dict[str, str]

    def config(self, root: Path) -> Config:
        """The typed configuration over tables in `root`."""
        tables = {
            name: {
                "path": f"{name}.parquet",
                "time": self.times[name] or None,
                "columns": {column: t.value for column, t in table.columns.items()},
            }
            for name, table in self.tables.items()
        }
        return load({"dataset": {"root": str(root), "database": "parity", "tables": tables}, "features": self.features})

    def write(self, root: Path) -> None:
        """Puts the tables into `root`, one Parquet file each."""
        for name, table in self.tables.items():
            pq.write_table(table.arrow(), root / f"{name}.parquet")

    def with_rows(self, table: str, rows: list[dict[str, Any]]) -> Case:
        """The case with other rows in one table."""
        return replace(self, tables=self.tables | {table: RandomTable(self.tables[table].columns, rows)})

    def only(self, names: Collection[str]) -> Case:
        """The case with these features alone, and the windows and joins that they need."""
        kept = {name: feature for name, feature in self.features["features"].items() if name in names}
        windows = {feature.get("over") for feature in kept.values()}
        texts = " ".join(feature["expr"] for feature in kept.values())
        joins = {feature.get("from") for feature in kept.values()} | {join for join in self.features["joins"] if f"{join}." in texts}
        for name, join in reversed(self.features["joins"].items()):  # and those that they are joined by
            if name in joins:
                joins |= {other for other in self.features["joins"] if f"{other}." in str(join["on"])}
        section = {
            "request": self.features["request"],
            "joins": {name: join for name, join in self.features["joins"].items() if name in joins},
            "windows": {name: window for name, window in self.features["windows"].items() if name in windows},
            "derived": self.features.get("derived", {}),
            "features": kept,
        }
        return replace(self, features=section)


def generate(seed: int, *, size: int = 24, known: Collection[str] = tuple(functions.FUNCTIONS)) -> Case:
    """The case of a seed.

    Args:
        size: number of features.
        known: functions that may be used, for an engine that lacks some.
    """
    rng = random.Random(seed)
    keys = {"k1": T.STRING, "k2": rng.choice(_KEY_TYPES)}
    nulls = rng.choice([0.0, 0.1, 0.3])
    ties = rng.random() < 0.25
    tables, times = {}, {}

    def add(name: str, time: tuple[str, SqlType], rows: int, place: int, **more: Any) -> None:
        times[name] = time[0]
        tables[name] = random_table(rng, keys=keys, time=time, times=_times(rng, rows, place, ties), nulls=nulls, **more)

    add("req", ("ts", rng.choice([T.TIMESTAMP, T.TIMESTAMP, T.BIGINT])), rng.choice([1, 12, 40, 60]), 0, row_id="rid")
    event_time = ("at_ms", T.BIGINT) if rng.random() < 0.3 else ("seen", T.TIMESTAMP)
    for place, name in ((1, "u1"), (2, "u2")):
        add(name, event_time, rng.choice([0, 1, 30, 80]), place)
    for name in ("j1", "j2"):
        add(name, ("since", T.TIMESTAMP), rng.choice([0, 4, 30]), 0)
    derived = _derived(rng, tables, known) if rng.random() < 0.4 else {}
    joins = {name: _join(rng, name, tables, known) for name in ("j1", "j2")}
    if rng.random() < 0.3:
        joins["j2"]["on"] = {"join_j1.k1": "k1"} if rng.random() < 0.5 else {"join_j1.k2": "k2", "k1": "k1"}
    for name, join in joins.items():
        tables[name] = _one_best_row(rng, tables[name], join)
    branches = rng.random() < 0.35
    keys_of = ["k1", "k1", "k2", *(["e1", "e1"] if derived else [])]
    windows = {
        f"w{n}": _orderless(rng, _window(rng, keys_of)) if ties else _window(rng, keys_of)
        for n in range(8 if branches else rng.randint(2, 5))
    }
    windows = _apart(windows) if branches else _uncut(windows)
    free = list(windows)
    features = {}
    for n in range(size):
        limits = {"branches": branches, "ordered": not ties}
        features[f"x{n}"] = feature = _feature(rng, n, 7 * seed, tables, derived, joins, windows, known, free, limits)
        if branches and "over" in feature:
            free.remove(feature["over"])
    section = {
        "request": {"table": "req", "key": "rid", "time": "ts"},
        "derived": {table: {name: text for name, (text, _) in columns.items()} for table, columns in derived.items()},
        "joins": {f"join_{name}": join for name, join in joins.items()},
        "windows": windows,
        "features": features,
    }
    return Case(seed, section, tables, times)


Derived = dict[str, dict[str, tuple[str, SqlType]]]  # table to column to expression and type


def _derived(rng: random.Random, tables: dict[str, RandomTable], known: Collection[str]) -> Derived:
    """Two columns, the same of each table that windows run over: e1, fit for a key, and e2, which may read it."""
    columns = {name: type_ for name, type_ in tables["req"].columns.items() if name not in ("rid", "ts")}
    found: dict[str, tuple[str, SqlType]] = {}
    for name, types in (("e1", _KEY_TYPES), ("e2", tuple(T))):
        maker = Maker(rng, columns, windowed=False, known=known)
        made = next(made for _ in range(100) if (made := maker.of(types, 1)) is not None and maker.reads_column(made[0]))
        if name == "e1":  # of a computed NULL OpenMLDB compares what is behind it, too
            made = (f"if_null({made[0]}, {maker.literal(made[1])[0]})", made[1])
        found[name] = made
        columns = {**columns, name: made[1]}
    return dict.fromkeys(("req", "u1", "u2"), found)


def _times(rng: random.Random, rows: int, place: int, ties: bool) -> list[int]:
    """Times of a table's rows in milliseconds.

    With ties they coincide as they like. Without, no two rows of a table coincide, nor do rows of the union tables, whose place is
    1 or 2; with the request's rows (place 0) they do: what is newer then is defined.
    """
    if ties:
        spread = rng.choice([3, 10, 60])
        return [1000 * rng.randrange(spread) + rng.choice([0, 0, 0, 1, 500]) for _ in range(rows)]
    slots = range(rng.choice([rows, 2 * rows]))
    step, offset = {0: (500, 0), 1: (1000, 0), 2: (1000, 500)}[place]
    return [step * slot + offset for slot in rng.sample(slots, rows)]


def _orderless(rng: random.Random, window: dict[str, Any]) -> dict[str, Any]:
    """The window such that its rows do not depend on the order of those at the same time."""
    changed = {key: item for key, item in window.items() if key not in ("rows", "max_size", "end")}
    changed.setdefault("range", rng.choice(["1s", "5s", "2s open"]))
    exclude = set(window.get("exclude", []))
    exclude.add("instances" if "union" in window and rng.random() < 0.5 else "current_time")
    return changed | {"exclude": sorted(exclude)}


def _join(rng: random.Random, table: str, tables: dict[str, RandomTable], known: Collection[str]) -> dict[str, Any]:
    join: dict[str, Any] = {"last_join": table, "on": rng.choice(["k1", "k2", ["k1", "k2"], {"k1": "k1"}])}
    if rng.random() < 0.5:
        join["order_by"] = "since"
    if rng.random() < 0.3:
        columns = {**tables[table].columns, **{f"req.{name}": type_ for name, type_ in tables["req"].columns.items()}}
        maker = Maker(rng, columns, windowed=False, known=known)
        made = maker.of((T.BOOL,), rng.choice([1, 1, 2]))
        join["where"] = (
            made[0] if made and maker.reads_column(made[0]) else "since <= req.ts" if tables["req"].columns["ts"] is T.TIMESTAMP else "b"
        )
    return join


def _one_best_row(rng: random.Random, table: RandomTable, join: dict[str, Any]) -> RandomTable:
    """Keeps rows such that each key has one that LAST JOIN can take: Spark's choice among equals is not defined."""
    on = [join["on"]] if isinstance(join["on"], str) else list(join["on"].values() if isinstance(join["on"], dict) else join["on"])
    order = [join["order_by"]] if "order_by" in join else []
    kept: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in table.rows:
        kept.setdefault(tuple(row[name] for name in (*on, *order)), row)
    rows = list(kept.values())
    rng.shuffle(rows)
    return RandomTable(table.columns, rows)


def _window(rng: random.Random, keys: list[str]) -> dict[str, Any]:
    window: dict[str, Any] = {"partition_by": rng.choice([*keys, ["k1", "k2"]])}
    union = rng.choice([[], [], ["u1"], ["u1"], ["u2"], ["u1", "u2"]])
    if union:
        window["union"] = union if len(union) > 1 else union[0]
        if isinstance(window["partition_by"], str) and rng.random() < 0.3:
            window["partition_by"] = {window["partition_by"]: window["partition_by"]}
        if rng.random() < 0.2:
            window["request_row"] = {name: name for name in rng.sample(["i", "s", "d", "b", "dt"], 2)}
    if rng.random() < 0.05:
        window[rng.choice(["rows", "range"])] = "unbounded"
    elif rng.random() < 0.4:
        start = rng.randint(0, 6)
        end = rng.choice([0, 0, 0, rng.randint(0, start)])
        window["rows"] = f"{start} open" if start > end and rng.random() < 0.2 else start
        if end or (start and rng.random() < 0.15):
            window["end"] = f"{end} open" if start > end and "open" not in str(window["rows"]) and rng.random() < 0.2 else end
    else:
        start_ms, written = rng.choice(
            [(0, "0s"), (1, 1), (500, 500), (1000, "1s"), (2000, "2s"), (5000, "5s"), (60_000, "1m"), (86_400_000, "1d")]
        )
        window["range"] = f"{written} open" if start_ms and rng.random() < 0.2 else written
        if start_ms > 1 and rng.random() < 0.4:
            window["end"] = rng.choice(["0s open", 1, "0s"] + (["1s", "1s open"] if start_ms > 1000 else []))
        if rng.random() < 0.4:
            window["max_size"] = rng.choice([1, 2, 3, 10])
    exclude = [name for name in ("current_row", "current_time") if rng.random() < 0.2]
    if union and rng.random() < 0.5:
        exclude.append("instances")
    if exclude:
        window["exclude"] = exclude
    return window


def _rows_of(window: dict[str, Any]) -> str:
    """What two windows share that OpenMLDB evaluates together."""
    keys = window["partition_by"]
    return str([[keys] if isinstance(keys, str) else list(keys), window.get("union"), sorted(window.get("exclude", []))])


def _uncut(windows: dict[str, Any]) -> dict[str, Any]:
    """Those windows that OpenMLDB evaluates as one without mistaking a frame, see docs/parity.md.

    Their frames over the same rows end at one place, and a max_size is larger than a ROWS frame.
    """
    ends: dict[str, object] = {}
    windows = {
        name: window for name, window in windows.items() if ends.setdefault(_rows_of(window), window.get("end")) == window.get("end")
    }
    most = max(
        (int(str(window["rows"]).split()[0]) for window in windows.values() if "rows" in window and window["rows"] != "unbounded"),
        default=0,
    )
    unbounded = any(window.get("rows") == "unbounded" for window in windows.values())
    for window in windows.values():
        if "max_size" in window and window["max_size"] <= most:
            window["max_size"] = 10
        if unbounded:
            window.pop("max_size", None)
    return windows


def _apart(windows: dict[str, Any]) -> dict[str, Any]:
    """Those windows that OpenMLDB does not merge with an earlier one.

    It cannot compile an aggregate in a branch (of CASE, AND or OR) beside another one over the same rows.
    """
    kept: dict[str, Any] = {}
    seen = set()
    for name, window in windows.items():
        rows = _rows_of(window)
        if rows not in seen:
            seen.add(rows)
            kept[name] = window
    return kept


def _feature(
    rng: random.Random,
    number: int,
    turn: int,
    tables: dict[str, RandomTable],
    derived: Derived,
    joins: dict[str, Any],
    windows: dict[str, Any],
    known: Collection[str],
    free: list[str],
    limits: dict[str, bool],
) -> dict[str, Any]:
    depth = rng.choice([0, 0, 1, 1, 2, 3])
    kind = rng.random()
    feature: dict[str, Any] = {"kind": "drop"}
    if kind < 0.65 and free:
        name = rng.choice(free)
        union = windows[name].get("union")
        source = (union if isinstance(union, str) else union[0]) if union else "req"
        columns = _columns(source, tables, derived)
        if not union and rng.random() < 0.15:  # over the joined rows of the window's requests
            columns |= {f"join_{join}.{name}": type_ for join in joins for name, type_ in tables[join].columns.items()}
        maker = Maker(rng, columns, windowed=True, known=known, **limits)
        feature["over"] = name
        for _ in range(50):
            made = maker.any(depth) if number % 3 else maker.turn(turn + number // 3, depth)
            if made and any(f"{name}(" in made[0] for name in _AGGREGATES):
                return {**feature, "expr": _kept(windows, name, made[0])}
        return {**feature, "expr": "count(*)"}
    if kind < 0.8:
        join = rng.choice(list(joins))
        feature["from"] = f"join_{join}"
        columns = tables[join].columns
    elif kind < 0.85:
        columns = {f"req.{name}": type_ for name, type_ in _columns("req", tables, derived).items()}
        columns |= {f"join_{join}.{name}": type_ for join in joins for name, type_ in tables[join].columns.items()}
    else:
        columns = _columns("req", tables, derived)
    maker = Maker(rng, columns, windowed=False, known=known)
    made = maker.turn(turn + number, depth) if number % 2 else None
    return {**feature, "expr": (made or maker.any(depth))[0]}


def _kept(windows: dict[str, Any], name: str, expr: str) -> str:
    """An `at` that is the whole feature looks back no further than a max_size over the same rows keeps, see docs/parity.md."""
    alone = re.fullmatch(r"(at|lag)\((.+), (\d+)\)", expr)
    sizes = [window["max_size"] for window in windows.values() if "max_size" in window and _rows_of(window) == _rows_of(windows[name])]
    if alone is None or not sizes or int(alone[3]) < min(sizes):
        return expr
    return f"{alone[1]}({alone[2]}, {min(sizes) - 1})"


def _columns(table: str, tables: dict[str, RandomTable], derived: Derived) -> dict[str, SqlType]:
    """A table's columns with the derived ones."""
    return {**tables[table].columns, **{name: type_ for name, (_, type_) in derived.get(table, {}).items()}}
