"""How many rows a second task=score scores and ranks: the tutorial's features over generated JD tables and its network, untrained.

    python bench/score.py [--candidates 100000] [--width 1000] [--layers 5] [--json FILE]

`table` scores the request table by the batch engine, `candidates` as many rows of request contexts with other products through the online store.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from common import parser, report
from serving import configuration, make_run

CHUNK = 20_000


def candidates(folder: Path, root: Path, count: int) -> Path:
    """Rows of the request table with products of other rows."""
    import numpy as np
    import pyarrow.parquet as pq

    table = pq.read_table(root / "flattenRequest_clean")
    random = np.random.default_rng(1)
    rows = table.take(random.integers(0, table.num_rows, count))
    products = table["sku_id"].take(random.integers(0, table.num_rows, count))
    file = folder / "candidates.parquet"
    pq.write_table(rows.set_column(rows.schema.get_field_index("sku_id"), "sku_id", products), file)
    return file


def measure(folder: Path, options: Any) -> dict[str, Any]:
    from jdrec.progress import Progress
    from jdrec.score.run import score
    from jdrec.stages import Run
    from jdrec.system import peak_memory

    config = configuration(folder, options.width, options.layers)
    if not (folder / "run.json").is_file():
        make_run(config, folder)
    file = candidates(folder, Path(config.dataset.root), options.candidates)
    figures: dict[str, Any] = {"network": f"{options.layers} x {options.width}"}
    for name, requests in (("table", None), ("candidates", str(file))):
        with tempfile.TemporaryDirectory(dir=folder) as out:
            section = msgspec.structs.replace(config.score, requests=requests, out=out, chunk_rows=CHUNK)
            begin = time.perf_counter()
            score(Run(msgspec.structs.replace(config, score=section), folder, Progress.silent()))
            seconds = time.perf_counter() - begin
            rows = json.loads((Path(out) / "score.json").read_text())["rows"]
        figures |= {f"{name}: rows": rows, f"{name}: seconds": seconds, f"{name}: rows a second": rows / seconds}
        figures[f"{name}: peak memory of the process so far, MiB"] = peak_memory() / 2**20
    return figures


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--candidates", type=int, default=100_000)
    arguments.add_argument("--width", type=int, default=1000)
    arguments.add_argument("--layers", type=int, default=5)
    arguments.add_argument("--folder", type=Path, help="keep the run there, and use it again")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        figures = measure(folder, options)
    report("score", figures, options.json)


if __name__ == "__main__":
    main()
