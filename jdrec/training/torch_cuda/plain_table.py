"""An embedding table for any model and optimizer, whole or sharded by row, in plain PyTorch operations."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from jdrec.config import TrainerConfig
from jdrec.models import ModelSpec
from jdrec.training.optimizers import STATES, step_numbers
from jdrec.training.torch_cuda.optimizers import update_
from jdrec.training.torch_cuda.processes import Processes
from jdrec.training.torch_cuda.storage import local_rows


class PlainTable:
    """Rows of vectors and linear weights; row r lies in process r mod n.

    weight: float32 [local rows, dim + 1]. state: float32 [states, local rows, dim + 1], of the optimizer.
    """

    def __init__(self, spec: ModelSpec, config: TrainerConfig, processes: Processes):
        self._config, self._group = config, processes
        shape = (local_rows(spec.rows, processes), spec.embedding_dim + 1)
        self.weight = torch.zeros(shape, device=processes.device)
        self.state = torch.zeros((STATES[config.optimizer], *shape), device=processes.device)

    def lookup(self, rows: Any) -> Any:
        """float32 [n, columns, dim + 1] of rows int [n, columns]; processes may ask for different ones, but for equally many."""
        group = self._group
        if group.count == 1:
            return self.weight[rows.long()]
        wanted = group.gather(rows)
        found = self.weight[(wanted // group.count).long()] * (wanted % group.count == group.rank)[:, :, None]
        return group.sum(found)[group.rank * len(rows) : (group.rank + 1) * len(rows)]

    def gather(self, rows: Any, gradients: Any) -> tuple[Any, Any]:
        """Adds up the gradients of each row, of all processes.

        Args:
            rows: [n, columns].
            gradients: float32 [n, columns, dim + 1].

        Returns:
            This process's rows int64 [m] that occur, and their gradients float32 [m, dim + 1].
        """
        group = self._group
        rows, gradients = group.gather(rows).reshape(-1).long(), group.gather(gradients).reshape(-1, gradients.shape[-1])
        if group.count > 1:
            mine = rows % group.count == group.rank
            rows, gradients = rows[mine] // group.count, gradients[mine]
        distinct, place = torch.unique(rows, return_inverse=True)
        return distinct, gradients.new_zeros((len(distinct), gradients.shape[1])).index_add_(0, place, gradients)

    def step(self, rows: Any, gradients: Any, step: int, learning_rate: float) -> None:
        """Updates the rows that `gather` returned; with dense updates all rows."""
        config = self._config
        numbers: np.ndarray = step_numbers(config.optimizer, step, learning_rate, config.embedding_weight_decay)
        if config.embedding_updates == "dense":
            everywhere = torch.zeros_like(self.weight)
            everywhere[rows] = gradients
            update_(config.optimizer, self.weight, self.state, everywhere, numbers)
            return
        weight, state = self.weight[rows], self.state[:, rows]
        update_(config.optimizer, weight, state, gradients, numbers)
        self.weight[rows], self.state[:, rows] = weight, state
