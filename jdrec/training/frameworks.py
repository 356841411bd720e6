"""Which framework trains, on which device, in how many processes. A framework is imported only when it is asked for."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from jdrec.config import TrainerConfig
from jdrec.errors import TrainingError
from jdrec.models import ModelSpec
from jdrec.training.adapter import Adapter
from jdrec.training.request import Request
from jdrec.training.schedule import Schedule
from jdrec.training.vocabulary import Vocabulary

if TYPE_CHECKING:
    from jdrec.training.host_adapter import HostAdapter

log = logging.getLogger(__name__)


def choose_device(trainer: TrainerConfig) -> str:
    """ "cuda" or "cpu".

    Raises:
        TrainingError: what trainer asks for is not there.
        MissingExtra: the framework is not installed.
    """
    if trainer.framework == "torch":
        from jdrec.training import torch_library

        device = torch_library.choose_device(trainer.device)
        if device == "cpu" and trainer.amp == "fp16" and trainer.devices_per_node == 1:
            raise TrainingError("fp16 needs a GPU: on a CPU nothing scales the loss.", where="trainer.amp", hint="Use bf16 or none.")
        return device
    from jdrec.training import oneflow_library

    flow = oneflow_library.load_oneflow()
    device = oneflow_library.choose_device(trainer.device, flow)
    if device == "cpu":
        asked = {"amp": trainer.amp != "none", "fused_mlp": trainer.fused_mlp, "devices_per_node": trainer.devices_per_node > 1}
        if any(asked.values()):
            ignored = ", ".join(f"trainer.{name}" for name, value in asked.items() if value)
            log.info("training on the CPU: %s left aside", ignored)
    elif trainer.devices_per_node > flow.cuda.device_count():
        raise TrainingError(
            f"{trainer.devices_per_node} GPUs are asked for, {flow.cuda.device_count()} are here.", where="trainer.devices_per_node"
        )
    return device


def launched() -> bool:
    """Whether this process is one of several that a launcher started. Importing OneFlow says that it is the only one."""
    return "LOCAL_RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def must_launch(trainer: TrainerConfig, device: str) -> bool:
    """Whether processes have to be started. OneFlow has one on the CPU."""
    return trainer.devices_per_node > 1 and not launched() and (device == "cuda" or trainer.framework == "torch")


def launch(request: Request, device: str) -> None:
    """Trains in trainer.devices_per_node processes of their own and waits for them.

    Raises:
        TrainingError: one of them failed.
    """
    if request.trainer.framework == "torch":
        from jdrec.training.torch_cuda.launch import launch as start

        start(request, device)
    else:
        from jdrec.training import oneflow_launch

        oneflow_launch.launch(request)


def make_adapter(
    device: str, spec: ModelSpec, trainer: TrainerConfig, schedule: Schedule, vocabulary: Vocabulary, samples: int, out: Path, seed: int
) -> Adapter:
    """The model in its framework, on its device. samples: rows of the training split."""
    if trainer.framework == "torch" and (device == "cuda" or launched()):
        from jdrec.training.torch_cuda import make_adapter as make
        from jdrec.training.torch_cuda.hot_rows import row_counts

        return make(spec, trainer, seed, device, None if trainer.table_gpu_mb is None else row_counts(vocabulary, samples))
    if trainer.framework == "oneflow" and device == "cuda":
        from jdrec.training.oneflow_gpu import OneFlowGpuAdapter

        persistent = Path(trainer.one_embedding.persistent_path or out / "persistent").absolute()
        return OneFlowGpuAdapter(spec, trainer, schedule, vocabulary, persistent, seed)
    return host_adapter(spec, trainer, seed)


def host_adapter(spec: ModelSpec, trainer: TrainerConfig, seed: int) -> HostAdapter:
    """The model in its framework, on the CPU and in this process."""
    from jdrec.training.host_adapter import HostAdapter

    if trainer.framework == "torch":
        from jdrec.training.torch_library import torch_network

        return HostAdapter(spec, trainer, torch_network, seed)
    from jdrec.training.oneflow_network import oneflow_network

    return HostAdapter(spec, trainer, oneflow_network, seed)
