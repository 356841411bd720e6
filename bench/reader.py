"""How fast samples come from Parquet to the trainer: ids to rows of the table, and shuffled batches from disk and memory.

    python bench/reader.py [--rows 4000000] [--memory-rows 1000000] [--threads 2] [--json FILE]

41 ids a row as preprocessing writes them: 20 fields of 2 to 100 values, 21 of 1,170 to 11 million, Zipf-distributed. With fewer rows in memory than there
are, they are held on disk and shuffled in windows. Three speeds, with the samples on disk and in memory: from Parquet with a vocabulary to learn, which a training does
once; from Parquet with the vocabulary known; and shuffled batches from the row numbers that came of either. The peak is that of a process of its own that does all of it.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import common
import numpy as np

FIELDS, BATCH = 41, 8192
SIZES = [*np.linspace(2, 100, 20).astype(int).tolist(), *(int(11_000_000 / 1.58**i) for i in range(21))]
ROW_GROUP = 1 << 16  # about what preprocessing writes


def main() -> None:
    parser = common.parser(__doc__ or "")
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--memory-rows", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the samples are written; a temporary folder by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        bytes_a_row = write_samples(Path(folder), arguments.rows)
        figures: dict[str, Any] = {
            "rows": arguments.rows,
            "fields": FIELDS,
            "threads": arguments.threads,
            "Parquet, bytes a row": bytes_a_row,
        }
        for where, memory_rows in (("disk", arguments.memory_rows), ("memory", None)):
            with get_context("spawn").Pool(1) as process:
                found = process.apply(measure, (Path(folder), memory_rows, arguments.threads))
            figures |= {f"{where}: {name}": value for name, value in found.items()}
        with get_context("spawn").Pool(1) as process:
            figures |= process.apply(parts, (Path(folder), arguments.threads))
    figures["load average"] = os.getloadavg()[0]
    common.report("reader", figures, arguments.json)


def measure(folder: Path, memory_rows: int | None, threads: int) -> dict[str, float]:
    from jdrec.system import peak_memory
    from jdrec.training.data import ShuffledStream, read_layout
    from jdrec.training.reader import SampleFile

    layout = read_layout(folder)
    warm = SampleFile(folder, "warm", layout, threads=1)  # kernels
    warm.read(warm.learn_and_read()[0])
    before = peak_memory()
    figures: dict[str, float] = {}

    def timed(name: str, rows: int, work: Callable[[], Any]) -> Any:
        """Rows a second, and the processor's seconds, which other work on the machine disturbs less."""
        start, used = time.perf_counter(), time.process_time()
        result = work()
        figures[f"{name}, rows/s"] = rows / (time.perf_counter() - start)
        figures[f"{name}, processor s a million rows"] = (time.process_time() - used) / rows * 1e6
        return result

    def open_file() -> SampleFile:
        return SampleFile(folder, "train", layout, threads=threads)

    rows = len(open_file())
    where = {"memory_rows": memory_rows, "folder": folder}
    timed("from Parquet, ids to learn", rows, lambda: open_file().learn_and_read(**where))
    vocabulary = open_file().learn()
    split = timed("from Parquet, ids known", rows, lambda: open_file().read(vocabulary, **where))
    stream = ShuffledStream(split, BATCH, seed=1)
    batches = len(split) // BATCH

    def epoch(number: int) -> None:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(lambda k: stream.batch(k).rows[0, 0], range(number * batches, (number + 1) * batches)):
                pass

    for number in (0, 1):
        timed(f"from row numbers, shuffled, epoch {number + 1}", batches * BATCH, partial(epoch, number))
    figures["ids known, million"] = vocabulary.rows / 1e6
    figures["peak memory above the start, bytes a row"] = (peak_memory() - before) / len(split)
    return figures


def parts(folder: Path, threads: int) -> dict[str, float]:
    """What the way from Parquet is made of: rows a second of each part alone, all threads."""
    import pyarrow.parquet as pq

    from jdrec.training.columns import ColumnFile
    from jdrec.training.data import read_layout
    from jdrec.training.reader import SampleFile

    layout, metadata = read_layout(folder), pq.read_metadata(folder / "train.parquet")
    columns = ColumnFile(folder / "train.parquet", metadata)
    room = [np.empty(ROW_GROUP, np.int32) for _ in range(threads)]

    def by_thread(work: Callable[[int, int, str], Any]) -> Callable[[], None]:
        def run(thread: int) -> None:
            for group in range(thread, metadata.num_row_groups, threads):
                for name in layout.columns:
                    work(thread, group, name)

        def in_all() -> None:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(run, range(threads)))

        return in_all

    file = SampleFile(folder, "train", layout, threads=threads)
    ways = {
        "Arrow's decoding": by_thread(lambda thread, group, name: columns.numbers(group, name)),
        "distinct ids and references decoded": by_thread(
            lambda thread, group, name: columns.coded(group, name, room[thread][: metadata.row_group(group).num_rows])
        ),
        "learning alone": file.learn,
        "first write to memory of the result's size": lambda: np.empty((len(file), FIELDS), np.int32).fill(1),
    }
    figures = {}
    for name, work in ways.items():
        start = time.perf_counter()
        work()
        figures[f"parts: {name}, rows/s"] = len(file) / (time.perf_counter() - start)
    return figures


def write_samples(folder: Path, rows: int) -> float:
    """Writes train.parquet, and warm.parquet with its first rows; bytes a row of the first."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    schema = pa.schema([pa.field("Label", pa.float32(), False), *(pa.field(f"C{i}", pa.int64(), False) for i in range(FIELDS))])
    options: dict[str, Any] = {"compression": "lz4", "write_statistics": False}
    with pq.ParquetWriter(folder / "train.parquet", schema, **options) as writer:
        for start in range(0, rows, ROW_GROUP):
            size = min(ROW_GROUP, rows - start)
            columns = [(random.random(size) < 0.2).astype(np.float32)]
            for values in SIZES:
                rank = np.exp(random.random(size) * np.log(values + 1)).astype(np.int64) - 1  # P(n) falls about as 1 / (n + 1)
                columns.append(scattered(rank + 1))
            batch = pa.table(columns, schema=schema)
            writer.write_table(batch)
            if not start:
                pq.write_table(batch.slice(0, 10_000), folder / "warm.parquet")
    fields = [{"name": f"f{i}", "column": f"C{i}", "encoding": "hash"} for i in range(FIELDS)]
    (folder / "data_info.json").write_text(json.dumps({"label": "Label", "fields": fields}))
    return (folder / "train.parquet").stat().st_size / rows


def scattered(numbers: np.ndarray) -> np.ndarray:
    """int64 [n]: spread as evenly as hashes are, not more so; different ones stay different. Source: SplitMix64's output function."""
    words = numbers.astype(np.uint64)
    with np.errstate(over="ignore"):
        words *= np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            words = (words ^ (words >> np.uint64(shift))) * np.uint64(factor)
        return (words ^ (words >> np.uint64(31))).view(np.int64)


if __name__ == "__main__":
    main()
