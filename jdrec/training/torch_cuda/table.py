"""The embedding table of one process: its rows with their moments, and lazy Adam on the rows of a batch."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from jdrec.training.optimizers import BETA1, BETA2
from jdrec.training.torch_cuda import reference, storage
from jdrec.training.torch_cuda.layout import RowLayout
from jdrec.training.torch_cuda.processes import Processes


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
        self.rest: Any = None  # rows that are not on the device
        self._ops = operations(device)

    def __len__(self) -> int:
        return len(self.state)

    def read(self, rows: Any, scale: Any, x: Any, sums: Any, logit: Any, pairwise: bool) -> None:
        """`kernels.gather` of a batch's rows."""
        found = self._find(rows)
        self._ops.gather(found, scale, self.state, self._slot, x, sums, logit, self.layout, pairwise, rest=self.rest)

    def write(self, rows: Any, scale: Any, forward: Any, dx: Any, dlogit: Any, total: Any, rates: Any) -> None:
        """Updates the rows that were `read` last into `forward` (a step.Forward).

        Args:
            dx, dlogit: gradients of forward.x and of the logits.
            total: zeros, float32 [batch * fields, layout.gradient_floats], and zeros again afterwards.
            rates: of `kernels.update`.
        """
        found = self._found(rows)
        self._ops.accumulate(found, scale, self._slot, forward.x, dx, forward.sums, dlogit, total, self.layout, forward.pairwise)
        self._update(found.reshape(-1), total, rates)

    def pick(self, out: Any, rows: Any) -> None:
        """out[i] = the vector and the linear weight of row rows[i]; zeros for a negative one. rows: int32 [n]; out: [n, >= dim + 1]."""
        self._ops.pick(out, self._find(rows), self.state, self.layout, rest=self.rest)

    def write_rows(self, rows: Any, gradients: Any, total: Any, rates: Any) -> None:
        """Updates the rows that were `pick`ed last, given their gradients.

        Args:
            rows: int32 [n]; negative ones are passed over, those that occur several times add up.
            gradients: [n, >= dim + 1].
            total: zeros, float32 [n, layout.gradient_floats].
            rates: of `kernels.update`.
        """
        found = self._found(rows)
        self._ops.claim(found, self._slot)
        self._ops.merge(found, self._slot, gradients, total, self.layout)
        self._update(found, total, rates)

    def _update(self, found: Any, total: Any, rates: Any) -> None:
        self._ops.update(found, self._slot, total, self.state, rates, self.layout, BETA1, BETA2, rest=self.rest)

    def _find(self, rows: Any) -> Any:
        """Where rows are: their numbers themselves."""
        return rows

    def _found(self, rows: Any) -> Any:
        """What `_find` said last, which was about these rows."""
        return rows

    def take(self, name: str, rows: Any) -> Any:
        """A part of rows, float32 [..., dim + 1]: their vectors, then their linear weights.

        Args:
            name: "weight", "first" or "second", the moments.
            rows: int64, of any shape.
        """
        return self.state[rows][..., self._columns(name)]

    def put(self, name: str, rows: Any, values: Any) -> None:
        """The inverse of `take`. rows: int64 [n]; values: [n, dim + 1]."""
        self.state[rows[:, None], self._columns(name)] = values

    def first_row(self) -> Any:
        """The row that an empty batch changes, a view [1, layout.floats]."""
        return self.state[:1]

    def collect(self, name: str, rows: int, group: Processes) -> np.ndarray:
        """A part of the whole table, of `rows` rows, float32 [rows, dim + 1]. All processes must call it."""
        return storage.collect(partial(self.take, name), self.layout.dim + 1, rows, group)

    def fill(self, name: str, values: np.ndarray) -> None:
        """Sets a part of this process's rows to float32 [n, dim + 1]."""
        storage.fill(partial(self.put, name), values, self.device)

    def clear(self, name: str) -> None:
        """Sets a part to zeros."""
        for rows in (self.state, self.rest):
            if rows is not None:
                rows[:, self._columns(name).to(rows.device)] = 0

    def _columns(self, name: str) -> Any:
        """Where a part is in a row, int64 [dim + 1]."""
        layout = self.layout
        start = {"weight": 0, "first": layout.first, "second": layout.second}[name]
        linear = layout.linear + ["weight", "first", "second"].index(name)
        return torch.tensor([*range(start, start + layout.dim), linear], device=self.device)
