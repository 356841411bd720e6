"""What each kind of aggregate costs where one key has very many rows: `python bench/hot_keys.py --json FILE`.

All requests are of one user, a second apart, and each looks back at all before it, without MAXSIZE: 100,000 requests have 5 billion rows in their
windows. Each figure is the engine's seconds for one feature, from open tables to the file, less those of a feature that needs no window. A last join
with a condition looks at as many rows of another table. What still walks is measured with a tenth of the rows, which is a hundredth of the work.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import common
import numpy as np

COLUMNS = {
    "id": "bigint",
    "user": "string",
    "at": "timestamp",
    "shop": "string",
    "item": "string",
    "units": "int",
    "price": "double",
    "weight": "double",
}
KINDS = {
    "count": "count(*)",
    "count_where": "count_where(item, units > 2)",
    "count_where, the same as the request's": "count_where(item, item = at(item, 0))",
    "count_where, the same and a condition": "count_where(item, units > 2 and shop = at(shop, 0))",
    "distinct_count": "distinct_count(item)",
    "topn_frequency of 30 values": "topn_frequency(shop, 3)",
    "topn_frequency of 20,000 values": "topn_frequency(item, 3)",
    "top1_ratio": "top1_ratio(item)",
    "sum of integers": "sum(units)",
    "min": "min(weight)",
    "sum of prices in quarters": "sum(price)",
    "sum of doubles": "sum(weight)",
    "avg of doubles": "avg(weight)",
    "avg_where of doubles": "avg_where(weight, units > 2)",
    "stddev": "stddev(weight)",
    "median": "median(weight)",
    "top": "top(weight, 3)",
    "nth_value_where": "nth_value_where(weight, 3, units > 2)",
    "ew_avg": "ew_avg(weight, 0.1)",
    "entropy of 30 values": "entropy(shop)",
    "count_cate": "count_cate(units, shop)",
    "sum_cate of integers": "sum_cate(units, shop)",
    "avg_cate of doubles": "avg_cate(weight, shop)",
    "max_cate": "max_cate(weight, shop)",
    "top_n_value_count_cate_where": "top_n_value_count_cate_where(units, units > 2, shop, 3)",
    "top_n_key_ratio_cate": "top_n_key_ratio_cate(units, units > 2, shop, 3)",
}
WALKS = {  # what still looks at every row, or every different value, of every window
    "entropy of 20,000 values": "entropy(item)",
    "drawdown": "drawdown(price)",
    "count_where, compared with the request's": "count_where(units, weight > at(weight, 0))",
}
JOINS = {
    "last join": "{last_join: prices, on: user}",
    "last join, where earlier": "{last_join: prices, on: user, order_by: since, where: since < request.at}",
    "last join, where earlier and equal": "{last_join: prices, on: user, order_by: since, where: since < request.at and item = request.item}",
    "last join, where equal": "{last_join: prices, on: user, where: item = request.item}",
}
JOIN_FEATURES = {name: f"joins: {{j: {join}}}\nfeatures: {{f: {{from: j, expr: price}}}}" for name, join in JOINS.items()}


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="requests of the key, and rows of the joined table")
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="kinds whose names have one of these texts in them")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"rows": arguments.rows}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_tables(root, arguments.rows)
        seconds(root, "features: {nothing: {expr: id}}")  # imports, and the kernels where they are not compiled yet
        nothing = min(seconds(root, "features: {nothing: {expr: id}}") for _ in range(3))
        measure(root, definitions(KINDS) | JOIN_FEATURES, nothing, arguments.only, figures)
    with tempfile.TemporaryDirectory() as folder:
        write_tables(Path(folder), arguments.rows // 10)
        some = {f"{name}, {arguments.rows // 10:,} rows": features for name, features in definitions(WALKS).items()}
        measure(Path(folder), some, 0.0, arguments.only, figures)
    common.report("hot_keys", figures, arguments.json)


def measure(root: Path, definitions: dict[str, str], nothing: float, only: list[str] | None, figures: dict[str, Any]) -> None:
    for name, features in definitions.items():
        if not only or any(part in name for part in only):
            figures[f"{name}, s"] = max(seconds(root, features) - nothing, 0.0)


def definitions(kinds: dict[str, str]) -> dict[str, str]:
    """The features of each kind."""
    return {
        name: f"windows: {{all: {{partition_by: user, range: unbounded}}}}\nfeatures: {{f: {{over: all, expr: '{expression}'}}}}"
        for name, expression in kinds.items()
    }


def write_tables(root: Path, rows: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(2016)
    times = pa.array(np.arange(rows) * 1000, pa.timestamp("ms", "UTC"))
    columns = {
        "user": ["hot"] * rows,
        "at": times,
        "shop": [f"shop {number}" for number in random.integers(0, 30, rows)],
        "item": [f"item {number}" for number in random.integers(0, 20_000, rows)],
        "units": random.integers(0, 6, rows).astype(np.int32),
        "price": random.integers(1, 4_000, rows) / 4,
        "weight": np.exp(random.normal(size=rows)),
    }
    request = pa.table({"id": np.arange(rows), **columns})
    prices = pa.table({"user": columns["user"], "since": times, "item": columns["item"], "price": columns["price"]})
    pq.write_table(request, root / "request.parquet")
    pq.write_table(prices.take(random.permutation(rows)), root / "prices.parquet")


def seconds(root: Path, features: str) -> float:
    """Of one extraction."""
    import yaml

    from jdrec.config import load
    from jdrec.dataset.tables import open_tables
    from jdrec.engines import extract
    from jdrec.features.resolve import resolve
    from jdrec.progress import Progress

    tables = {
        "request": {"path": "request.parquet", "time": "at", "columns": COLUMNS},
        "prices": {"path": "prices.parquet", "columns": {"user": "string", "since": "timestamp", "item": "string", "price": "double"}},
    }
    of_request = {"request": {"table": "request", "key": "id", "time": "at"}}
    feature_set = resolve(
        load(
            {"dataset": {"root": str(root), "database": "bench", "tables": tables}, "features": {**of_request, **yaml.safe_load(features)}}
        )
    )
    begin = time.perf_counter()
    extract(feature_set, open_tables(feature_set, root, "UTC"), root / "features.parquet", threads=0, progress=Progress.silent())
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
