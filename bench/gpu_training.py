"""Training speed on CUDA GPUs, and that it computes the right thing.

    python bench/gpu_training.py step             # the step, fed from host memory: samples/s at batches of 1000, 8192 and 65536
    python bench/gpu_training.py step --profile   # and where its time goes

41 fields x 16: 20 of 2 to 100 values, 21 of 1200 to 11 million; ids Zipf-distributed; 30 million rows. DNN 1000x5, dropout 0.2, lazy Adam.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from common import parser, report

from jdrec.features.spec import Encoding
from jdrec.models import FieldSpec, ModelSpec
from jdrec.training.torch_cuda.feed import Feed, gather_rows, gather_values
from jdrec.training.torch_cuda.graph import DeviceQueue
from jdrec.training.torch_cuda.inputs import Inputs
from jdrec.training.torch_cuda.layout import RowLayout
from jdrec.training.torch_cuda.single import SingleRows
from jdrec.training.torch_cuda.step import DeepFMStep
from jdrec.training.torch_cuda.table import Table

DIM, HIDDEN, DROPOUT = 16, (1000,) * 5, 0.2
SMALL = tuple(int(size) for size in np.linspace(2, 100, 20))
LARGE = tuple(int(11_000_000 / 1.58**i) for i in range(21))
ZIPF = 1.05  # exponent


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("what", choices=["step"])
    options.add_argument("--batches", type=int, nargs="+", default=[1000, 8192, 65536])
    options.add_argument("--samples", type=int, default=2_000_000, help="distinct samples in host memory")
    options.add_argument("--seconds", type=float, default=3.0, help="how long each batch size is measured, three times")
    options.add_argument("--dtype", choices=["bf16", "fp32"], default="bf16")
    options.add_argument("--profile", action="store_true")
    given = options.parse_args()
    spec = model()
    rows, labels = samples(spec, given.samples)
    figures: dict[str, Any] = {"gpu": torch.cuda.get_device_name(), "rows": spec.rows}
    for batch in given.batches:
        figures |= step_speed(spec, rows, labels, batch, given.seconds, given.dtype, given.profile)
    report("gpu_training", figures, given.json)


def model() -> ModelSpec:
    fields = tuple(FieldSpec(f"f{i}", Encoding.HASH, size) for i, size in enumerate(SMALL + LARGE))
    return ModelSpec("deepfm", fields, DIM, HIDDEN, DROPOUT)


def samples(spec: ModelSpec, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows int32 [count, fields] and labels float32 [count]."""
    random = torch.Generator("cuda").manual_seed(0)
    rows, start = torch.empty((count, len(spec.fields)), dtype=torch.int32), 0
    for i, field in enumerate(spec.fields):
        uniform = torch.rand(count, generator=random, device="cuda", dtype=torch.float64)
        # The inverse of the distribution of ranks; then ranks are spread over the field's rows, as hashing spreads ids.
        rank = ((field.rows + 1.0) ** (1 - ZIPF) - 1) * uniform + 1
        place = (rank ** (1 / (1 - ZIPF))).long().sub_(1).clamp_(0, field.rows - 1) * 1_000_003 % field.rows
        rows[:, i] = (start + place).int().cpu()
        start += field.rows
    return rows.numpy(), (np.random.default_rng(0).random(count) < 0.2).astype(np.float32)


def step_speed(
    spec: ModelSpec, rows: np.ndarray, labels: np.ndarray, batch: int, seconds: float, dtype: str, profile: bool
) -> dict[str, Any]:
    """The best of three rounds."""
    device = torch.device("cuda")
    table = Table(spec.rows, RowLayout(DIM), device)
    table.part("weight")[0].normal_(0, 1e-4)
    fields = len(spec.fields)
    kind = {"bf16": torch.bfloat16, "fp32": torch.float32}[dtype]
    step = DeepFMStep(spec, SingleRows(table, batch, fields), batch, kind, device, seed=0)
    for matrix, _ in step.network.parameters(step.network.weight):
        matrix.normal_(0, (2 / sum(matrix.shape)) ** 0.5)
    step.network.weights_changed()

    def make(where: Any) -> Inputs:
        return Inputs(batch, fields, False, False, where)

    start = time.perf_counter()
    queue = DeviceQueue(step, make, [], device)
    print(f"batch {batch}: compiled and captured in {time.perf_counter() - start:.1f} s")

    def fill(block: Inputs, k: int) -> None:
        index = np.random.default_rng(k).integers(0, len(rows), batch)
        gather_rows(rows, index, block.rows.numpy())
        gather_values(labels, index, block.labels.numpy())
        block.learning_rate.numpy()[0] = 1e-3

    feed = Feed(fill, lambda: make("pinned"), 0, threads=8)

    def run(count: int) -> float:
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(count):
            block = feed.take()
            feed.give_back(block, queue.push(block))
        torch.cuda.synchronize()
        return (time.perf_counter() - begin) / count

    count = max(20, int(seconds / run(20)))
    times = [run(count) for _ in range(3)]
    # The step alone, on the same batch again and again: what feeding costs.
    begin = time.perf_counter()
    for _ in range(count):
        with torch.cuda.stream(queue.stream):
            queue._graphs[0].replay()
    torch.cuda.synchronize()
    alone = (time.perf_counter() - begin) / count
    if profile:
        show_profile(lambda: run(20))
    feed.close()
    loss = float(step.losses[(int(step.step) - 1) % len(step.losses)])
    figures = {f"{batch} million samples/s": batch / min(times) / 1e6, f"{batch} of three": str([round(batch / t / 1e6, 2) for t in times])}
    figures |= {f"{batch} not fed": batch / alone / 1e6, f"{batch} us/step": 1e6 * min(times), f"{batch} loss": loss}
    figures[f"{batch} peak GiB"] = torch.cuda.max_memory_allocated() / 2**30
    return figures


def show_profile(run: Any) -> None:
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    with profiled(activities=[ProfilerActivity.CUDA]) as trace:
        run()
    print(trace.key_averages().table(sort_by="cuda_time_total", row_limit=40, max_name_column_width=90))


if __name__ == "__main__":
    main()
