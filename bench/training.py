"""Training speed on the CPU: our trainer against a bare OneFlow loop over tensors that are already in memory.

    python bench/training.py                      # 41 fields x 16, DNN 400x3, batch 1000, 100k ids
    python bench/training.py --ids 5000000        # what a large table costs
    python bench/training.py --json out.json

Both train the same network on the same random batches, in turns, and the best of several rounds counts, so that other work on the
machine disturbs both alike. The bare loop is what one would write first: nn.Embedding, nn.Linear, Adam over everything.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from common import parser, report

from jdrec.config import TrainerConfig
from jdrec.features.spec import Encoding
from jdrec.models import FieldSpec, ModelSpec, build
from jdrec.training.data import RawSplit, ShuffledStream, Split
from jdrec.training.oneflow_adapter import OneFlowAdapter
from jdrec.training.oneflow_library import load_oneflow
from jdrec.training.vocabulary import Vocabulary

FIELDS, DIM, HIDDEN, BATCH = 41, 16, (400, 400, 400), 1000


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--ids", type=int, default=100_000, help="distinct ids of all fields together")
    options.add_argument("--batches", type=int, default=15, help="batches a round")
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()

    load_oneflow()
    split, spec = random_samples(given.ids, rows=50 * BATCH)
    ways = {
        "bare loop": bare_loop(spec, split),
        "trainer, lazy": trainer_loop(spec, split, "lazy"),
        "trainer, dense": trainer_loop(spec, split, "dense"),
    }
    best = measure(ways, given.batches, given.rounds)
    figures: dict[str, Any] = {f"{name} ms/batch": 1e3 * seconds for name, seconds in best.items()}
    figures |= {f"{name} samples/s": BATCH / seconds for name, seconds in best.items()}
    figures["trainer / bare loop"] = best["bare loop"] / best["trainer, lazy"]
    figures |= {"fields": FIELDS, "dim": DIM, "dnn": str(HIDDEN), "batch": BATCH, "ids": spec.rows}
    report("training", figures, given.json)


def random_samples(ids: int, rows: int) -> tuple[Split, ModelSpec]:
    """Uniform ids, the hardest case for caches."""
    random = np.random.default_rng(0)
    per_field = ids // FIELDS
    known = tuple(np.arange(per_field, dtype=np.int64) for _ in range(FIELDS))
    names, encodings = tuple(f"f{i}" for i in range(FIELDS)), (Encoding.HASH,) * FIELDS
    columns = tuple(random.integers(0, per_field, rows) for _ in range(FIELDS))
    split = Split(RawSplit(random.integers(0, 2, rows).astype(np.float32), columns), Vocabulary(names, encodings, known))
    fields = tuple(FieldSpec(name, Encoding.HASH, per_field + 1) for name in names)
    return split, ModelSpec("deepfm", fields, DIM, HIDDEN, 0.2)


def bare_loop(spec: ModelSpec, split: Split) -> Callable[[int], None]:
    flow = load_oneflow()
    embedding, model = flow.nn.Embedding(spec.rows, DIM + 1), build(flow.nn, spec)
    optimizer = flow.optim.Adam([*embedding.parameters(), *model.parameters()], lr=1e-3)
    loss_of = flow.nn.BCEWithLogitsLoss()
    batches = [(flow.tensor(batch.rows), flow.tensor(batch.labels).reshape(-1, 1)) for batch in list(split.batches(BATCH))[:20]]

    def step(k: int) -> None:
        rows, labels = batches[k % len(batches)]
        embedded = embedding(rows)
        loss = loss_of(model(embedded[:, :, :DIM], embedded[:, :, DIM]), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        float(loss.numpy())

    return step


def trainer_loop(spec: ModelSpec, split: Split, updates: str) -> Callable[[int], None]:
    """What a step of the loop does: the shuffled batch, the step, the loss."""
    adapter = OneFlowAdapter(spec, msgspec.convert({"embedding_updates": updates}, TrainerConfig), seed=0)
    stream = ShuffledStream(split, BATCH, seed=0)

    def step(k: int) -> None:
        float(adapter.train_batch(stream.batch(k), 1e-3))

    return step


def measure(ways: dict[str, Callable[[int], None]], batches: int, rounds: int) -> dict[str, float]:
    """Seconds a batch of each way: the best of several rounds taken in turns."""
    best = dict.fromkeys(ways, float("inf"))
    for way in ways.values():
        way(0)
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            for k in range(batches):
                way(k)
            best[name] = min(best[name], (time.perf_counter() - start) / batches)
    return best


if __name__ == "__main__":
    main()
