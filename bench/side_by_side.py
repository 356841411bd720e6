"""OpenMLDB's engine on local Spark beside the embedded one: same tables, same machine, from the start of each process to its file.

    python bench/side_by_side.py [--actions 0 1000000 5000000] [--runs 3] [--json FILE]

The tutorial's features; 0 actions stands for the JD tables themselves, other numbers for generated ones with a request for every 25 actions, in random row
order. The engines take turns; of several runs the median counts. Where their files differ in a cell, the script says so and fails. Needs the
extra `spark` and Java. jdrec's cache of results is off, the kernels have been compiled before.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import common
import extract as extract_bench

PER_REQUEST = 25  # actions


def main() -> None:
    parser = common.parser(__doc__ or "")
    parser.add_argument("--root", type=Path, default=Path("../shared/jd-recommendation"), help="folder of the JD tables")
    parser.add_argument("--actions", type=int, nargs="+", default=[0, 1_000_000, 5_000_000], help="rows of bo_action; 0: the JD tables")
    parser.add_argument("--runs", type=int, default=1, help="of each engine and size")
    parser.add_argument("--driver-memory", default="8g", help="Spark's")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    differing = 0
    for actions in arguments.actions:
        with tempfile.TemporaryDirectory() as folder:
            root = arguments.root.resolve()
            if actions:
                root = Path(folder) / "tables"
                extract_bench.generate(root, actions, max(1000, actions // PER_REQUEST))
            size = f"{actions:,} actions" if actions else "JD tables"
            differing += compare(root, Path(folder), size, arguments.runs, arguments.driver_memory, figures)
    figures["load average"] = os.getloadavg()[0]
    common.report("side by side", figures, arguments.json)
    if differing:
        raise SystemExit(f"{differing:,} cells differ")


def compare(root: Path, folder: Path, size: str, runs: int, driver_memory: str, figures: dict[str, Any]) -> int:
    """Adds one size's figures; how many cells differ."""
    overrides = {"spark": ["engine=spark", f"engine.driver_memory={driver_memory}"], "embedded": ["engine=embedded"]}
    found: dict[str, list[dict[str, float]]] = {engine: [] for engine in overrides}
    extract_bench.extract(root, folder / "warm", common.environment())
    for _ in range(runs):
        for engine, more in overrides.items():
            found[engine].append(extract_bench.extract(root, folder / engine, common.environment(), more))
    seconds = {engine: statistics.median(run["seconds"] for run in taken) for engine, taken in found.items()}
    for engine, taken in found.items():
        figures[f"{size}, {engine}, seconds"] = seconds[engine]
        figures[f"{size}, {engine}, processor seconds"] = statistics.median(run["processor"] for run in taken)
    figures[f"{size}, times as fast"] = seconds["spark"] / seconds["embedded"]
    differing = differences(folder / "spark" / "features.parquet", folder / "embedded" / "features.parquet")
    figures[f"{size}, cells that differ"] = differing
    return differing


def differences(one: Path, other: Path) -> int:
    """How many cells differ: bit for bit, NULL like NULL."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    left, right = pq.read_table(one), pq.read_table(other)
    if left.schema != right.schema or len(left) != len(right):
        raise SystemExit(f"{one} and {other} differ in columns or rows")
    result = 0
    for name in left.column_names:
        a, b = left.column(name).combine_chunks(), right.column(name).combine_chunks()
        if pa.types.is_floating(a.type):
            bits = pa.int64() if a.type == pa.float64() else pa.int32()
            a, b = a.view(bits), b.view(bits)
        same = pc.or_(pc.fill_null(pc.equal(a, b), False), pc.and_(pc.is_null(a), pc.is_null(b)))
        result += len(a) - (pc.sum(same).as_py() or 0)
    return result


if __name__ == "__main__":
    main()
