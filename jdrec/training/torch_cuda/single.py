"""The table on one device."""

from __future__ import annotations

from typing import Any

import torch

from jdrec.training.torch_cuda.inputs import Inputs
from jdrec.training.torch_cuda.step import Forward
from jdrec.training.torch_cuda.table import Table


class SingleRows:
    """The rows of a step's batch, in a table on the same device.

    Args:
        table: the table.
        batch, fields: sizes of a batch.
    """

    processes = 1

    def __init__(self, table: Table, batch: int, fields: int):
        self.table = table
        self._total = torch.zeros((batch * fields, table.layout.gradient_floats), device=table.device)

    def read(self, inputs: Inputs, forward: Forward) -> None:
        self.table.read(inputs.rows, inputs.scale, *forward)

    def write(self, inputs: Inputs, forward: Forward, dx: Any, dlogit: Any, rates: Any) -> None:
        self.table.write(inputs.rows, inputs.scale, forward, dx, dlogit, self._total, rates)

    def reduce(self, gradient: Any) -> None:
        """Nothing: there is no other process."""
