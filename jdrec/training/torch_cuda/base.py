"""What both adapters of PyTorch in one or several processes have alike."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

from jdrec.config import TrainerConfig
from jdrec.models import ModelSpec
from jdrec.training.torch_cuda.memory import share_of_batch, telling_what_needs_memory
from jdrec.training.torch_cuda.processes import Processes
from jdrec.training.torch_cuda.profiling import profiler


class ProcessAdapter:
    """One process's part of a training.

    Args:
        spec: the model.
        config: the trainer's configuration.
        processes: who takes part in the training.

    Raises:
        TrainingError: the batch cannot be shared equally.
    """

    def __init__(self, spec: ModelSpec, config: TrainerConfig, processes: Processes):
        self.framework, self.device, self.is_main = f"torch {torch.__version__}", processes.device.type, processes.is_main
        self._spec, self._config, self._group = spec, config, processes
        self._batch = share_of_batch(config.batch_size, processes)

    def profiler(self, folder: Path) -> AbstractContextManager:
        return profiler(folder) if self.is_main else nullcontext()

    def save_graph(self, folder: Path) -> bool:
        """Nothing: Triton's oneflow backend needs OneFlow's graph."""
        return False

    def _memory(self) -> AbstractContextManager:
        return telling_what_needs_memory(self._spec, self._config, self._group)

    def _own_part(self) -> slice:
        """This process's samples of a batch."""
        return slice(self._group.rank * self._batch, (self._group.rank + 1) * self._batch)
