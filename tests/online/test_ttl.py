"""Time to live: what each type keeps, by a naive definition, for random rows and moments; and where it comes from."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from jdrec.config import TtlConfig
from jdrec.engines.embedded.layout import TtlRule
from jdrec.engines.embedded.stores import Encoded
from jdrec.features.types import SqlType
from jdrec.online.session import RequestSession
from jdrec.online.slabs import Slabs
from jdrec.online.ttl import FOREVER, TimeToLive, TimeToLives
from tests.engines.conftest import feature_set_of
from tests.engines.tables import write_tables

MINUTE = 60_000
TABLES = {
    "t1": {"id": "string", "k": "string", "ts": "timestamp"},
    "t2": {"k": "string", "ts": "timestamp", "n": "int"},
    "p": {"k": "string", "at": "timestamp", "v": "int"},
}
FEATURES = """
windows:
  all: {union: t2, partition_by: k, range: 100d, exclude: [instances, current_row]}
  both: {union: t2, partition_by: k, rows: 100}
joins: {latest: {last_join: p, on: k, order_by: at}, any: {last_join: p, on: k}, young: {last_join: p, on: k, order_by: at, where: v > 1}}
features:
  seen: {over: all, expr: "sum_cate(n, n)"}
  rows: {over: both, expr: count(*)}
  v: {expr: latest.v}
  w: {expr: any.v}
  x: {expr: young.v}
"""
FEATURE_SET = feature_set_of(TABLES, FEATURES)


class Clock:
    now = 0

    def __call__(self) -> int:
        return self.now


def session(folder: Path, ttl: Any) -> tuple[RequestSession, Clock]:
    clock = Clock()
    tables = write_tables(FEATURE_SET, {"t1": [], "t2": [], "p": []}, folder)
    return RequestSession(FEATURE_SET, tables, ttls=TimeToLives(ttl, FEATURE_SET), now_ms=clock), clock


def asked(store: RequestSession, name: str, ts: int) -> Any:
    return dict(zip(store.names, store.compute_one({"id": "1", "k": "a", "ts": ts}), strict=True))[name]


@pytest.mark.parametrize(
    ("ttl", "expected"),
    [
        (TtlConfig(type="absolute", minutes=2), ["1,2,3,4", "2,3,4", "3,4", "", ""]),
        (TtlConfig(type="latest", rows=2), ["3,4", "3,4", "3,4", "3,4", "3,4"]),
        (TtlConfig(type="absorlat", minutes=2, rows=3), ["2,3,4", "2,3,4", "3,4", "", ""]),
        (TtlConfig(type="absandlat", minutes=2, rows=1), ["1,2,3,4", "2,3,4", "3,4", "4", "4"]),
        (TtlConfig(type="absandlat", minutes=2), ["1,2,3,4"] * 5),  # OpenMLDB: both conditions, and one never holds
        (TtlConfig(type="absorlat", rows=1), ["4"] * 5),
        (TtlConfig(type="absolute"), ["1,2,3,4"] * 5),
    ],
)
def test_rows_are_seen_as_long_as_they_live(ttl: TtlConfig, expected: list[str], tmp_path: Path) -> None:
    store, clock = session(tmp_path, {"t2": ttl})
    clock.now = 100 * MINUTE
    for n, age in ((4, 0), (1, 90_000), (2, 60_000), (3, 30_000)):
        store.insert("t2", [{"k": "a", "ts": clock.now - age, "n": n}])
    seen = []
    for moment in (0, 30_000, 60_000, 120_000, 10 * MINUTE):  # a row expires when it is exactly so old
        clock.now = 100 * MINUTE + moment
        seen.append(asked(store, "seen", 101 * MINUTE))
    assert seen == [",".join(f"{n}:{n}" for n in text.split(",") if n) for text in expected]
    clock.now = 100 * MINUTE + 10 * MINUTE
    store.expire()
    assert asked(store, "seen", 101 * MINUTE) == seen[-1]


def test_the_tables_of_a_union_age_each_in_its_own_way(tmp_path: Path) -> None:
    store, clock = session(tmp_path, {"t2": TtlConfig(type="absolute", minutes=1), "t1": TtlConfig(type="latest", rows=2)})
    clock.now = 100 * MINUTE
    store.insert("t2", [{"k": "a", "ts": clock.now - age, "n": 1} for age in (50_000, 30_000, 10_000)])
    store.insert("t1", [{"id": "1", "k": "a", "ts": clock.now - age} for age in (45_000, 35_000, 5_000)])
    found = []
    for moment in (0, 10_000, 30_000, 50_000):
        clock.now = 100 * MINUTE + moment
        found.append(asked(store, "rows", 101 * MINUTE))
    assert found == [6, 5, 4, 3]  # three, two, one, none of t2; two of t1; the request


def test_joined_rows_age(tmp_path: Path) -> None:
    store, clock = session(tmp_path, {"p": TtlConfig(type="absolute", minutes=1)})
    clock.now = 100 * MINUTE
    store.insert("p", [{"k": "a", "at": clock.now - 30_000, "v": 3}, {"k": "a", "at": clock.now - 40_000, "v": 2}])
    found = []
    for moment in (0, 20_000, 30_000, 59_999, 60_000):
        clock.now = 100 * MINUTE + moment
        found.append(tuple(asked(store, name, 101 * MINUTE) for name in "vwx"))
    assert found == [(3, 2, 3), (3, 2, 3), (None, 2, None), (None, 2, None), (None, None, None)]


def test_keys_without_rows_go(tmp_path: Path) -> None:
    store, clock = session(tmp_path, {"t2": TtlConfig(type="absolute", minutes=1), "t1": TtlConfig(type="absolute", minutes=1)})
    clock.now = 100 * MINUTE
    for number in range(500):
        store.insert("t2", [{"k": str(number % 50), "ts": clock.now + number, "n": number}])
    taken = store.memory_bytes
    assert [item["keys"] for item in store.stats()["stores"]] == [50, 50]
    clock.now += 2 * MINUTE
    assert store.expire() == 1000
    assert [(item["rows"], item["keys"]) for item in store.stats()["stores"]] == [(0, 0), (0, 0)]
    for number in range(500):
        store.insert("t2", [{"k": str(number % 50), "ts": clock.now + number, "n": number}])
    assert store.memory_bytes <= taken * 1.1  # what was freed is used again


def test_derived_as_openmldb_derives_it(tmp_path: Path) -> None:
    ttls = TimeToLives("derived", FEATURE_SET)
    assert ttls.describe(["t2", "p"]) == {"t2 by k": "absandlat (144000 minutes, 100 rows)", "p by k": "latest (1 rows)"}
    assert ttls.of("t2", ["k"], "ts") == TimeToLive(TtlRule.ABSANDLAT, 144_000 * MINUTE, 100)
    assert ttls.of("t2", ["n"], "ts") == FOREVER
    assert (ttls.longest_age_ms("t2"), TimeToLives({"t2": TtlConfig(type="absolute", minutes=3)}, FEATURE_SET).longest_age_ms("t2")) == (
        0,
        3 * MINUTE,
    )


# --- slabs -------------------------------------------------------------------------------------------------------------------


class Naive:
    """Groups as sorted lists of (time, role, order of arrival, value)."""

    def __init__(self, ttls: list[TimeToLive]):
        self.ttls, self.groups, self.arrived = ttls, {}, 0
        self.groups: dict[int, list[tuple[int, int, int, int]]] = {}

    def insert(self, group: int, time: int, role: int, value: int, now: int) -> None:
        self.arrived += 1
        rows = self.groups.setdefault(group, [])
        rows.append((time, role, self.arrived, value))
        rows.sort(key=lambda row: row[:3])
        self.expire(group, now)

    def expire(self, group: int, now: int) -> None:
        rows = self.groups[group]
        kept, seen = [], [0] * len(self.ttls)
        for row in reversed(rows):
            ttl = self.ttls[row[1]]
            seen[row[1]] += 1
            old, surplus = ttl.age_ms > 0 and row[0] <= now - ttl.age_ms, 0 < ttl.rows < seen[row[1]]
            gone = (old and surplus) if ttl.rule is TtlRule.ABSANDLAT else (old or surplus)
            if not gone or ttl.forever:
                kept.append(row)
        self.groups[group] = kept[::-1]


@pytest.mark.parametrize("seed", range(24))
def test_slabs_hold_what_lists_hold(seed: int) -> None:
    random = Random(seed)
    rules = [TtlRule.FOREVER, TtlRule.ABSOLUTE, TtlRule.LATEST, TtlRule.ABSORLAT, TtlRule.ABSANDLAT]
    ttls = [TimeToLive(random.choice(rules), random.choice([40, 200]), random.choice([1, 3, 9])) for _ in range(random.choice([1, 1, 3]))]
    empty = [Encoded(SqlType.INT, np.zeros(0, np.int32), None), Encoded(SqlType.SMALLINT, np.zeros(0, np.int16), np.zeros(0, np.uint8))]
    roles = np.zeros(0, np.uint8) if len(ttls) > 1 else None
    slabs = Slabs(np.zeros(0, np.int64), roles, np.zeros(0, np.int64), empty, ttls)
    naive, now = Naive(ttls), 0
    for _ in range(8):
        naive.groups[slabs.add_group()] = []
    for value in range(1500):
        now += random.randrange(3)
        group, role, time = random.randrange(8), random.randrange(len(ttls)), max(0, now - random.choice([0, 0, 1, 5, 60]))
        values = [Encoded(SqlType.INT, np.array([value], np.int32), None), Encoded(SqlType.SMALLINT, np.array([value], np.int16), None)]
        slabs.insert(np.array([group], np.int32), np.array([time], np.int64), role, values)
        slabs.expire(group, group + 1, now)
        naive.insert(group, time, role, value, now)
        if value % 50 == 0:
            for number, rows in naive.groups.items():
                slabs.expire(number, number + 1, now)
                naive.expire(number, now)
                rows = naive.groups[number]
                begin, end = int(slabs.begins[number]), int(slabs.ends[number])
                assert slabs.times[begin:end].tolist() == [row[0] for row in rows]
                assert slabs.columns[0].values[begin:end].tolist() == [row[3] for row in rows]
                assert slabs.columns[1].values[begin:end].tolist() == [row[3] for row in rows]
    assert slabs.rows == sum(map(len, naive.groups.values()))
