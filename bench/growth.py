"""How time and memory grow with the rows: extraction, preprocessing, and the online store's load.

    python bench/growth.py [--rows 1000000 3000000 10000000 30000000] [--stages extract preprocess online] [--json FILE] [--svg FILE]

Rows are those of bo_action for the extraction (the tutorial's features; a request for every 25 actions) and for the online store (the same tables, loaded into a durable
store), and those of features.parquet for preprocessing (41 fields, time split). Tables are generated, in random row order. Each measurement is a process of its
own, so that its peak memory is its own; kernels are compiled before. The slope is that of the last two sizes.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import common
import extract as extract_bench

ROWS = (1_000_000, 3_000_000, 10_000_000, 30_000_000)
PER_REQUEST = 25  # actions

Measured = tuple[float, float, int]  # seconds on the clock, the processor's seconds, peak memory in bytes


def main() -> None:
    parser = common.parser(__doc__ or "")
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--svg", type=Path, help="write the curves there (extra report)")
    parser.add_argument("--folder", type=Path, help="where the tables are written; a temporary folder by default")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    curves: list[dict[str, Any]] = []
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            for stage in arguments.stages:
                seconds, processor, memory = STAGES[stage](rows, Path(folder))
                of = f"{stage}, {rows:,} rows"
                figures |= {f"{of}, seconds": seconds, f"{of}, processor seconds": processor, f"{of}, peak memory MiB": memory / 2**20}
                curves.append({"stage": stage, "rows": rows, "seconds": seconds, "processor": processor, "GiB": memory / 2**30})
                print(f"{of:32} {seconds:8.2f} s  {processor:8.2f} processor s {memory / 2**20:8.0f} MiB", file=sys.stderr, flush=True)
    for stage in arguments.stages:
        points = [curve for curve in curves if curve["stage"] == stage][-2:]
        if len(points) == 2:
            more = points[1]["rows"] - points[0]["rows"]
            figures[f"{stage}, slope, seconds a million rows"] = (points[1]["seconds"] - points[0]["seconds"]) / more * 1e6
            figures[f"{stage}, slope, processor s a million rows"] = (points[1]["processor"] - points[0]["processor"]) / more * 1e6
            figures[f"{stage}, slope, bytes a row"] = (points[1]["GiB"] - points[0]["GiB"]) * 2**30 / more
    figures["load average"] = os.getloadavg()[0]
    if arguments.svg:
        arguments.svg.write_text(plot(curves))
    common.report("growth", figures, arguments.json)


def extraction(rows: int, folder: Path) -> Measured:
    """The process, from its start to the file."""
    found = extract_bench.extract(tables(rows, folder), folder / "run", common.environment())
    shutil.rmtree(folder / "run")
    return found["seconds"], found["processor"], int(found["memory"])


def preprocessing(rows: int, folder: Path) -> Measured:
    """The stage, in a process that has loaded what it needs."""
    from preprocess import features_of_the_tutorials_shape, write_features

    write_features(features_of_the_tutorials_shape(), rows, folder / "features.parquet")
    result = in_process(preprocess_stage, folder)
    shutil.rmtree(folder / "samples")
    (folder / "features.parquet").unlink()
    return result


def preprocess_stage(folder: Path) -> Measured:
    from preprocess import features_of_the_tutorials_shape

    from jdrec import preprocess
    from jdrec.config import PreprocessConfig
    from jdrec.progress import Progress
    from jdrec.system import peak_memory

    features, file = features_of_the_tutorials_shape(), folder / "features.parquet"
    start, used = time.perf_counter(), time.process_time()
    preprocess.run(features, PreprocessConfig(), file, folder / "samples", seed=1, observed_until_ms=None, progress=Progress.silent())
    return time.perf_counter() - start, time.process_time() - used, peak_memory()


def loading(rows: int, folder: Path) -> Measured:
    """Opening a durable store from the tables, all of the tutorial's."""
    result = in_process(load_store, tables(rows, folder), folder / "store")
    shutil.rmtree(folder / "store")
    return result


def load_store(root: Path, store: Path) -> Measured:
    from jdrec.composition import compose
    from jdrec.dataset.tables import open_tables
    from jdrec.features.resolve import resolve
    from jdrec.online import open_session
    from jdrec.progress import Progress
    from jdrec.system import peak_memory

    config = compose(["+experiment=jd_tutorial", f"dataset.root={root}", f"online.dir={store}"])
    feature_set = resolve(config)
    opened = open_tables(feature_set, root, config.dataset.timezone)
    start, used = time.perf_counter(), time.process_time()
    session = open_session(config, feature_set, opened, Progress.silent())
    seconds, processor = time.perf_counter() - start, time.process_time() - used
    session.close()
    return seconds, processor, peak_memory()


STAGES: dict[str, Callable[[int, Path], Measured]] = {"extract": extraction, "preprocess": preprocessing, "online": loading}


def tables(rows: int, folder: Path) -> Path:
    """JD tables with so many actions; made once a folder."""
    root = folder / "tables"
    if not root.is_dir():
        in_process(extract_bench.generate, root, rows, max(1000, rows // PER_REQUEST))
    return root


def in_process(work: Callable[..., Any], *arguments: Any) -> Any:
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def plot(curves: list[dict[str, Any]]) -> str:
    """Processor time and memory over rows as one SVG, both axes logarithmic; it reads on light and dark pages alike."""
    import vl_convert

    grey, colors = "#808080", ["#3b7dd8", "#d9822b", "#2f9e6e"]
    log_axis = {"type": "log", "nice": False}

    def chart(key: str, title: str) -> dict[str, Any]:
        return {
            "mark": {"type": "line", "point": True},
            "width": 330,
            "height": 240,
            "encoding": {
                "x": {
                    "field": "rows",
                    "type": "quantitative",
                    "scale": log_axis,
                    "title": "rows",
                    "axis": {"format": "~s", "values": list(ROWS)},
                },
                "y": {"field": key, "type": "quantitative", "scale": log_axis, "title": title, "axis": {"format": "~r", "tickCount": 5}},
                "color": {"field": "stage", "type": "nominal", "title": None, "scale": {"range": colors}},
            },
        }

    spec = {
        "data": {"values": curves},
        "hconcat": [chart("processor", "processor seconds"), chart("GiB", "peak memory, GiB")],
        "background": None,
        "config": {
            "axis": {
                "labelColor": grey,
                "titleColor": grey,
                "gridColor": grey,
                "gridOpacity": 0.25,
                "domainColor": grey,
                "tickColor": grey,
            },
            "legend": {"labelColor": grey},
            "view": {"stroke": None},
        },
    }
    return str(vl_convert.vegalite_to_svg(spec))


if __name__ == "__main__":
    main()
