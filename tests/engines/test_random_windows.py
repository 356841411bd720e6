"""Random windows over random tables: batch and request time give what the naive definition gives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jdrec.engines.embedded import hot
from jdrec.online.session import RequestSession
from tests.engines import naive
from tests.engines.conftest import feature_set_of
from tests.engines.tables import batch, plain, write_tables

VALUES = {"s": "string", "i": "int", "l": "bigint", "m": "smallint", "f": "float", "d": "double", "b": "bool"}
ROW = {"k": "string", "n": "int", "ts": "timestamp", **VALUES}
TABLES = {"t1": {"id": "string", **ROW}, "t2": ROW, "t3": ROW, "p": {"k": "string", "ts": "timestamp", "s": "string", "i": "int"}}


@pytest.fixture(autouse=True, scope="module")
def _no_window_is_walked() -> Iterator[None]:
    """The batch engine takes its shortcut through large windows for all; single requests walk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hot, "MANY", 0)
        patch.setattr(hot, "LARGE", 0)
        yield


_floats = st.sampled_from([0.0, 0.1, -2.5, 1e20, 3.0, 123456789.0]).map(lambda x: float(np.float32(x)))
_cells: dict[str, st.SearchStrategy[Any]] = {
    "k": st.sampled_from([None, "", "u", "v"]),
    "n": st.sampled_from([None, 0, 7]),
    "ts": st.integers(0, 12).map(lambda second: 1000 * second),
    "s": st.sampled_from([None, "", "x", "y", "10", "9", "100", "é"]),
    "i": st.sampled_from([None, 0, 5, -1, 2**31 - 1, -(2**31)]),
    "l": st.sampled_from([None, 0, 5, 10, 2**63 - 1]),
    "m": st.sampled_from([None, 0, 3, 2**15 - 1]),
    "f": st.none() | _floats,
    "d": st.sampled_from([None, 0.0, 0.1, 0.2, 0.3, -1e18, 1e18]),
    "b": st.sampled_from([None, True, False]),
}
_row = st.fixed_dictionaries({name: _cells[name] for name in ROW})


@st.composite
def _tables(draw: st.DrawFn) -> dict[str, list[dict[str, Any]]]:
    t1 = draw(st.lists(_row, max_size=14))
    return {
        "t1": [{"id": str(number), **row} for number, row in enumerate(t1)],
        "t2": draw(st.lists(_row, max_size=10)),
        "t3": draw(st.lists(_row, max_size=5)),
        "p": draw(st.lists(st.fixed_dictionaries({name: _cells[name] for name in TABLES["p"]}), max_size=5)),
    }


@st.composite
def _window(draw: st.DrawFn) -> dict[str, Any]:
    window: dict[str, Any] = {
        "partition_by": draw(st.sampled_from(["k", "n", ["k", "n"]])),
        "union": draw(st.sampled_from([[], [], ["t2"], ["t2", "t3"], ["t3", "t2"]])),
        "exclude": draw(st.lists(st.sampled_from(["instances", "current_row", "current_time"]), unique=True)),
    }
    if draw(st.booleans()):
        start = draw(st.integers(0, 6))
        window["rows"] = draw(st.sampled_from([str(start), f"{start + 1} open"]))
        window["end"] = draw(
            st.sampled_from(["0", *(["0 open"] if start else []), *([str(start)] if start and "open" not in window["rows"] else [])])
        )
    else:
        start = draw(st.integers(1, 9))
        window["range"] = draw(st.sampled_from([f"{start}s", f"{start}s open", "100d"]))
        window["end"] = draw(st.sampled_from(["0s", "0s open", "500", "1s" if start > 1 or window["range"] == "100d" else "0s"]))
        window["max_size"] = draw(st.sampled_from([None, None, 1, 2, 5]))
    return window


_CALLS = [
    *(f"{function}({column})" for function in ("distinct_count", "count", "first_value") for column in VALUES),
    *(f"{function}({column})" for function in ("top1_ratio", "min", "max") for column in VALUES if column != "b"),
    *(f"topn_frequency({column}, {n})" for column in VALUES if column != "b" for n in (1, 3)),
    *(f"{function}({column})" for function in ("sum", "avg") for column in "ilmfd"),
    *(f"at({column}, {n})" for column in VALUES for n in (0, 1, 4)),
    *("count(*)", "count_where(*, s = at(s, 0))", "count_where(s, s = at(s, 0))", "count_where(i, i = 5)", "count_where(*, b = true)"),
    *("count_where(d, i = 5 and s = at(s, 0))", "count_where(l, f = at(f, 0))"),
]


@st.composite
def _features(draw: st.DrawFn) -> str:
    windows = {f"w{number}": window for number, window in enumerate(draw(st.lists(_window(), min_size=1, max_size=3)))}
    calls = draw(st.lists(st.tuples(st.sampled_from(sorted(windows)), st.sampled_from(_CALLS)), min_size=3, max_size=12))
    features: dict[str, Any] = {f"a{number}": {"over": window, "expr": call} for number, (window, call) in enumerate(calls)}
    features |= {"own": {"expr": "s"}, "last": {"expr": "p1.s"}, "latest": {"expr": "p2.i"}}
    joins = {"p1": {"last_join": "p", "on": "k"}, "p2": {"last_join": "p", "on": ["k"], "order_by": "ts"}}
    return yaml.safe_dump({"windows": windows, "joins": joins, "features": features}, sort_keys=False)


_RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@settings(_RELAXED, max_examples=60)
@given(_features(), _tables())
def test_batch_and_request_time_equal_the_definition(features: str, tables: dict[str, list[dict[str, Any]]]) -> None:
    check(features, tables)


@pytest.mark.slow
@settings(_RELAXED, max_examples=300)
@given(_features(), _tables())
def test_many_more(features: str, tables: dict[str, list[dict[str, Any]]]) -> None:
    check(features, tables)


def check(features: str, tables: dict[str, list[dict[str, Any]]]) -> None:
    feature_set = feature_set_of(TABLES, features)
    expected = naive.features(feature_set, tables)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = write_tables(feature_set, tables, root)
        assert batch(feature_set, files, root, threads=2) == expected
        session = RequestSession(feature_set, files, preload=["t2", "t3", "p"])
        for number in sorted(range(len(expected)), key=lambda number: (tables["t1"][number]["ts"], number)):
            request = tables["t1"][number]
            assert plain(feature_set, session.compute([request])) == [expected[number]]
            session.insert("t1", [request])
