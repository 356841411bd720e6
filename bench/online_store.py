"""Latency, inserts and memory of the online store with the JD features: `python bench/online_store.py --json FILE`.

The tables are the tutorial's, repeated with other users until bo_action has as many rows as asked for, so that rows per window are as in
the JD data. Requests are the tutorial's own, of random repetitions. Everything runs on one core, unless --threads.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import common
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

BATCH = 1000  # rows of an insert
LONGEST_S = 30  # for requests while rows are inserted
EXPERIMENT = "jd_tutorial"


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--root", type=Path, default=Path("../shared/jd-recommendation"), help="folder of the JD tables")
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of bo_action")
    parser.add_argument("--requests", type=int, default=50_000, help="requests that are timed, after as many for warming up")
    parser.add_argument("--inserts", type=int, default=50_000, help="rows inserted a second meanwhile")
    parser.add_argument("--dir", type=Path, help="folder of the durable store; a temporary one by default")
    parser.add_argument("--fsync", choices=("commit", "checkpoint"), default="commit")
    parser.add_argument("--threads", action="store_true", help="insert in a thread of its own, on a core of its own, instead of in between")
    arguments = parser.parse_args()
    if not arguments.threads:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(arguments, arguments.dir or Path(folder) / "store", Path(folder))
    common.report("online_store", figures, arguments.json)


def measure(arguments: Any, store: Path, folder: Path) -> dict[str, Any]:
    from jdrec.composition import compose
    from jdrec.dataset.tables import open_tables
    from jdrec.features.resolve import resolve
    from jdrec.online import open_session
    from jdrec.progress import Progress

    copies = -(-arguments.rows // 89_187)
    root = folder / "tables"
    repeat(arguments.root, root, copies, arguments.rows)
    config = compose([f"+experiment={EXPERIMENT}", f"dataset.root={root}", f"online.dir={store}", f"online.fsync={arguments.fsync}"])
    feature_set = resolve(config)
    tables = open_tables(feature_set, root, config.dataset.timezone)
    before, start = resident(), time.perf_counter()
    session = open_session(config, feature_set, tables, Progress())
    loading = time.perf_counter() - start
    gc.collect()
    loaded = resident()
    stats = session.stats()
    actions = next(item for item in stats["stores"] if item["tables"] == ["bo_action"])
    gc.freeze()
    requests = sample(arguments.root, copies, 2 * arguments.requests)
    for request in requests[: arguments.requests]:
        session.compute_one(request)
    quiet = [once(session, request) for request in requests[arguments.requests :]]
    shares = parts(session, requests[:5000])
    gc.collect()
    gc.freeze()
    if arguments.threads:
        busy, inserted, seconds = beside(session, requests, arguments)
    else:
        busy, inserted, seconds = between(session, requests, arguments)
    meanwhile = inserted / seconds
    alone, processor = fastest(session)
    inserted += 200 * BATCH
    session.close()
    del session
    gc.collect()
    start = time.perf_counter()
    again = open_session(config, feature_set, None, Progress())
    recovering = time.perf_counter() - start
    again.close()
    rows = sum(item["rows"] for item in stats["stores"])
    slow = slow_forms(arguments.root)
    return {
        "rows of bo_action": actions["rows"],
        "keys of bo_action": actions["keys"],
        "rows of all stores": rows,
        "features": len(feature_set.features),
        "loading, seconds": loading,
        **latencies("alone", quiet),
        **latencies("while rows are inserted", busy),
        "inserted and acknowledged rows a second meanwhile": meanwhile,
        "inserted and acknowledged rows a second, inserts alone": alone,
        "processor microseconds an inserted row": processor,
        "own account of bo_action / (60 bytes a row + 200 a key)": actions["memory_bytes"] / allowed(actions),
        "resident / (60 bytes a row + 200 a key), all stores": (loaded - before) / sum(map(allowed, stats["stores"])),
        "own account MiB, all stores and joins": stats["memory_bytes"] / 2**20,
        "resident MiB, all stores and joins": (loaded - before) / 2**20,
        "recovery, seconds": recovering,
        "recovery, seconds a million rows": recovering / (rows + inserted) * 1e6,
        "disk MiB": stats["disk_bytes"] / 2**20,
        **shares,
        **slow,
        "fsync": arguments.fsync,
        "load average": os.getloadavg()[0],
    }


def allowed(store: dict[str, Any]) -> int:
    """60 bytes a row and 200 a key."""
    return 60 * store["rows"] + 200 * store["keys"]


def once(session: Any, request: dict[str, Any]) -> int:
    start = time.perf_counter_ns()
    session.compute_one(request)
    return time.perf_counter_ns() - start


def between(session: Any, requests: list[dict[str, Any]], arguments: Any) -> tuple[list[int], int, float]:
    """One thread: a batch of inserts whenever it is due, requests in between."""
    batches, times, inserted = rows_to_insert(), [], 0
    start = time.perf_counter()
    for request in requests[arguments.requests :]:
        if inserted < (time.perf_counter() - start) * arguments.inserts:
            session.insert("bo_action", next(batches))
            inserted += BATCH
        times.append(once(session, request))
        if time.perf_counter() - start > LONGEST_S:  # a machine that cannot keep up
            break
    return times, inserted, time.perf_counter() - start


def fastest(session: Any) -> tuple[float, float]:
    """Rows a second of inserts alone, and processor microseconds a row."""
    batches = rows_to_insert()
    prepared = [next(batches) for _ in range(200)]
    start, used = time.perf_counter(), time.process_time()
    for rows in prepared:
        session.insert("bo_action", rows)
    count = len(prepared) * BATCH
    return count / (time.perf_counter() - start), (time.process_time() - used) / count * 1e6


def beside(session: Any, requests: list[dict[str, Any]], arguments: Any) -> tuple[list[int], int, float]:
    """Two threads; Python hands its lock over every 50 microseconds."""
    sys.setswitchinterval(5e-5)
    batches, stop, inserted = rows_to_insert(), threading.Event(), 0

    def insert() -> None:
        nonlocal inserted
        start = time.perf_counter()
        while not stop.is_set():
            if inserted < (time.perf_counter() - start) * arguments.inserts:
                session.insert("bo_action", next(batches))
                inserted += BATCH
            else:
                time.sleep(0.001)

    thread = threading.Thread(target=insert)
    start = time.perf_counter()
    thread.start()
    times = [once(session, request) for request in requests[arguments.requests :]]
    stop.set()
    thread.join()
    return times, inserted, time.perf_counter() - start


def parts(session: Any, requests: list[dict[str, Any]]) -> dict[str, float]:
    """Shares of a request's time, in percent, each part by itself and at its best of five rounds."""
    evaluator, read = session._evaluator, session._readers[session.feature_set.request_table].read
    windows, rows = evaluator.windows, [read(request) for request in requests]
    for row in rows:
        evaluator.begin(row)
    full = list(rows[0])

    def look_up(row: list[Any]) -> None:
        cells = list(row)
        for join in evaluator.joins:
            join.look_up(cells, 0)

    def fill(row: list[Any]) -> None:
        windows.fill(row, 0)

    def evaluate(row: list[Any]) -> None:
        windows.fill(row, 0)
        windows.evaluate()

    windows.fill(rows[0], 0)
    words = windows.evaluate()
    evaluator.look_up(full, 0)

    def best(work: Any, items: list[Any]) -> float:
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            for item in items:
                work(item)
            seconds.append(time.perf_counter() - start)
        return min(seconds)

    whole, filled = best(session.compute_one, requests), best(fill, rows)
    found = {
        "reading the row": best(read, requests),
        "joins": best(look_up, rows),
        "keys and own values": filled,
        "compiled evaluator": best(evaluate, rows) - filled,
        "results": best(lambda _: windows.append([], words), rows),
        "expressions": best(lambda _: [expression(full) for expression in evaluator.expressions], rows),
    }
    shares = {f"% of a request: {name}": 100 * seconds / whole for name, seconds in found.items()}
    return {**shares, "% of a request: the rest": 100 - sum(shares.values())}


SLOW = {
    "a text function": ["++features.features.slow={expr: 'upper(pair_id)'}"],
    "median of a frame": ["++features.features.slow={over: bo_comment_sku_id_ingestionTime_0s_64d_100, expr: 'median(bad_comment_rate)'}"],
    "count_cate of a frame": ["++features.features.slow={over: bo_action_pair_id_ingestionTime_0s_14d_100, expr: 'count_cate(br, cate)'}"],
    "a conditional join": [
        "++features.joins.slow={last_join: bo_comment, on: sku_id, order_by: ingestionTime, where: 'ingestionTime < flattenRequest.eventTime'}",
        "++features.features.slow={from: slow, expr: bad_comment_rate}",
    ],
    "a window over a join's column": [
        "++features.features.slow={over: flattenRequest_user_id_eventTime_0s_14d_200, expr: 'distinct_count(bo_product_sku_id.cate)'}"
    ],
}


def slow_forms(root: Path) -> dict[str, float]:
    """What forms that Python evaluates add to a request of the tutorial's features, over the JD tables as they are: milliseconds of the processor."""
    from jdrec.composition import compose
    from jdrec.dataset.tables import open_tables
    from jdrec.features.resolve import resolve
    from jdrec.online.session import RequestSession

    requests, found = sample(root, 1, 1000), {}

    def median_and_tail(overrides: list[str]) -> np.ndarray:
        config = compose(
            [f"+experiment={EXPERIMENT}", f"dataset.root={root}", "openmldb.deployable=false", "features.query.keys=null", *overrides]
        )
        feature_set = resolve(config)
        session = RequestSession(feature_set, open_tables(feature_set, root, config.dataset.timezone))
        gc.collect()
        gc.freeze()
        for request in requests:  # warm
            session.compute_one(request)
        return np.percentile([taken(session, request) for request in requests], [50, 99])

    def taken(session: RequestSession, request: dict[str, Any]) -> float:
        start = time.thread_time_ns()
        session.compute_one(request)
        return (time.thread_time_ns() - start) / 1e6

    without = median_and_tail([])
    for name, overrides in SLOW.items():
        p50, p99 = median_and_tail(overrides) - without
        found |= {f"ms of {name}, p50": float(p50), f"ms of {name}, p99": float(p99)}
    return found


def rows_to_insert() -> Iterator[list[dict[str, Any]]]:
    """Batches of new behaviour: known and new pairs, in order of time."""
    random, now = np.random.default_rng(1), 1_461_000_000_000
    prepared = []
    for _ in range(64):
        users, products = random.integers(0, 500_000, BATCH).tolist(), random.integers(0, 200, BATCH).tolist()
        prepared.append([(f"{user}_{product}", str(random.integers(0, 60))) for user, product in zip(users, products, strict=True)])
    while True:
        for pairs in prepared:
            now += 1000
            yield [
                {"ingestionTime": now, "pair_id": pair, "time": now, "model_id": model, "type": "6", "cate": "8", "br": "214"}
                for pair, model in pairs
            ]


def latencies(name: str, nanoseconds: list[int]) -> dict[str, float]:
    milliseconds = np.array(nanoseconds) / 1e6
    return {f"ms {name}, p{p}": float(np.percentile(milliseconds, p)) for p in (50, 90, 99, 99.9)} | {
        f"ms {name}, most": float(milliseconds.max())
    }


# --- tables ------------------------------------------------------------------------------------------------------------------


def repeat(source: Path, root: Path, copies: int, rows: int) -> None:
    """The JD tables with bo_action repeated: the pairs of copy n are of users whose numbers begin with n."""
    for name in ("action", "bo_comment", "bo_product", "bo_user", "flattenRequest_clean"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to((source / name).resolve())
    table = pq.read_table(source / "bo_action")
    (root / "bo_action").mkdir()
    left = rows
    with pq.ParquetWriter(root / "bo_action" / "part.parquet", table.schema) as writer:
        for copy in range(copies):
            pairs = pc.binary_join_element_wise(str(copy), table["pair_id"], "") if copy else table["pair_id"]
            part = table.set_column(table.schema.get_field_index("pair_id"), "pair_id", pairs).slice(0, left)
            writer.write_table(part)
            left -= part.num_rows


def sample(source: Path, copies: int, count: int) -> list[dict[str, Any]]:
    """Requests as the service gets them."""
    table = pq.read_table(source / "flattenRequest_clean")
    times = table["eventTime"].cast(pa.timestamp("ms")).cast(pa.int64())
    rows = table.set_column(table.schema.get_field_index("eventTime"), "eventTime", times).to_pylist()
    random = np.random.default_rng(2)
    chosen, repetition = random.integers(0, len(rows), count).tolist(), random.integers(0, copies, count).tolist()
    result = []
    for place, copy in zip(chosen, repetition, strict=True):
        row = dict(rows[place])
        row["pair_id"] = f"{copy or ''}{row['pair_id']}"
        result.append(row)
    return result


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    main()
