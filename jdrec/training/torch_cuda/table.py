"""The embedding table of one process: its rows with their moments, and lazy Adam on the rows of a batch."""

from __future__ import annotations

from typing import Any

import torch

from jdrec.training.optimizers import BETA1, BETA2
from jdrec.training.torch_cuda import reference
from jdrec.training.torch_cuda.layout import RowLayout


def operations(device: torch.device) -> Any:
    """The functions on a table: Triton kernels on a GPU, plain PyTorch elsewhere."""
    if device.type != "cuda":
        return reference
    from jdrec.training.torch_cuda import kernels

    return kernels


class Table:
    """Rows of vectors, linear weights and their moments, float32 [rows, layout.floats].

    Args:
        rows: of the table.
        layout: of a row.
        device: where.
    """

    def __init__(self, rows: int, layout: RowLayout, device: torch.device):
        self.layout, self.device = layout, device
        self.state = torch.zeros((rows, layout.floats), device=device)
        self._slot = torch.zeros(rows, dtype=torch.int32, device=device)
        self._ops = operations(device)

    def __len__(self) -> int:
        return len(self.state)

    def read(self, rows: Any, scale: Any, x: Any, sums: Any, logit: Any, pairwise: bool) -> None:
        """`kernels.gather` of a batch's rows."""
        self._ops.gather(rows, scale, self.state, self._slot, x, sums, logit, self.layout, pairwise)

    def write(self, rows: Any, scale: Any, forward: Any, dx: Any, dlogit: Any, total: Any, rates: Any) -> None:
        """Updates the rows that were `read` last into `forward` (a step.Forward).

        Args:
            dx, dlogit: gradients of forward.x and of the logits.
            total: zeros, float32 [batch * fields, layout.gradient_floats], and zeros again afterwards.
            rates: of `kernels.update`.
        """
        self._ops.accumulate(rows, scale, self._slot, forward.x, dx, forward.sums, dlogit, total, self.layout, forward.pairwise)
        self._ops.update(rows.reshape(-1), self._slot, total, self.state, rates, self.layout, BETA1, BETA2)

    def write_rows(self, rows: Any, gradients: Any, total: Any, rates: Any) -> None:
        """Updates any rows, given their gradients.

        Args:
            rows: int32 [n]; negative ones are passed over, those that occur several times add up.
            gradients: [n, >= dim + 1].
            total: zeros, float32 [n, layout.gradient_floats].
            rates: of `kernels.update`.
        """
        self._ops.claim(rows, self._slot)
        self._ops.merge(rows, self._slot, gradients, total, self.layout)
        self._ops.update(rows, self._slot, total, self.state, rates, self.layout, BETA1, BETA2)

    def part(self, name: str) -> list[Any]:
        """Views of "weight", "first" or "second": the vectors' [rows, dim], then the linear weights' [rows]."""
        layout = self.layout
        start = {"weight": 0, "first": layout.first, "second": layout.second}[name]
        linear = layout.linear + ["weight", "first", "second"].index(name)
        return [self.state[:, start : start + layout.dim], self.state[:, linear]]

    def clear(self, name: str) -> None:
        """Sets a part to zeros."""
        for view in self.part(name):
            view.zero_()
