"""Training with PyTorch on CUDA GPUs, one or several, and in several processes on a CPU.

`make_adapter` takes the step that is written by hand for what that supports, and autograd over the model's definition for all else.
"""

from __future__ import annotations

import logging

import numpy as np

from jdrec.config import TrainerConfig
from jdrec.errors import TrainingError
from jdrec.models import ModelSpec
from jdrec.training.adapter import Adapter

log = logging.getLogger(__name__)


def make_adapter(spec: ModelSpec, config: TrainerConfig, seed: int, device: str, counts: np.ndarray | None = None) -> Adapter:
    """A model with its table and its optimizer, in as many processes as torchrun started.

    Args:
        spec: the model.
        config: the trainer's configuration.
        seed: of initial weights and dropout.
        device: "cuda" or "cpu".
        counts: int64 [rows], how often each row of the table occurs; for trainer.table_gpu_mb.

    Raises:
        TrainingError: the batch cannot be shared equally, memory does not suffice, or the table cannot be partly in host memory.
    """
    from jdrec.training.torch_cuda.processes import Processes

    processes = Processes(device)
    reason = unsupported(spec, config)
    if reason is None:
        from jdrec.training.torch_cuda.fast import FastAdapter

        return FastAdapter(spec, config, seed, processes, counts)
    if config.table_gpu_mb is not None:
        raise TrainingError(f"Only the faster step keeps rows in host memory, and it has no {reason}.", where="trainer.table_gpu_mb")
    from jdrec.training.torch_cuda.general import GeneralAdapter

    log.info("training by autograd: the faster step has no %s", reason)
    return GeneralAdapter(spec, config, seed, processes)


def unsupported(spec: ModelSpec, config: TrainerConfig) -> str | None:
    """What the step written by hand lacks for this training; None if nothing."""
    reasons = {
        f"model {spec.name}": spec.name not in ("deepfm", "wide_deep"),
        "model without hidden layers": not spec.dnn,
        "multi-valued fields": any(field.slots > 1 for field in spec.fields),
        f"optimizer {config.optimizer}": config.optimizer != "adam",
        "weight decay": bool(config.weight_decay or config.embedding_weight_decay),
        "clipping": config.clip_norm is not None,
        "dense updates": config.embedding_updates != "lazy",
        "fp16": config.amp == "fp16",
        "table of 2^31 rows": spec.rows >= 2**31,
    }
    return next((reason for reason, applies in reasons.items() if applies), None)
