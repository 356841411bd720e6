"""Keys with very many rows: what spares the walk through their windows gives what the walk gives, and the work is not quadratic."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jdrec.dataset.tables import open_tables
from jdrec.engines import extract
from jdrec.engines.embedded import hot
from jdrec.features.spec import FeatureSet
from jdrec.features.types import SqlType
from jdrec.progress import Progress
from tests.engines.conftest import feature_set_of

TABLES = {
    "t1": {"id": "bigint", "k": "string", "ts": "timestamp"},
    "t2": {"k": "string", "ts": "timestamp", "i": "int", "l": "bigint", "d": "double", "f": "float", "s": "string"},
}
FEATURES = """
windows:
  past: {{union: t2, partition_by: k, range: "{range}", {more} exclude: instances}}
features:
  rows: {{over: past, expr: count(*)}}
  ints: {{over: past, expr: count(i)}}
  few: {{over: past, expr: "count_where(d, i > 0 and i < 50)"}}
  total: {{over: past, expr: sum(i)}}
  wraps: {{over: past, expr: sum(l)}}
  mean: {{over: past, expr: avg(i)}}
  least: {{over: past, expr: min(i)}}
  most: {{over: past, expr: max(d)}}
  single: {{over: past, expr: min(f)}}
  last: {{over: past, expr: max(s)}}
  kinds: {{over: past, expr: distinct_count(s)}}
  top: {{over: past, expr: "topn_frequency(s, 2)"}}
  share: {{over: past, expr: top1_ratio(s)}}
  where: {{over: past, expr: "max_where(d, i > 0)"}}
"""


def feature_set(range_: str, more: str = "") -> FeatureSet:
    return feature_set_of(TABLES, FEATURES.format(range=range_, more=more))


def tables_of(root: Path, requests: int, rows: int) -> dict[str, pa.Table]:
    """Rows and requests of one key in random order, one of each a second."""
    random = np.random.default_rng(3)

    def times(count: int) -> Any:
        return pa.array(random.permutation(count) * 1000, pa.timestamp("ms", "UTC"))

    def holes(values: Any, share: float = 0.2) -> Any:
        return pa.array(values, mask=random.random(rows) < share)

    doubles = random.normal(size=rows)
    doubles[random.random(rows) < 0.1] = np.nan
    tables = {
        "t1": pa.table({"id": np.arange(requests), "k": ["hot"] * requests, "ts": times(requests)}),
        "t2": pa.table(
            {
                "k": ["hot"] * rows,
                "ts": times(rows),
                "i": holes(random.integers(-100, 100, rows).astype(np.int32)),
                "l": holes(random.integers(-(2**63), 2**63, rows, np.int64)),
                "d": holes(doubles),
                "f": holes(np.where(random.random(rows) < 0.5, 0.0, -0.0).astype(np.float32)),
                "s": holes([f"s{value}" for value in random.integers(0, 30, rows)]),
            }
        ),
    }
    for name, table in tables.items():
        (root / name).mkdir(parents=True)
        pq.write_table(table, root / name / "part.parquet", row_group_size=7_000)
    return tables


def features_of(feature_set: FeatureSet, root: Path) -> pa.Table:
    extract(feature_set, open_tables(feature_set, root, "Asia/Shanghai"), root / "features.parquet", threads=2, progress=Progress.silent())
    table = pq.read_table(root / "features.parquet")
    for number, feature in enumerate(feature_set.features):  # compared bit for bit
        if feature.type.is_float:
            bits = pa.int64() if feature.type is SqlType.DOUBLE else pa.int32()
            table = table.set_column(number, feature.name, table.column(number).combine_chunks().view(bits))
    return table


@pytest.mark.parametrize("window", [("30d", ""), ("6000s", ""), ("2h", "max_size: 4100,"), ("30s", "")])
def test_help_gives_what_walks_give(window: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables_of(tmp_path, 3_000, 9_000)
    definition = feature_set(*window)
    monkeypatch.setattr(hot, "MANY", 1)
    helped = features_of(definition, tmp_path)
    monkeypatch.setattr(hot, "MANY", 2**62)
    walked = features_of(definition, tmp_path)
    for name in walked.column_names:
        assert helped.column(name).equals(walked.column(name)), name
    assert len(set(walked["wraps"].to_pylist())) > 1_000


def test_the_largest_window_is_the_whole_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hot, "MANY", 1)
    rows = tables_of(tmp_path, 9_000, 9_000)["t2"]
    last = features_of(feature_set("30d"), tmp_path).to_pylist()[int(np.argmax(pq.read_table(tmp_path / "t1")["ts"].to_numpy()))]
    ints = rows["i"].drop_null().to_numpy().astype(np.int64)
    # The request is a row of zeros.
    assert (last["rows"], last["ints"], last["total"], last["least"]) == (9_001, len(ints) + 1, ints.sum(), ints.min())
    assert np.int64(last["mean"]).view(np.float64) == ints.sum() / (len(ints) + 1)
    assert np.int64(last["most"]).view(np.float64) == np.nanmax(rows["d"].to_numpy())
    assert (last["last"], last["kinds"]) == ("s9", 31)  # the NULLs count as ''
    assert np.int32(last["single"]).view(np.float32).tobytes() == np.float32(-0.0).tobytes()


@pytest.mark.parametrize("more", ["", "max_size: 50000,"])
def test_the_work_is_not_quadratic(more: str, tmp_path: Path) -> None:
    """100,000 requests over up to 100,000 rows are 5 billion steps for each aggregate that walks, more than half a minute for all."""
    tables_of(tmp_path, 100_000, 100_000)
    definition = feature_set("30d", more)
    before = time.process_time()
    features_of(definition, tmp_path)
    assert time.process_time() - before < 10
