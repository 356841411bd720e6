"""The generator: the seed decides, definitions are valid, and what makes engines differ is really in there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from jdrec.features.resolve import resolve
from tests.parity.coverage import coverage, expected
from tests.parity.generate import Case, generate
from tests.parity.shrink import describe, shrink
from tests.parity.test_parity import FIRST_SEED, SETS

SEEDS = range(60)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [generate(seed) for seed in SEEDS]


def test_the_seed_decides_everything() -> None:
    assert generate(7) == generate(7)
    assert generate(7) != generate(8)


def test_every_case_is_a_valid_definition(cases: list[Case]) -> None:
    for case in cases:
        assert len(resolve(case.config(Path("."))).features) > 24


def test_what_makes_engines_differ_is_there(cases: list[Case]) -> None:
    windows = [window for case in cases for window in case.features["windows"].values()]
    joins = [join for case in cases for join in case.features["joins"].values()]
    for key in ("rows", "range", "end", "max_size", "exclude", "union"):
        assert sum(key in window for window in windows) > 10, key
    assert {name for window in windows for name in window.get("exclude", [])} == {"instances", "current_row", "current_time"}
    assert any(isinstance(window.get("union"), list) for window in windows)
    assert any("order_by" in join for join in joins) and any(isinstance(join["on"], list) for join in joins)
    rows = [row for case in cases for table in case.tables.values() for row in table.rows]
    assert any(row["k1"] is None for row in rows) and any(row["k1"] == "" for row in rows)
    assert any(not table.rows for case in cases for table in case.tables.values())


def test_times_coincide_where_the_result_is_defined(cases: list[Case]) -> None:
    tied = {
        case.seed: any(len({row[case.times[name]] for row in table.rows}) < len(table.rows) for name, table in case.tables.items())
        for case in cases
    }
    assert 5 < sum(tied.values()) < 40
    for case in cases:
        request, union = ({row[case.times[name]] for row in case.tables[name].rows} for name in ("req", "u1"))
        if not tied[case.seed] and len(request) > 30 and len(union) > 20:
            assert request & union, case.seed


def test_shrinking_keeps_what_differs() -> None:
    case = generate(1)
    table = case.tables["req"].rows
    culprit = next(row for row in table if row["i"] is not None)
    case.features["features"]["x0"] = {"kind": "drop", "expr": "i + 1"}

    small = shrink(case, "x0", lambda tried: "x0" in tried.features["features"] and culprit in tried.tables["req"].rows)
    assert small is not None
    assert small.tables["req"].rows == [culprit]
    assert list(small.features["features"]) == ["x0"]
    assert all(not rows.rows for name, rows in small.tables.items() if name != "req")
    assert describe(small)[0] == 'features: {"x0":{"kind":"drop","expr":"i + 1"}}'
    assert shrink(case, "x0", lambda tried: False) is None


def test_forty_sets_have_every_function_and_option() -> None:
    found: Counter[str] = Counter()
    for seed in range(FIRST_SEED, FIRST_SEED + SETS):
        found += coverage(generate(seed))
    assert [name for name in expected() if not found[name]] == []
