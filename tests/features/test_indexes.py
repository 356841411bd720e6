"""Indexes and times to live: literal cases, each compared with what OpenMLDB's compiler derives from the same query."""

from __future__ import annotations

import re
from typing import Any

import pytest

from jdrec.config import Config
from jdrec.features import compiler
from jdrec.features.indexes import needed_indexes
from jdrec.features.resolve import resolve
from jdrec.features.spec import FeatureSet
from jdrec.features.sql import query
from tests.features.small import config, shipped

Found = dict[str, set[tuple[str, str | None, str, str]]]  # table: {(key columns, ts, ttl type, ttl)}

_INDEX = re.compile(r"index\(key=\((?P<key>[^)]*)\), ttl=(?P<ttl>\([^)]*\)|\w+), ttl_type=(?P<type>\w+)(?:, ts=`(?P<ts>\w+)`)?\)")
_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)")


def ours(feature_set: FeatureSet) -> Found:
    found = needed_indexes(feature_set)
    return {name: {(",".join(sorted(i.key)), i.ts, i.ttl_type, i.ttl) for i in indexes} for name, indexes in found.items() if indexes}


def read(ddl: list[str]) -> Found:
    """The indexes in the compiler's CREATE TABLE statements."""
    found: Found = {}
    for statement in ddl:
        table = _TABLE.match(statement)
        assert table is not None
        indexes = {(",".join(sorted(m["key"].split(","))), m["ts"], m["type"], m["ttl"]) for m in _INDEX.finditer(statement)}
        assert len(indexes) == statement.count("index(")
        if indexes:
            found[table[1]] = indexes
    return found


def over(*windows: dict[str, Any], expr: str = "count(*)") -> Config:
    return config(
        **{
            "dataset.tables.view": {"path": "view", "time": "seen", "columns": {"user": "string", "seen": "timestamp"}},
            "features.windows": {f"w{n}": window for n, window in enumerate(windows)},
            "features.features": {f"f{n}": {"over": f"w{n}", "expr": expr} for n in range(len(windows))},
        }
    )


USER = {"partition_by": "user"}
VIEW = {"partition_by": "user", "union": "view"}
CLICK = {"partition_by": "user", "union": "click"}
CASES: list[tuple[Config, Found]] = [
    (over({**USER, "rows": 10}), {"visit": {("user", "at_time", "latest", "10")}}),
    (over({**USER, "rows": "10 open", "end": 1}), {"visit": {("user", "at_time", "latest", "9")}}),
    (over({**USER, "range": "7d", "max_size": 5}), {"visit": {("user", "at_time", "absolute", "10080m")}}),
    (over({**USER, "range": "61s"}), {"visit": {("user", "at_time", "absolute", "2m")}}),
    (over({**USER, "range": "700"}), {"visit": {("user", "at_time", "absolute", "1m")}}),
    (over({**USER, "range": "7d"}, {**USER, "rows": 10}), {"visit": {("user", "at_time", "absandlat", "(10080m, 10)")}}),
    (over({**USER, "range": "7d"}, {**USER, "range": "14d", "max_size": 5}), {"visit": {("user", "at_time", "absolute", "20160m")}}),
    (
        over({**USER, "range": "7d"}, {"partition_by": ["user", "item"], "range": "1d"}),
        {"visit": {("user", "at_time", "absolute", "10080m"), ("item,user", "at_time", "absolute", "1440m")}},
    ),
    (over({**USER, "range": "7d"}, expr="at(price, 3)"), {"visit": {("user", "at_time", "latest", "3")}}),
    (over({**USER, "range": "unbounded"}), {"visit": {("user", "at_time", "absolute", "0m")}}),
    (over({**USER, "rows": "unbounded"}), {"visit": {("user", "at_time", "latest", "0")}}),
    (over({**USER, "range": "unbounded", "max_size": 3}, {**USER, "range": "1d"}), {"visit": {("user", "at_time", "absolute", "0m")}}),
    (over({**CLICK, "range": "1d", "exclude": "instances"}), {"click": {("user", "ts", "absolute", "1440m")}}),
    (over({**VIEW, "rows": 5}), {"visit": {("user", "at_time", "latest", "5")}, "view": {("user", "seen", "latest", "5")}}),
    (config(**{"features.features.f": {"from": "product", "expr": "brand"}}), {"item": {("item", None, "latest", "1")}}),
    (
        config(
            **{
                "features.joins.latest": {"last_join": "item", "on": "item", "order_by": "seen"},
                "features.features.f": {"from": "latest", "expr": "brand"},
                "features.features.g": {"from": "product", "expr": "brand"},
            }
        ),
        {"item": {("item", "seen", "latest", "1"), ("item", None, "latest", "1")}},
    ),
    (
        shipped("jd_tutorial"),
        {
            "action": {("reqId", None, "latest", "1")},
            "flattenRequest": {("user_id", "eventTime", "absandlat", "(20160m, 10)")},
            "bo_user": {("user_id", None, "latest", "1")},
            "bo_action": {("pair_id", "ingestionTime", "absolute", "20160m")},
            "bo_product": {("sku_id", None, "latest", "1")},
            "bo_comment": {("sku_id", "ingestionTime", "absandlat", "(92160m, 10)")},
        },
    ),
]


@pytest.mark.parametrize(("settings", "expected"), CASES)
def test_indexes(settings: Config, expected: Found) -> None:
    assert ours(resolve(settings)) == expected


@pytest.mark.compiler
def test_the_compiler_derives_the_same() -> None:
    by_tables: dict[tuple[str, ...], list[tuple[FeatureSet, Found]]] = {}
    for settings, expected in CASES:
        feature_set = resolve(settings)
        by_tables.setdefault(tuple(feature_set.tables), []).append((feature_set, expected))
    for cases in by_tables.values():  # one process for the cases over the same tables
        answers = compiler.answers(cases[0][0], [query(feature_set, "0.9") for feature_set, _ in cases])
        for (_, expected), answer in zip(cases, answers, strict=True):
            assert read(answer["ddl"]) == expected
