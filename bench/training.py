"""Training speed on the CPU: our trainers against bare loops over tensors that are already in memory, and against deepctr-torch's fit.

    python bench/training.py                      # 41 fields x 16, DNN 400x3, batch 1000, 100k ids
    python bench/training.py --ids 5000000        # what a large table costs
    python bench/training.py --json out.json

All train the same DeepFM on the same random table, in turns, and the best of several rounds counts, so that other work on the machine disturbs
all alike. A bare loop is what one would write first: nn.Embedding, nn.Linear, Adam over everything; PyTorch has a second one, with
a sparse embedding and SparseAdam. deepctr-torch (the extra `bench`) has its own DeepFM, of the same sizes.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
from common import parser, report

from jdrec.config import TrainerConfig
from jdrec.features.spec import Encoding
from jdrec.models import FieldSpec, ModelSpec, build
from jdrec.models.namespace import namespace
from jdrec.system import cores
from jdrec.training.data import RawSplit, ShuffledStream, Split
from jdrec.training.frameworks import host_adapter
from jdrec.training.vocabulary import Vocabulary

FIELDS, DIM, HIDDEN, BATCH, RATE = 41, 16, (400, 400, 400), 1000, 1e-3
Way = Callable[[int], None]


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--ids", type=int, default=100_000, help="distinct ids of all fields together")
    options.add_argument("--batches", type=int, default=20, help="batches a round")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--only", nargs="*", help="names of the ways to measure")
    given = options.parse_args()

    raw, split, spec = random_samples(given.ids, rows=given.batches * BATCH)
    makers: dict[str, Callable[[], Way]] = {
        "oneflow bare": lambda: bare_loop(oneflow(), spec, split, given.batches),
        "oneflow trainer": lambda: trainer_loop("oneflow", spec, split, given.batches),
        "torch bare": lambda: bare_loop(torch(), spec, split, given.batches),
        "torch bare sparse": lambda: bare_loop(torch(), spec, split, given.batches, sparse=True),
        "torch trainer": lambda: trainer_loop("torch", spec, split, given.batches),
        "deepctr-torch": lambda: deepctr(raw, given.ids // FIELDS),
    }
    needed = {"oneflow": "oneflow", "torch": "torch", "deepctr-torch": "deepctr_torch"}
    missing = {name for name in makers if importlib.util.find_spec(needed[name.split()[0]]) is None}
    for name in sorted(missing):
        print(f"skipped: {name}, which is not installed")
    wanted = {name: make for name, make in makers.items() if name not in missing and (not given.only or name in given.only)}
    best = measure({name: make() for name, make in wanted.items()}, given.rounds)
    figures: dict[str, Any] = {f"{name} ms/batch": 1e3 * seconds / given.batches for name, seconds in best.items()}
    figures |= {f"{name} samples/s": BATCH * given.batches / seconds for name, seconds in best.items()}
    for framework in ("oneflow", "torch"):
        for other in (f"{framework} bare", f"{framework} bare sparse", "deepctr-torch"):
            if other in best and f"{framework} trainer" in best:
                figures[f"{framework} trainer / {other}"] = best[other] / best[f"{framework} trainer"]
    figures |= {"fields": FIELDS, "dim": DIM, "dnn": str(HIDDEN), "batch": BATCH, "ids": spec.rows}
    report("training", figures, given.json)


def oneflow() -> Any:
    from jdrec.training.oneflow_library import load_oneflow

    return load_oneflow()


def torch() -> Any:
    from jdrec.training.torch_library import load_torch

    return load_torch()


def random_samples(ids: int, rows: int) -> tuple[RawSplit, Split, ModelSpec]:
    """Uniform ids, the hardest case for caches."""
    random = np.random.default_rng(0)
    per_field = ids // FIELDS
    known = tuple(np.arange(per_field, dtype=np.int64) for _ in range(FIELDS))
    names, encodings = tuple(f"f{i}" for i in range(FIELDS)), (Encoding.HASH,) * FIELDS
    columns = tuple(random.integers(0, per_field, rows) for _ in range(FIELDS))
    raw = RawSplit(random.integers(0, 2, rows).astype(np.float32), columns)
    fields = tuple(FieldSpec(name, Encoding.HASH, per_field + 1) for name in names)
    return raw, Split(raw, Vocabulary(names, encodings, known)), ModelSpec("deepfm", fields, DIM, HIDDEN, 0.2)


def bare_loop(flow: Any, spec: ModelSpec, split: Split, batches: int, sparse: bool = False) -> Way:
    options = {"sparse": True} if sparse else {}
    embedding, model = flow.nn.Embedding(spec.rows, DIM + 1, **options), build(namespace(flow), spec)
    if sparse:
        optimizers = [flow.optim.SparseAdam(embedding.parameters(), lr=RATE), flow.optim.Adam(model.parameters(), lr=RATE)]
    else:
        optimizers = [flow.optim.Adam([*embedding.parameters(), *model.parameters()], lr=RATE)]
    loss_of = flow.nn.BCEWithLogitsLoss()
    tensors = [(flow.tensor(batch.rows), flow.tensor(batch.labels).reshape(-1, 1)) for batch in split.batches(BATCH)]

    def epoch(k: int) -> None:
        for rows, labels in tensors[:batches]:
            embedded = embedding(rows)
            loss = loss_of(model(embedded[:, :, :DIM], embedded[:, :, DIM]), labels)
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
            float(loss.detach().numpy())

    return epoch


def trainer_loop(framework: str, spec: ModelSpec, split: Split, batches: int) -> Way:
    """What the loop does batch by batch: the shuffled batch, the step, the loss."""
    adapter = host_adapter(spec, msgspec.convert({"framework": framework, "learning_rate": RATE}, TrainerConfig), seed=0)
    stream = adapter.batches(ShuffledStream(split, BATCH, seed=0))

    def epoch(k: int) -> None:
        for step in range(k * batches, (k + 1) * batches):
            float(adapter.train_batch(stream.batch(step), RATE))

    return epoch


def deepctr(raw: RawSplit, per_field: int) -> Way:
    """Its fit with the same sizes, dropout and optimizer, all else as it comes; no metrics, no validation."""
    utils = ModuleType("deepctr_torch.utils")
    utils.check_version = lambda version: None  # type: ignore[attr-defined]  # its own asks the internet
    sys.modules["deepctr_torch.utils"] = utils
    from deepctr_torch.inputs import SparseFeat
    from deepctr_torch.models import DeepFM

    features = [SparseFeat(f"f{i}", per_field + 1, embedding_dim=DIM) for i in range(FIELDS)]
    model = DeepFM(features, features, dnn_hidden_units=HIDDEN, dnn_dropout=0.2)
    model.compile(torch().optim.Adam(model.parameters(), lr=RATE), "binary_crossentropy")
    x = {f"f{i}": column for i, column in enumerate(raw.columns)}

    def epoch(k: int) -> None:
        model.fit(x, raw.labels, batch_size=BATCH, epochs=1, verbose=0)

    return epoch


def with_threads(make: Callable[[], Way]) -> Way:
    """A way with the number of PyTorch's threads that it found or set when it was made: the trainer computes parts of a batch in threads of its own."""
    torch().set_num_threads(cores())
    way, threads = make(), torch().get_num_threads()

    def run(k: int) -> None:
        torch().set_num_threads(threads)
        way(k)

    return run


def measure(ways: dict[str, Way], rounds: int) -> dict[str, float]:
    """Seconds a round of each way: the best of several, taken in turns after one that does not count."""
    best = dict.fromkeys(ways, float("inf"))
    for k in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way(k)
            if k:
                best[name] = min(best[name], time.perf_counter() - start)
    return best


if __name__ == "__main__":
    main()
