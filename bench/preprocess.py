"""How fast values become ids, and rows become samples.

    python bench/preprocess.py [--rows 2000000] [--values 20000000] [--json FILE]

Repeated strings: 100,000 distinct ones, Zipf-distributed. Unique strings: as long as the tutorial's request ids. The whole stage runs over
generated features of the tutorial's shape: 13 numbers and 28 categorical fields, time split, quantile buckets, all files written.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from common import parser, report

from jdrec import preprocess
from jdrec.config import PreprocessConfig
from jdrec.features.expression import Column
from jdrec.features.spec import Block, Feature, FeatureSet, Kind, Label, Table
from jdrec.features.types import SqlType
from jdrec.preprocess.canonical import Canonical
from jdrec.preprocess.tutorial import Tutorial
from jdrec.progress import Progress

THREADS = 2
DAY_MS = 86_400_000


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--rows", type=int, default=2_000_000, help="rows of the whole stage")
    arguments.add_argument("--values", type=int, default=20_000_000, help="values a column of strings")
    options = arguments.parse_args()
    figures: dict[str, Any] = {"rows": options.rows, "values": options.values, "threads": THREADS}
    figures |= encoding(options.values)
    with tempfile.TemporaryDirectory() as folder:
        write_features(features_of_the_tutorials_shape(), options.rows, Path(folder) / "features.parquet")
        with get_context("spawn").Pool(1) as process:  # a process of its own, so that its peak memory is the stage's
            figures |= process.apply(stage, (options.rows, Path(folder)))
        figures |= one_request(Path(folder))
    report("preprocess", figures, options.json)


def encoding(count: int) -> dict[str, Any]:
    """Values a second, two threads a field each, after a check of 1,000 values against the xxhash package."""
    rng = np.random.default_rng(2016)
    words = pa.array([f"{user}_{user % 977}" for user in range(100_000)])
    repeated = words.take(pa.array(zipf(rng, count, len(words))))
    unique = pa.array([f"{i}_80005_2016-03-31 18:11:20" for i in range(count // 10)])
    canonical = Canonical("pair_id", SqlType.STRING, 10)
    canonical.column(pa.concat_arrays([words] * 11))  # enough to load the compiled kernels
    for column in (repeated, unique):
        ids = canonical.column(column)
        for row in rng.integers(0, len(column), 1000):
            expected = xxhash.xxh64_intdigest(column[int(row)].as_py().encode(), canonical.seed)
            assert int(ids[row].view(np.uint64)) == expected
    tutorial = Tutorial("pair_id", SqlType.STRING, "object", 10, "Asia/Shanghai")
    integers = pa.array(zipf(rng, count, 1000))
    number = Canonical("count", SqlType.BIGINT, 10)
    return {
        "repeated strings, values/s": rate(canonical.column, repeated),
        "unique strings, values/s": rate(canonical.column, unique),
        "integers, values/s": rate(number.column, integers),
        "tutorial encoding, repeated strings, values/s": rate(tutorial.column, repeated),
        "tutorial encoding, unique strings, values/s": rate(tutorial.column, unique.slice(0, len(unique) // 4)),
    }


def rate(encode: Callable[[pa.Array], np.ndarray], column: pa.Array) -> float:
    """Values a second of the best of three, `THREADS` columns at a time."""
    best = float("inf")
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(3):
            start = time.perf_counter()
            list(pool.map(encode, [column] * THREADS))
            best = min(best, time.perf_counter() - start)
    return THREADS * len(column) / best


def stage(rows: int, folder: Path) -> dict[str, Any]:
    """Rows a second of the whole stage, from features.parquet to the samples."""
    feature_set = features_of_the_tutorials_shape()
    start, used = time.perf_counter(), time.process_time()
    preprocess.run(
        feature_set,
        PreprocessConfig(),
        folder / "features.parquet",
        folder / "samples",
        seed=1,
        observed_until_ms=None,
        progress=Progress.silent(),
    )
    seconds = time.perf_counter() - start
    return {
        "stage, s": seconds,
        "stage, processor s a million rows": (time.process_time() - used) / rows * 1e6,
        "stage, rows/s": rows / seconds,
        "stage, peak memory GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "features.parquet, MB": (folder / "features.parquet").stat().st_size / 1e6,
        "train.parquet, MB": (folder / "samples" / "train.parquet").stat().st_size / 1e6,
    }


def one_request(folder: Path) -> dict[str, Any]:
    """Milliseconds to encode one row: as plain values, and as a record batch."""
    encoder = preprocess.Encoder.load(folder / "samples" / "encoder.json")
    batch = next(pq.ParquetFile(folder / "features.parquet").iter_batches(1))
    row = batch.to_pylist()[0]
    assert encoder.encode_row(row) == encoder.encode(batch)[0].tolist()
    figures = {}
    for name, encode in (("one row, ms", lambda: encoder.encode_row(row)), ("batch of one row, ms", lambda: encoder.encode(batch))):
        start = time.perf_counter()
        for _ in range(1000):
            encode()
        figures[name] = time.perf_counter() - start
    return figures


def features_of_the_tutorials_shape() -> FeatureSet:
    """A label, a request time, 8 counts, 5 shares, 2 ids of the row, 26 categories of 10 to a million values."""
    columns = [("request_time", SqlType.TIMESTAMP, Kind.DROP), ("label", SqlType.INT, Kind.LABEL)]
    columns += [(f"count_{i}", SqlType.BIGINT, Kind.NUMERIC) for i in range(8)]
    columns += [(f"share_{i}", SqlType.DOUBLE, Kind.NUMERIC) for i in range(5)]
    columns += [(f"row_{i}", SqlType.STRING, Kind.CATEGORICAL) for i in range(2)]
    columns += [(f"category_{i}", SqlType.STRING, Kind.CATEGORICAL) for i in range(26)]
    features = tuple(Feature(name, name, Column(0, 0, name), kind_type, kind) for name, kind_type, kind in columns)
    table = Table("request", {name: kind_type for name, kind_type, _ in columns}, "request.parquet", "request_time")
    block = Block("out0", "request", (), features)
    return FeatureSet(
        database="bench",
        timezone="Asia/Shanghai",
        tables={"request": table},
        request_table="request",
        request_key="row_0",
        request_time="request_time",
        joins={},
        windows={},
        blocks=(block,),
        label=Label("label"),
    )


def write_features(feature_set: FeatureSet, rows: int, file: Path) -> None:
    """Writes generated features in row groups of 131,072."""
    rng = np.random.default_rng(2016)
    categories = {f"category_{i}": pa.array([f"{i}_{value}" for value in range(int(10 ** (1 + 5 * i / 25)))]) for i in range(26)}
    schema = pa.schema([(feature.name, feature.type.arrow) for feature in feature_set.features])
    with pq.ParquetWriter(file, schema) as writer:
        for start in range(0, rows, 1 << 17):
            size = min(1 << 17, rows - start)
            times = 1_454_255_994_000 + rng.integers(0, 75 * DAY_MS, size)
            columns: list[pa.Array] = [
                pa.array(times).cast(pa.timestamp("ms", "UTC")),
                pa.array((rng.random(size) < 0.08).astype(np.int32)),
            ]
            columns += [pa.array(rng.geometric(0.2, size)) for _ in range(8)]
            columns += [pa.array(np.round(rng.random(size), 3)) for _ in range(5)]
            columns += [pa.array([f"{start + i}_80005_2016-03-31 18:11:20" for i in range(size)])] * 2
            columns += [words.take(pa.array(zipf(rng, size, len(words)))) for words in categories.values()]
            writer.write_table(pa.table(columns, schema=schema))


def zipf(rng: np.random.Generator, size: int, limit: int) -> np.ndarray:
    """int64 [size] below `limit`, small numbers often: P(n) falls about as 1 / (n + 1)."""
    return np.minimum(np.exp(rng.random(size) * np.log(limit + 1)).astype(np.int64) - 1, limit - 1).clip(0)


if __name__ == "__main__":
    main()
