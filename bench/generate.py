"""How long generating tables takes and how much memory: `python bench/generate.py --actions 2000000 --json FILE`."""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import common

from jdrec.config import JdGeneratorConfig
from jdrec.dataset.generated.folder import generate
from jdrec.progress import Progress


def main() -> None:
    parser = common.parser(__doc__)
    for name, default in (("users", 40_000), ("products", 5_000), ("actions", 2_000_000), ("requests", 200_000), ("days", 75)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--shuffle", action="store_true", help="rows in random order")
    arguments = parser.parse_args()
    settings = JdGeneratorConfig(
        users=arguments.users,
        products=arguments.products,
        actions=arguments.actions,
        requests=arguments.requests,
        days=arguments.days,
        shuffle=arguments.shuffle,
    )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "tables"
        start = time.perf_counter()
        report = generate(settings, root, Progress())
        seconds = time.perf_counter() - start
        size = sum(file.stat().st_size for file in root.rglob("*.parquet"))
    figures = {
        **{f"{table} rows": rows for table, rows in report.rows.items()},
        "shuffle": settings.shuffle,
        "seconds": round(seconds, 3),
        "actions a second": round(settings.actions / seconds),
        "peak memory MiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "Parquet MiB": round(size / 2**20, 1),
        "label rate": round(report.label_rate, 4),
        "best possible AUC": round(report.best_auc or float("nan"), 4),
        "AUC of attributes alone": round(report.attributes_auc or float("nan"), 4),
    }
    common.report("generate", figures, arguments.json)


if __name__ == "__main__":
    main()
