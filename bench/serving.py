"""How fast a request becomes a score: over HTTP, with Triton, all on this machine.

    python bench/serving.py [--seconds 15] [--width 1000] [--layers 5] [--json FILE]

The tutorial's features over generated JD tables, its encoding and its network (five layers of 1,000 units by default) with random weights: speed
does not depend on what a network has learnt. Service, Triton and load generator share the machine. Latency of calls at a fixed rate counts from the
moment at which they were due. Processor time is that of the processes themselves.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import parser, report

from jdrec.config import Config

HERE = Path(__file__).resolve().parent
STAGES = ("parse", "queue", "features", "encode", "infer", "answer")
CANDIDATES = 1000


# --- a run to serve ----------------------------------------------------------------------------------------------------------


def configuration(folder: Path, width: int, layers: int, *more: str) -> Config:
    """The tutorial's experiment on generated tables, served on free ports."""
    from hydra import compose, initialize_config_dir
    from hydra.core.config_store import ConfigStore

    from jdrec.composition import typed
    from jdrec.config import defaults
    from jdrec.paths import CONF

    overrides = [
        "+experiment=jd_tutorial",
        "dataset=jd_generated",
        "serving=triton_python",
        f"dataset.root={folder}/tables",
        "dataset.generate={users: 4_000, products: 2_000, actions: 400_000, requests: 20_000}",
        f"model.dnn={[width] * layers}",
        "serving.port=0",
        "serving.triton.http_port=0",
        *more,
    ]
    ConfigStore.instance().store(name="schema_defaults", node=defaults())
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return typed(compose("config", overrides))


def make_run(config: Config, folder: Path) -> None:
    """All that task=export leaves, but for the training."""
    import numpy as np

    from jdrec.dataset.generated.folder import generate
    from jdrec.dataset.tables import open_tables
    from jdrec.engines import extract
    from jdrec.features.resolve import resolve
    from jdrec.preprocess import run as preprocess_run
    from jdrec.progress import Progress
    from jdrec.serving.repository import export

    feature_set, silent = resolve(config), Progress.silent()
    assert config.dataset.generate is not None
    generate(config.dataset.generate, Path(config.dataset.root), silent)
    tables = open_tables(feature_set, Path(config.dataset.root), config.dataset.timezone)
    extract(feature_set, tables, folder / "features.parquet", threads=2, progress=silent)
    samples = folder / "samples"
    preprocess_run(feature_set, config.preprocess, folder / "features.parquet", samples, seed=1, observed_until_ms=None, progress=silent)
    untrained(config, samples, np.random.default_rng(1)).save(folder / "checkpoints" / "best")
    export(feature_set, config, checkpoint=folder / "checkpoints" / "best", samples=samples, out=folder / "triton")
    (folder / "run.json").write_text(json.dumps({"config": None}))


def untrained(config: Config, samples: Path, random: Any) -> Any:
    """A checkpoint with random weights and the vocabulary of the training split."""
    import numpy as np
    import pyarrow.parquet as pq

    from jdrec.features.spec import Encoding
    from jdrec.models import FieldSpec, ModelSpec, build, numpy_nn
    from jdrec.models.initial import EMBEDDING
    from jdrec.preprocess.encoder import Encoder
    from jdrec.training.checkpoint import Checkpoint, TrainingState
    from jdrec.training.vocabulary import Vocabulary

    encoder = Encoder.load(samples / "encoder.json")
    ids = encoder.read_samples(pq.read_table(samples / "train.parquet"))
    names, encodings = tuple(f.name for f in encoder.fields), tuple(f.encoding for f in encoder.fields)
    known = tuple(np.empty(0, np.int64) if f.encoding is Encoding.NUMERIC else np.unique(ids[:, i]) for i, f in enumerate(encoder.fields))
    vocabulary = Vocabulary(names, encodings, known)
    fields = tuple(FieldSpec(n, e, int(rows)) for n, e, rows in zip(names, encodings, vocabulary.sizes, strict=True))
    spec = ModelSpec(name="deepfm", fields=fields, embedding_dim=config.model.embedding_dim, dnn=tuple(config.model.dnn), dropout=0.2)
    weights = {EMBEDDING: random.normal(0, 0.02, (spec.rows, spec.embedding_dim + 1)).astype(np.float32)}
    for name, module in vars(build(numpy_nn, spec).dnn).items():
        for parameter, value in vars(module).items():
            if isinstance(value, np.ndarray):
                weights[f"dnn.{name}.{parameter}"] = random.normal(0, 0.04, value.shape).astype(np.float32)
    return Checkpoint(spec, vocabulary, weights, TrainingState(0, 0.0, 1, "none", "cpu", {}, {}))


# --- the service -------------------------------------------------------------------------------------------------------------


def serve(folder: Path, width: int, layers: int, more: list[str]) -> None:
    """What the service's process does."""
    from jdrec.features.resolve import resolve
    from jdrec.serving.run import serve as serve_run

    config = configuration(folder, width, layers, *more)
    serve_run(config, folder, resolve(config))


@dataclass
class Served:
    """The running service; its processes by name."""

    url: str
    pids: dict[str, list[int]]

    def cpu_s(self) -> dict[str, float]:
        """Processor time of each so far."""
        tick = os.sysconf("SC_CLK_TCK")
        return {name: sum(sum(_stat(pid)[11:13]) for pid in pids) / tick for name, pids in self.pids.items()}

    def memory_mib(self) -> dict[str, float]:
        page = os.sysconf("SC_PAGE_SIZE")
        return {name: sum(_stat(pid)[21] for pid in pids) * page / 2**20 for name, pids in self.pids.items()}

    def metrics(self) -> dict[str, float]:
        """Lines of /metrics by name with labels."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))}


def _stat(pid: int) -> list[int]:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return [0, *(int(field) for field in fields[1:])]


@contextmanager
def served(folder: Path, width: int, layers: int, *more: str) -> Iterator[Served]:
    """The service in a process of its own until the end of the block."""
    command = [sys.executable, __file__, "--serve", str(folder), "--width", str(width), "--layers", str(layers), *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        announced = ""
        while "Ctrl-C" not in announced:
            line = process.stdout.readline()
            if not line:
                raise SystemExit("the service did not start")
            announced += line
        found = re.search(r"Prediction service +(\S+)", announced)
        assert found
        yield Served(found[1], {"service": [process.pid], **_descendants(process.pid)})
    finally:
        process.terminate()
        process.wait(30)


def _descendants(pid: int) -> dict[str, list[int]]:
    """tritonserver and the stub that runs the model."""
    found: dict[str, list[int]] = {"triton": [], "model": []}
    waiting = [pid]
    while waiting:
        for task in Path(f"/proc/{waiting.pop()}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                name = Path(f"/proc/{child}/comm").read_text().strip()
                found["model" if name.startswith("triton_python") else "triton"].append(child)
                waiting.append(child)
    return found


# --- the measurements --------------------------------------------------------------------------------------------------------


def load(served: Served, path: str, bodies: Path, *options: str) -> tuple[dict[str, Any], dict[str, float]]:
    """What the load generator measured, and milliseconds a call: of the service's stages, and of the processor by process."""
    cpu, metrics = served.cpu_s(), served.metrics()
    command = [sys.executable, str(HERE / "http_load.py"), served.url + path, str(bodies), *options]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    after_cpu, after = served.cpu_s(), served.metrics()
    calls = result["calls"]
    costs = {}
    for stage in STAGES:
        names = [f'jdrec_stage_seconds_{part}{{stage="{stage}"}}' for part in ("sum", "count")]
        total, count = (after[name] - metrics[name] for name in names)
        costs[f"{stage} ms"] = 1e3 * total / count if count else 0.0
    batches = after["jdrec_batch_rows_count"] - metrics["jdrec_batch_rows_count"]
    costs["rows a batch"] = (after["jdrec_batch_rows_sum"] - metrics["jdrec_batch_rows_sum"]) / batches if batches else 0.0
    for name in after_cpu:
        costs[f"cpu {name} ms"] = 1e3 * (after_cpu[name] - cpu[name]) / calls
    costs["cpu client ms"] = 1e3 * result["client_cpu_s"] / calls
    return result, costs


def write_bodies(folder: Path, feature_set: Any, timezone: str, root: Path) -> tuple[Path, Path]:
    """(one request row a line, one call with 1,000 candidates a line) from the request table."""
    from jdrec.dataset.tables import open_tables
    from jdrec.serving.example import _json_value

    table = open_tables(feature_set, root, timezone)[feature_set.request_table]
    columns = list(feature_set.request.columns)
    part = next(iter(table.read(columns)))
    rows = [{name: _json_value(part[name][i]) for name in columns} for i in range(0, min(len(part[columns[0]]), 2000))]
    single, many = folder / "single.jsonl", folder / "candidates.jsonl"
    single.write_text("".join(json.dumps(row) + "\n" for row in rows))
    products = sorted({row["sku_id"] for row in rows})
    products = [products[i % len(products)] for i in range(CANDIDATES)]
    contexts = [{name: value for name, value in row.items() if name not in ("sku_id", "pair_id", "reqId")} for row in rows[:20]]
    many.write_text("".join(json.dumps({"context": context, "candidates": products, "top": 10}) + "\n" for context in contexts))
    return single, many


def table(rows: dict[str, dict[str, float]]) -> str:
    """A line a measurement, a column a figure."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [" | ".join(["", *columns, ""]), " | ".join(["", *["---"] * len(columns), ""])]
    for name, row in rows.items():
        lines.append(" | ".join([f"| {name}", *(f"{row[column]:.3g}" if column in row else "" for column in columns), ""]))
    return "\n".join(lines)


def measure(folder: Path, options: Any) -> dict[str, Any]:
    from jdrec.features.resolve import resolve

    config = configuration(folder, options.width, options.layers)
    if not (folder / "run.json").is_file():
        make_run(config, folder)
    single, many = write_bodies(folder, resolve(config), config.dataset.timezone, Path(config.dataset.root))
    seconds = str(options.seconds)
    figures: dict[str, Any] = {"network": f"{options.layers} x {options.width}", "seconds a measurement": options.seconds}
    stages: dict[str, dict[str, float]] = {}
    with served(folder, options.width, options.layers, *options.more) as service:
        load(service, "/predict", single, "--connections", "8", "--seconds", "3")  # warm
        for name, path, bodies, how in (
            ("100 requests/s", "/predict", single, ("--rate", "100")),
            ("saturated", "/predict", single, ("--connections", "64")),
            (f"{CANDIDATES} candidates", "/candidates", many, ("--connections", "1")),
        ):
            result, stages[name] = load(service, path, bodies, *how, "--seconds", seconds)
            errors = sum(count for status, count in result["statuses"].items() if status != "200")
            figures |= {
                f"{name}, p50 ms": result["p50_ms"],
                f"{name}, p99 ms": result["p99_ms"],
                f"{name}, max ms": result["max_ms"],
                f"{name}, calls/s": result["per_second"],
                f"{name}, errors": errors,
            }
        figures |= {f"memory of {name}, MiB": mib for name, mib in service.memory_mib().items()}
    print(table(stages), "", sep="\n")
    for name, costs in stages.items():
        figures |= {f"{name}, {stage}": value for stage, value in costs.items()}
    return figures


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--seconds", type=float, default=15)
    arguments.add_argument("--width", type=int, default=1000)
    arguments.add_argument("--layers", type=int, default=5)
    arguments.add_argument("--folder", type=Path, help="keep the run there, and use it again")
    arguments.add_argument("--serve", type=Path, help="only serve a run that was made before")
    arguments.add_argument("more", nargs="*", help="overrides of the configuration")
    options = arguments.parse_args()
    if options.serve:
        serve(options.serve, options.width, options.layers, options.more)
        return
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        figures = measure(folder, options)
    figures["whole bench, s"] = time.perf_counter() - begin
    report("serving", figures, options.json)


if __name__ == "__main__":
    main()
