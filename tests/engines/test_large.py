"""Windows of very many rows give, bit for bit, what walking through them gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from jdrec.dataset.tables import open_tables
from jdrec.engines import extract
from jdrec.engines.embedded import category_walks, hot
from jdrec.engines.embedded.exact import units_of
from jdrec.features.spec import FeatureSet
from jdrec.progress import Progress
from tests.engines.conftest import feature_set_of

VALUES = {
    "i": "int",
    "l": "bigint",
    "m": "smallint",
    "q": "double",
    "d": "double",
    "f": "float",
    "s": "string",
    "c": "string",
    "n": "int",
    "t": "date",
    "z": "double",  # always NULL
}
TABLES = {"t1": {"id": "bigint", "k": "string", "ts": "timestamp", **VALUES}, "t2": {"k": "string", "ts": "timestamp", **VALUES}}
NUMBERS = "ilmqdf"
EXPRESSIONS = [
    *(f"{function}({column})" for function in ("sum", "avg", "median", "stddev", "var_pop") for column in NUMBERS),
    *(f"topn_frequency({column}, {n})" for column, n in zip(VALUES, (1, 40, 3, 2, 1, 40, 3, 2, 1, 40, 2), strict=True)),
    *(f"top({column}, {n})" for column, n in zip(VALUES, (1, 5, 1, 5, 2, 3, 1, 5, 1, 5, 2), strict=True)),
    *(f"entropy({column})" for column in "idsc"),
    *("count_where(i, q > 0 and s = at(s, 0))", "count_where(*, i > 0 and d = at(d, 0))", "count_where(s, n = at(n, 0) and i < 5)"),
    *("nth_value_where(i, 3, q > 0)", "nth_value_where(s, -1, i > 0)", "nth_value_where(d, -4, c = 'c1')"),
    *(
        f"{statistic}_cate({column}, {category})"
        for statistic in ("count", "sum", "avg")
        for column, category in ("ic", "in", "lt", "qn", "qt", "dc", "fn")
    ),
    *(
        f"top_n_{choice}_{what}_cate_where({x}, i < 5, s, 3)"
        for choice in ("key", "value")
        for what in ("count", "sum", "avg")
        for x in "lmqf"
    ),
    *("top_n_key_ratio_cate(i, q > 0, c, 2)", "top_n_value_ratio_cate(d, q > 0, n, 2)"),
    *(f"{statistic}_cate({column}, {category})" for statistic in ("min", "max") for column in "ild" for category in "cn"),
    *(f"top_n_{choice}_max_cate_where({x}, i < 5, c, 2)" for choice in ("key", "value") for x in "mf"),
    *("ew_avg(d, 0.5)", "ew_avg(i, 0.97)", "ew_avg(q, 1.0)", "ew_avg(q, 1e-17)"),
    *("sum(z)", "avg(z)", "median(z)", "stddev(z)", "ew_avg(z, 0.5)", "nth_value_where(z, 1, i > 0)", "sum_cate(z, c)", "max_cate(z, c)"),
    *("sum_where(q, i > 0)", "avg_where(d, i > 0)", "sum_cate_where(i, q > 0, c)"),
]
WINDOWS = {
    "all of a union": 'union: t2, range: "30d", exclude: instances',
    "history": "union: t2, range: 40s, end: 0s open, exclude: instances",
    "own rows": "range: unbounded",
    "the last rows": "rows: 60",
    "both, sized": "union: t2, range: 30d, max_size: 90, exclude: current_time",
}


def columns_of(rows: int, random: np.random.Generator, *, odd: bool) -> dict[str, Any]:
    """Values with holes; odd ones are no numbers, zeros of both signs, infinite, or so large that sums wrap around."""

    def holes(values: Any, share: float = 0.15) -> Any:
        return pa.array(values, mask=random.random(rows) < share)

    def doubles(dtype: Any) -> Any:
        plain = (random.normal(size=rows) * 10).round(1).astype(dtype)
        return (
            np.where(random.random(rows) < 0.5, random.choice(np.array([0.0, -0.0, np.nan, np.inf, 1e18], dtype), rows), plain)
            if odd
            else plain
        )

    def whole(dtype: Any) -> Any:
        large = random.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, rows, dtype)
        large[::3] = np.iinfo(dtype).min
        return large if odd else random.integers(-9, 10, rows).astype(dtype)

    return {
        "i": holes(whole(np.int32)),
        "l": holes(whole(np.int64)),
        "m": holes(whole(np.int16)),
        "q": holes(random.integers(-20, 20, rows) / 4),
        "d": holes(doubles(np.float64)),
        "f": holes(doubles(np.float32)),
        "s": holes([f"s{value}" for value in random.integers(0, 25, rows)]),
        "c": holes([f"c{value}" for value in random.integers(0, 4, rows)]),
        "n": holes(random.integers(0, 200, rows).astype(np.int32)),
        "t": holes(random.integers(17_000, 17_010, rows).astype(np.int32)).cast(pa.date32()),
        "z": pa.nulls(rows, pa.float64()),
    }


def write(root: Path, seed: int, *, odd: bool) -> None:
    random = np.random.default_rng(seed)
    for name, rows in (("t1", 180), ("t2", 300)):
        times = pa.array(random.integers(0, 120, rows) * 1000, pa.timestamp("ms", "UTC"))
        keys = pa.array(random.choice(["u", "v", "", "few"], rows, p=[0.6, 0.3, 0.08, 0.02]), mask=random.random(rows) < 0.05)
        own = {"id": np.arange(rows)} if name == "t1" else {}
        (root / name).mkdir()
        pq.write_table(pa.table({**own, "k": keys, "ts": times, **columns_of(rows, random, odd=odd)}), root / name / "part.parquet")


def bits_of(feature_set: FeatureSet, root: Path) -> dict[str, list[Any]]:
    out = root / "features.parquet"
    extract(feature_set, open_tables(feature_set, root, "UTC"), out, threads=2, progress=Progress.silent())
    table = pq.read_table(out)
    result = {}
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        if pa.types.is_floating(column.type):
            values = column.fill_null(0).to_numpy()
            number = np.where(np.isnan(values), np.nan, values)  # of all the bits that say it is no number, one choice
            column = pa.array(number.view(f"i{values.itemsize}"), mask=column.is_null().to_numpy(zero_copy_only=False))
        result[name] = column.to_pylist()
    return result


@pytest.mark.parametrize(("window", "odd"), [*((window, False) for window in WINDOWS), ("own rows", True), ("both, sized", True)])
def test_large_windows_give_what_walks_give(window: str, odd: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, 7, odd=odd)
    features = {f"f{number}": {"over": "w", "expr": expression} for number, expression in enumerate(EXPRESSIONS)}
    windows = yaml.safe_load(f"w: {{partition_by: k, {WINDOWS[window]}}}")
    definition = feature_set_of(TABLES, yaml.safe_dump({"windows": windows, "features": features}))
    monkeypatch.setattr(hot, "LARGE", 2**62)
    walked = bits_of(definition, tmp_path)
    monkeypatch.setattr(hot, "LARGE", 1)
    monkeypatch.setattr(category_walks, "_FEW_ROWS", 0)
    found = bits_of(definition, tmp_path)
    different = [expression for number, expression in enumerate(EXPRESSIONS) if found[f"f{number}"] != walked[f"f{number}"]]
    assert different == []


def test_the_least_integer_has_no_positive_counterpart() -> None:
    """Its sums are not exact, however the sum of absolute values wraps around."""
    assert units_of(np.array([-(2**63), -(2**63), 1]), np.array([0, 3]), np.dtype(np.float64)) is None


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([0.25, 1.5, -3.0], 0.25),
        ([0.0, 0.0], 1.0),
        ([6.0, 4.0], 1.0),
        ([0.1, 0.25], None),  # 0.1 has 53 bits
        ([2.0**52, 0.5], None),  # their sum has 54
        ([0.5, -0.0], None),
        ([0.5, float("nan")], None),
        ([0.5, float("inf")], None),
    ],
)
def test_units_of_exact_sums(values: list[float], unit: float | None) -> None:
    found = units_of(np.array(values), np.array([0, len(values)]), np.dtype(np.float64))
    assert (found.unit if found is not None else None) == unit
    if found is not None:
        assert (found.values * found.unit).tolist() == values
        assert found.of(np.array([0.125])) is None
