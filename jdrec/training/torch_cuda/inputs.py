"""A batch as one block of memory: it goes to the GPU in one copy, and a CUDA graph finds each part where it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from jdrec.training.data import Batch

_ALIGN = 256  # bytes


class Inputs:
    """Row numbers, values, labels and weights of a batch, and the step's learning rate, as views of one block.

    rows: int32 [batch, fields]. scale: float32 [batch, fields] or None. labels: float32 [batch]. weights: float32 [batch] or None.
    learning_rate: float32 [1].

    Args:
        batch, fields: sizes.
        scaled: whether there is `scale`.
        weighted: whether there is `weights`.
        device: where; "pinned" for host memory that a GPU copies from by itself.
    """

    def __init__(self, batch: int, fields: int, scaled: bool, weighted: bool, device: Any):
        self.batch, self.fields = batch, fields
        cells = batch * fields
        parts = {"rows": cells, "scale": cells if scaled else 0, "labels": batch, "weights": batch if weighted else 0, "learning_rate": 1}
        sizes = [-(-4 * count // _ALIGN) * _ALIGN for count in parts.values()]
        pinned = device == "pinned"
        self.block = torch.zeros(sum(sizes), dtype=torch.uint8, device="cpu" if pinned else device, pin_memory=pinned)
        views, start = {}, 0
        for (name, count), size in zip(parts.items(), sizes, strict=True):
            views[name] = self.block[start : start + 4 * count].view(torch.int32 if name == "rows" else torch.float32)
            start += size
        self.rows: Any = views["rows"].view(batch, fields)
        self.scale: Any = views["scale"].view(batch, fields) if scaled else None
        self.labels: Any = views["labels"]
        self.weights: Any = views["weights"] if weighted else None
        self.learning_rate: Any = views["learning_rate"]

    def fill(self, batch: Batch, learning_rate: float) -> None:
        """Copies a batch of the same size; for blocks in host memory.

        Raises:
            ValueError: its shape, or what it consists of, is not what the block was made for.
        """
        if batch.rows.shape != (self.batch, self.fields):
            raise ValueError(f"a batch of shape {batch.rows.shape}, made for {(self.batch, self.fields)}")
        weights = getattr(batch, "weights", None)
        if (batch.scale is None) != (self.scale is None) or (weights is None) != (self.weights is None):
            raise ValueError("batches with and without scale or weights cannot take turns")
        self.rows.numpy()[:] = batch.rows
        self.labels.numpy()[:] = batch.labels
        if self.scale is not None:
            self.scale.numpy()[:] = batch.scale
        if self.weights is not None:
            self.weights.numpy()[:] = weights
        self.learning_rate.numpy()[0] = np.float32(learning_rate)
