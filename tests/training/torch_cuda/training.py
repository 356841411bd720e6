"""A short training, the same in one process and in several."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from jdrec.config import TrainerConfig
from jdrec.models import ModelSpec
from jdrec.training.torch_cuda import hot_rows, make_adapter
from tests.training.torch_cuda.conftest import BATCH, make_spec, random_batches

SETTINGS: dict[str, dict[str, Any]] = {
    "deepfm": {},
    "wide_deep": {},
    "dcn_v2": {},
    "lr": {"optimizer": "adagrad", "embedding_weight_decay": 0.01, "clip_norm": 0.1},
    "bf16": {"amp": "bf16"},
    "host_memory": {"table_gpu_mb": 1},
}


def spec_of(name: str) -> ModelSpec:
    model = "deepfm" if name in ("bf16", "host_memory") else name
    return msgspec.structs.replace(make_spec(), name=model, embedding_dim=0 if model == "lr" else 6)


def trained(name: str, device: str) -> tuple[np.ndarray, dict[str, np.ndarray], Any]:
    """Losses of twelve steps, then weights, optimizer state and logits by name; and the adapter.

    In the middle all of it goes into an adapter that was trained on something else.
    """
    config = msgspec.convert({"framework": "torch", "batch_size": BATCH, **SETTINGS[name]}, TrainerConfig)
    batches, spec = random_batches(12), spec_of(name)
    counts = np.bincount(np.concatenate([batch.rows.reshape(-1) for batch in batches]), minlength=spec.rows)
    if name == "host_memory":  # a mebibyte would be room for all of this small table
        hot_rows.rows_on_gpu = lambda spec, config, processes: 200
    first, second = (make_adapter(spec, config, 7, device, counts) for _ in range(2))
    losses = [float(first.train_batch(batch, 1e-2)) for batch in batches[:5]]
    second.train_batch(batches[11], 1e-2)
    second.load(first.weights(), first.state())
    losses += list(map(float, [second.train_batch(batch, 1e-2) for batch in batches[5:]]))
    results = {f"weights.{key}": value for key, value in second.weights().items()}
    results |= {f"state.{key}": value for key, value in second.state().items()}
    return np.array(losses), {**results, "logits": second.logits(batches[0])}, second
