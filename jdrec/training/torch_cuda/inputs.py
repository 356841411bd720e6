"""Batches as one block of memory: they go to the GPU in one copy, and a CUDA graph finds each part where it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch

if TYPE_CHECKING:
    from jdrec.training.data import Batch

_ALIGN = 256  # bytes
_PACK = 16_384  # samples: smaller batches travel together


class Shape(NamedTuple):
    """What batches are made of: `scaled`, whether they have scale; `weighted`, whether they have weights."""

    batch: int
    fields: int
    scaled: bool = False
    weighted: bool = False

    @property
    def pack(self) -> int:
        """How many batches are copied at a time."""
        return max(1, min(16, _PACK // self.batch))


class Inputs:
    """Row numbers, values, labels and weights of one batch, as views of a block.

    rows: int32 [batch, fields]. scale: float32 [batch, fields] or None. labels: float32 [batch]. weights: float32 [batch] or None.
    """

    def __init__(self, shape: Shape, block: Any):
        views, start = {}, 0
        for name, count in _parts(shape).items():
            views[name] = block[start : start + 4 * count].view(torch.int32 if name == "rows" else torch.float32)
            start += _aligned(4 * count)
        self.shape = shape
        self.rows: Any = views["rows"].view(shape.batch, shape.fields)
        self.scale: Any = views["scale"].view(shape.batch, shape.fields) if shape.scaled else None
        self.labels: Any = views["labels"]
        self.weights: Any = views["weights"] if shape.weighted else None

    def fill(self, batch: Batch) -> None:
        """Copies a batch; for blocks in host memory.

        Raises:
            ValueError: it is not of the shape that the block was made for.
        """
        given = Shape(len(batch.rows), batch.rows.shape[1], batch.scale is not None, batch.weights is not None)
        if given != self.shape:
            raise ValueError(f"a batch of {given}, made for {self.shape}")
        self.rows.numpy()[:] = batch.rows
        self.labels.numpy()[:] = batch.labels
        if batch.scale is not None:
            self.scale.numpy()[:] = batch.scale
        if batch.weights is not None:
            self.weights.numpy()[:] = batch.weights


class Pack:
    """Several batches in one block.

    Args:
        shape: of each.
        count: how many.
        device: where; "pinned" for host memory that a GPU copies from by itself.
    """

    def __init__(self, shape: Shape, count: int, device: Any):
        size = sum(_aligned(4 * part) for part in _parts(shape).values())
        pinned = device == "pinned"
        self.block = torch.zeros(count * size, dtype=torch.uint8, device="cpu" if pinned else device, pin_memory=pinned)
        self.batches = [Inputs(shape, self.block[i * size : (i + 1) * size]) for i in range(count)]


def _parts(shape: Shape) -> dict[str, int]:
    """Numbers of 4 bytes."""
    cells = shape.batch * shape.fields
    scale, weights = cells if shape.scaled else 0, shape.batch if shape.weighted else 0
    return {"rows": cells, "scale": scale, "labels": shape.batch, "weights": weights}


def _aligned(size: int) -> int:
    return -(-size // _ALIGN) * _ALIGN
