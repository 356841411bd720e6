"""How long task=score takes to rank scored rows, and how much memory: users and products drawn evenly, so that hardly a row can be left out early."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from common import parser, report

from jdrec.score.ranking import ranked
from jdrec.system import peak_memory

_CHUNK = 50_000
_USERS, _PRODUCTS = 1_000_000, 5_000


def chunks(rows: int) -> Iterator[pa.Table]:
    """Chunks as task=score leaves them, with the JD tables' kinds of names."""
    random = np.random.default_rng(0)
    for first in range(0, rows, _CHUNK):
        count = min(_CHUNK, rows - first)
        users, products = random.integers(200_000, 200_000 + _USERS, count), random.integers(0, _PRODUCTS, count)
        yield pa.table(
            {
                "user_id": pa.array(map(str, users), pa.string()),
                "sku_id": pa.array(map(str, products), pa.string()),
                "reqId": pa.array((f"{user}_2016-02-01 00:00:00" for user in users), pa.string()),
                "row": pa.array(np.arange(first, first + count)),
                "score": pa.array(random.random(count, np.float32)),
            }
        )


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--memory-rows", type=int, default=250_000)
    options = arguments.parse_args()
    for _ in chunks(options.rows):  # what making them takes does not count
        pass
    before = peak_memory()
    begin, listed, passes = time.perf_counter(), 0, 0
    for table, _ in ranked(
        lambda: chunks(options.rows), options.rows, "user_id", "sku_id", "score", "row", 10, memory_rows=options.memory_rows
    ):
        listed, passes = listed + table.num_rows, passes + 1
    taken = (peak_memory() - before) / 2**20
    seconds = time.perf_counter() - begin
    figures = {
        "rows": options.rows,
        "rows in memory": options.memory_rows,
        "passes": passes,
        "rows listed": listed,
        "seconds, the chunks made anew in each pass": seconds,
        "memory of ranking, MiB": taken,
        "bytes a row in memory": taken * 2**20 / min(options.rows, options.memory_rows),
    }
    report("ranking", figures, options.json)


if __name__ == "__main__":
    main()
