"""How long extracting the tutorial's features takes, from the start of the process to the file: `python bench/extract.py --json FILE`.

The first run compiles the kernels in a fresh cache; the others are warm, with jdrec's own cache of results off, and then as many that reuse the
result, and that only render. `--actions N` extracts the same features from generated tables instead, with as many requests as asked for,
in random row order, and from 5 million actions on with ten pairs of 100,000 rows. `--root` may name tables that were generated before.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import common


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--root", type=Path, default=Path("../shared/jd-recommendation"), help="folder of the JD tables")
    parser.add_argument("--runs", type=int, default=7, help="warm runs")
    parser.add_argument("--actions", type=int, help="rows of bo_action in generated tables")
    parser.add_argument("--requests", type=int, default=200_000, help="requests in generated tables")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.root.resolve()
        if arguments.actions:
            root = Path(folder) / "tables"
            generate(root, arguments.actions, arguments.requests)
        environment = common.environment(XDG_CACHE_HOME=str(Path(folder) / "cache"))
        first = extract(root, Path(folder) / "first", environment)
        warm = [extract(root, Path(folder) / str(run), environment) for run in range(arguments.runs)]
        rows = rows_of(Path(folder) / "0" / "features.parquet")
        rendered = [extract(root, Path(folder) / "render", environment, ["task=render"]) for _ in range(arguments.runs)]
        reused = [extract(root, Path(folder) / "reused", environment, ["cache.enabled=true"]) for _ in range(arguments.runs)]
    seconds = [run["seconds"] for run in warm]
    figures: dict[str, Any] = {
        "rows": rows,
        "warm runs": len(warm),
        "warm seconds, median": statistics.median(seconds),
        "warm seconds, least": min(seconds),
        "warm seconds, most": max(seconds),
        "warm processor seconds, median": statistics.median(run["processor"] for run in warm),
        "first run seconds": first["seconds"],
        "first run processor seconds": first["processor"],
        "task=render seconds, median": statistics.median(run["seconds"] for run in rendered),
        "task=render processor seconds, median": statistics.median(run["processor"] for run in rendered),
        "reused seconds, median": statistics.median(run["seconds"] for run in reused),
        "reused processor seconds, median": statistics.median(run["processor"] for run in reused),
        "peak memory MiB": max(run["memory"] for run in warm) / 2**20,
        "load average before": os.getloadavg()[0],
    }
    common.report("extract", figures, arguments.json)


def extract(root: Path, run_dir: Path, environment: dict[str, str], overrides: Sequence[str] = ()) -> dict[str, float]:
    """One process: wall and processor seconds, of its own processes too, and its peak memory in bytes."""
    command = [sys.executable, "-m", "jdrec", "+experiment=jd_tutorial", f"dataset.root={root}", f"hydra.run.dir={run_dir}"]
    where = f"cache.dir={run_dir.parent / 'cache'}"  # results are stored whether they are used or not
    start = time.perf_counter()
    process = subprocess.Popen(
        [*command, "task=extract", "cache.enabled=false", where, *overrides], env=environment, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"extract failed with status {status}")
    return {"seconds": seconds, "processor": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss * 1024}


def generate(root: Path, actions: int, requests: int) -> None:
    from jdrec.config import JdGeneratorConfig
    from jdrec.dataset.generated.folder import generate as generate_tables
    from jdrec.progress import Progress

    users = max(1000, requests // 4)
    hot = 10 if actions >= 5_000_000 else 0  # pairs with 100,000 rows
    settings = JdGeneratorConfig(
        users=users, products=max(500, users // 10), actions=actions, requests=requests, shuffle=True, hot_pairs=hot
    )
    generate_tables(settings, root, Progress())


def rows_of(file: Path) -> int:
    import pyarrow.parquet as pq

    return pq.ParquetFile(file).metadata.num_rows


if __name__ == "__main__":
    main()
