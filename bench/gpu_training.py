"""Training speed on CUDA GPUs, and that bf16 learns as well as fp32.

    python bench/gpu_training.py step             # the step, fed from host memory: samples/s at batches of 1000, 8192 and 65536
    python bench/gpu_training.py step --table-gpu-mb 600    # a tenth of the table on the GPU, the rest in host memory
    python bench/gpu_training.py step --profile   # and where its time goes
    torchrun --standalone --nproc_per_node 2 bench/gpu_training.py step    # on two GPUs, --batches on each of them
    python bench/gpu_training.py auc              # test AUC in fp32 and bf16, on samples with a signal
    python bench/gpu_training.py trainer          # task=train from sample files on disk

41 fields x 16: 20 of 2 to 100 values, 21 of 1200 to 11 million; ids Zipf-distributed; 30 million rows. DNN 1000x5, dropout 0.2, lazy Adam.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from common import parser, report

from jdrec.config import ModelConfig, TrainerConfig
from jdrec.features.spec import Encoding
from jdrec.models import FieldSpec, ModelSpec
from jdrec.training.data import Batch, ShuffledStream
from jdrec.training.metrics import all_metrics
from jdrec.training.torch_cuda.cached import CachedTable
from jdrec.training.torch_cuda.fast import FastAdapter
from jdrec.training.torch_cuda.feed import Feed, gather_rows, gather_values
from jdrec.training.torch_cuda.graph import DeviceQueue
from jdrec.training.torch_cuda.hot_rows import make_table
from jdrec.training.torch_cuda.inputs import Inputs, Shape
from jdrec.training.torch_cuda.processes import Processes
from jdrec.training.torch_cuda.sharded import ShardedRows
from jdrec.training.torch_cuda.single import SingleRows
from jdrec.training.torch_cuda.step import DeepFMStep
from jdrec.training.torch_cuda.table import Table

DIM, HIDDEN, DROPOUT = 16, (1000,) * 5, 0.2
SMALL = tuple(int(size) for size in np.linspace(2, 100, 20))
LARGE = tuple(int(11_000_000 / 1.58**i) for i in range(21))
ZIPF = 1.05  # exponent


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("what", choices=["step", "auc", "trainer"], nargs="?", default="step")
    options.add_argument("--batches", type=int, nargs="+", default=[1000, 8192, 65536])
    options.add_argument("--samples", type=int, default=2_000_000, help="distinct samples in host memory, or in the train split")
    options.add_argument("--seconds", type=float, default=3.0, help="of step: how long each batch size is measured, three times")
    options.add_argument("--dtype", choices=["bf16", "fp32"], default="bf16")
    options.add_argument("--table-gpu-mb", type=int, help="of step: MiB of the GPU for the table; other rows are in host memory")
    options.add_argument("--seeds", type=int, default=3, help="of auc")
    options.add_argument("--epochs", type=int, default=5, help="of trainer")
    options.add_argument("--memory-rows", type=int, nargs="+", help="of trainer: trainer.memory_rows; fewer than samples: on disk")
    options.add_argument("--folder", type=Path, default=Path("/tmp/jdrec-bench"), help="of trainer: where samples and checkpoints go")
    options.add_argument("--profile", action="store_true")
    given = options.parse_args()
    if not torch.cuda.is_available():
        print("needs a CUDA GPU; nothing measured")
        return
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("jdrec.training.torch_cuda").setLevel(logging.INFO)
    group, spec = Processes("cuda"), model()
    figures: dict[str, Any] = {"gpu": torch.cuda.get_device_name(), "gpus": group.count, "rows": spec.rows}
    if given.what == "step":
        rows, labels = samples(spec, given.samples, seed=group.rank)
        # Counted in other samples than are trained on: rows that both lack are what a larger data set has.
        counts = np.bincount(samples(spec, given.samples, seed=1000)[0].reshape(-1), minlength=spec.rows) if given.table_gpu_mb else None
        for batch in given.batches:
            figures |= step_speed(group, spec, rows, labels, counts, batch, given)
            torch.cuda.empty_cache()
    elif given.what == "auc":
        figures |= auc(group, spec, given.samples, given.seeds)
    else:
        figures |= trainer(spec, given)
    if group.is_main:
        report("gpu_training", figures, given.json)


def model() -> ModelSpec:
    fields = tuple(FieldSpec(f"f{i}", Encoding.HASH, size) for i, size in enumerate(SMALL + LARGE))
    return ModelSpec("deepfm", fields, DIM, HIDDEN, DROPOUT)


def offsets(spec: ModelSpec) -> np.ndarray:
    """The first row of each field."""
    sizes = np.array([field.rows for field in spec.fields])
    return np.cumsum(sizes) - sizes


def samples(spec: ModelSpec, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows int32 [count, fields] and labels float32 [count]."""
    random = torch.Generator("cuda").manual_seed(seed)
    rows = torch.empty((count, len(spec.fields)), dtype=torch.int32)
    for i, (field, start) in enumerate(zip(spec.fields, offsets(spec), strict=True)):
        uniform = torch.rand(count, generator=random, device="cuda", dtype=torch.float64)
        # The inverse of the distribution of ranks; then ranks are spread over the field's rows, as hashing spreads ids.
        rank = ((field.rows + 1.0) ** (1 - ZIPF) - 1) * uniform + 1
        place = (rank ** (1 / (1 - ZIPF))).long().sub_(1).clamp_(0, field.rows - 1) * 1_000_003 % field.rows
        rows[:, i] = (int(start) + place).int().cpu()
    return rows.numpy(), (np.random.default_rng(seed).random(count) < 0.2).astype(np.float32)


def step_speed(
    group: Processes,
    spec: ModelSpec,
    rows: np.ndarray,
    labels: np.ndarray,
    counts: np.ndarray | None,
    batch: int,
    given: argparse.Namespace,
) -> dict[str, Any]:
    """Million samples a second, all GPUs together: the median and the best of three rounds."""
    device, fields = group.device, len(spec.fields)
    config = msgspec.convert({"framework": "torch", "table_gpu_mb": given.table_gpu_mb}, TrainerConfig)
    table = make_table(spec, config, group, counts)
    table.state[:, :DIM].normal_(0, 1e-4)
    kind = {"bf16": torch.bfloat16, "fp32": torch.float32}[given.dtype]
    holder: Any = SingleRows(table, batch, fields) if group.count == 1 else ShardedRows(table, spec, batch, kind, group)
    step = DeepFMStep(spec, holder, batch, kind, device, seed=group.rank)
    torch.manual_seed(0)
    for matrix, _ in step.network.parameters(step.network.weight):
        matrix.normal_(0, (2 / sum(matrix.shape)) ** 0.5)
    step.network.weights_changed()
    step.learning_rate.fill_(1e-3)
    shape = Shape(batch, fields)

    start = time.perf_counter()
    queue = DeviceQueue(step, shape, [], device)
    ready = time.perf_counter() - start

    def fill(inputs: Inputs, k: int) -> None:
        index = np.random.default_rng(k).integers(0, len(rows), batch)
        gather_rows(rows, index, inputs.rows.numpy())
        gather_values(labels, index, inputs.labels.numpy())

    feed = Feed(fill, shape, 0, threads=8)

    def run(count: int) -> float:
        """Seconds a step, of `count` packs."""
        group.sum(torch.zeros(1, device=device))
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(count):
            pack = feed.take()
            freed = queue.load(pack, shape.pack)
            for _ in range(shape.pack):
                queue.step()
            feed.give_back(pack, freed)
        torch.cuda.synchronize()
        slowest = torch.tensor([-(time.perf_counter() - begin)], device=device)
        if group.count > 1:
            torch.distributed.all_reduce(slowest, torch.distributed.ReduceOp.MIN)
        return -float(slowest) / count / shape.pack

    run(10)
    count = max(10, int(given.seconds / run(10) / shape.pack))
    count = int(group.broadcast(torch.tensor([count], device=device), 0))
    times = [run(count) for _ in range(3)]
    # The same batch again and again, without feeding.
    begin = time.perf_counter()
    for _ in range(count):
        with torch.cuda.stream(queue.stream):
            queue._graphs[0][0].replay()
    torch.cuda.synchronize()
    alone = (time.perf_counter() - begin) / count
    if given.profile:
        show_profile(lambda: run(3), group.is_main)
    feed.close()
    speeds = [group.count * batch / seconds / 1e6 for seconds in times]
    if group.is_main:
        print(f"batch {batch} a GPU: {max(speeds):.2f} million samples/s", flush=True)
    return {
        f"{batch}: million samples/s": statistics.median(speeds),
        f"{batch}: best of three": max(speeds),
        f"{batch}: not fed": group.count * batch / alone / 1e6,
        f"{batch}: us/step": 1e6 * statistics.median(times),
        f"{batch}: seconds to compile": ready,
        f"{batch}: peak GiB": torch.cuda.max_memory_allocated() / 2**30,
        f"{batch}: share of occurrences on the GPU": share_on_gpu(table, rows, group),
        f"{batch}: GiB of the table in host memory": 0.0 if table.rest is None else table.rest.nbytes / 2**30,
    }


def share_on_gpu(table: Table, rows: np.ndarray, group: Processes) -> float:
    """Of the occurrences of this process's rows."""
    if not isinstance(table, CachedTable):
        return 1.0
    return float(table.is_hot[rows[rows % group.count == group.rank] // group.count].mean())


def show_profile(run: Any, show: bool) -> None:
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    with profiled(activities=[ProfilerActivity.CUDA]) as trace:
        run()
    if show:
        print(trace.key_averages().table(sort_by="cuda_time_total", row_limit=40, max_name_column_width=90))


class InMemory:
    """A split of ids only."""

    values, shares, positive_weight = None, (), 1.0

    def __init__(self, rows: np.ndarray, labels: np.ndarray):
        self.rows, self.labels = rows, labels

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, index: Any) -> Batch:
        return Batch(self.rows[index], None, self.labels[index])


def auc(group: Processes, spec: ModelSpec, count: int, seeds: int) -> dict[str, Any]:
    """Test AUC after one epoch, mean over seeds, of labels that follow effects of single ids and of pairs of them."""
    rows, _ = samples(spec, count)
    labels, best = with_signal(spec, rows)
    train, test = InMemory(rows[: -count // 5], labels[: -count // 5]), InMemory(rows[-count // 5 :], labels[-count // 5 :])
    figures: dict[str, Any] = {"test AUC of the true probabilities": all_metrics(test.labels, best[-count // 5 :])["auc"]}
    found: dict[str, list[float]] = {"none": [], "bf16": []}
    for seed in range(seeds):
        for amp, values in found.items():
            config = msgspec.convert({"framework": "torch", "batch_size": 4096, "amp": amp}, TrainerConfig)
            adapter = FastAdapter(spec, config, seed, group)
            batches = adapter.batches(ShuffledStream(train, 4096, seed))  # type: ignore[arg-type]
            for k in range(len(train) // 4096):
                adapter.train_batch(batches.batch(k), 1e-3)
            logits = np.concatenate([adapter.logits(test.batch(slice(i, i + 8192))) for i in range(0, len(test), 8192)])
            metrics = all_metrics(test.labels, logits)
            values.append(metrics["auc"])
            print(f"seed {seed} amp {amp}: AUC {metrics['auc']:.5f} logloss {metrics['logloss']:.5f}", flush=True)
            del adapter, batches
            torch.cuda.empty_cache()
    for amp, values in found.items():
        figures |= {f"amp={amp}: test AUC, mean": statistics.mean(values), f"amp={amp}: test AUC": str([round(v, 5) for v in values])}
    figures["difference of means"] = statistics.mean(found["bf16"]) - statistics.mean(found["none"])
    figures["largest difference of a seed"] = max(abs(a - b) for a, b in zip(found["none"], found["bf16"], strict=True))
    return figures


def with_signal(spec: ModelSpec, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels float32 [n] and the logits they were drawn from."""
    random = np.random.default_rng(1)
    effect = random.normal(0, 0.35, spec.rows).astype(np.float32)
    taste = random.normal(0, 0.5, (spec.rows, 4)).astype(np.float32)
    logit = np.full(len(rows), -1.5, np.float32)
    for field in (3, 8, 12, 17, 24, 30, 35, 40):
        logit += effect[rows[:, field]]
    for left, right in ((5, 33), (10, 38), (15, 28)):
        logit += (taste[rows[:, left]] * taste[rows[:, right]]).sum(1)
    return (random.random(len(rows)) < 1 / (1 + np.exp(-logit))).astype(np.float32), logit


def trainer(spec: ModelSpec, given: argparse.Namespace) -> dict[str, Any]:
    """`task=train` on sample files, ids of 64 bits in Parquet: reading them, and whole trainings."""
    from jdrec import training
    from jdrec.training.data import read_layout
    from jdrec.training.reader import SampleFile

    count, epochs, folder = given.samples, given.epochs, given.folder
    speeds: list[float] = []

    class Speeds(logging.Handler):
        """Takes the loop's own samples/s from its log."""

        def emit(self, record: logging.LogRecord) -> None:
            if "samples/s" in str(record.msg) and isinstance(record.args, tuple):
                speeds.append(float(str(record.args[-1]).replace(",", "")))

    log = logging.getLogger("jdrec.training.loop")
    log.setLevel(logging.INFO)
    log.addHandler(Speeds())
    figures: dict[str, Any] = {"bytes on disk": write_samples(spec, count, folder / "samples")}
    layout = read_layout(folder / "samples")
    SampleFile(folder / "samples", "valid", layout).learn()  # compiles
    for name in ("first", "again"):
        start = time.perf_counter()
        SampleFile(folder / "samples", "train", layout).learn_and_read()
        figures[f"{name}: seconds to read, count ids and map them"] = time.perf_counter() - start
    for batch in given.batches:
        for memory_rows in given.memory_rows or [None]:
            speeds.clear()
            start = time.perf_counter()
            values = {"framework": "torch", "device": "cuda", "amp": "bf16", "batch_size": batch, "epochs": epochs, "resume": False}
            values |= {"loss_print_interval": max(20, 500_000 // batch), "eval_interval": 10**9, "train_batches": 10**9}
            values |= {} if memory_rows is None else {"memory_rows": memory_rows}
            config = msgspec.convert(values, TrainerConfig)
            network = msgspec.convert({"name": "deepfm", "embedding_dim": DIM, "dnn": HIDDEN, "dropout": DROPOUT}, ModelConfig)
            result = training.train(network, config, folder / "samples", folder / "out", seed=0)
            total = time.perf_counter() - start
            shutil.rmtree(folder / "out")
            where = f"{batch}" + ("" if memory_rows is None else f", {memory_rows:,} rows in memory")
            # The log's first interval compiles; epochs begin and end inside the others.
            figures |= {
                f"{where}: million samples/s, mean of the log": statistics.harmonic_mean(speeds[1:]) / 1e6,
                f"{where}: median": statistics.median(speeds[1:]) / 1e6,
                f"{where}: seconds from files to report": total,
                f"{where}: million samples/s from files to report": result.step * batch / total / 1e6,
                f"{where}: seconds of the loop, compiling included": result.seconds,
                f"{where}: batches": result.step,
                f"{where}: parameters": result.parameters,
            }
    return figures


def write_samples(spec: ModelSpec, count: int, folder: Path) -> int:
    """Train and valid split; the bytes of the train split."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in (("train", count), ("valid", 100_000)):
        ids, labels = samples(spec, rows, seed=len(split))
        scatter = np.int64(-7046029254386353131)  # odd, so that ids stay distinct
        with np.errstate(over="ignore"):
            columns = {f"C{i}": ids[:, i].astype(np.int64) * scatter for i in range(len(spec.fields))}
        pq.write_table(
            pa.table({"Label": labels, **columns}),
            folder / f"{split}.parquet",
            compression="none",
            use_dictionary=False,
            row_group_size=1 << 16,
        )
    fields = [{"name": field.name, "column": f"C{i}", "encoding": "hash"} for i, field in enumerate(spec.fields)]
    (folder / "data_info.json").write_text(json.dumps({"label": "Label", "fields": fields}))
    return (folder / "train.parquet").stat().st_size


if __name__ == "__main__":
    main()
