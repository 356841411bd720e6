"""A table larger than a GPU's memory: the rows that occur most lie on the GPU, the others in host memory.

Which rows those are is decided once, by how often each occurs in training: ids are distributed so unevenly that a small part of the rows has
most of the occurrences. Nothing is copied to and fro. The GPU reads and updates the other rows where they are, over the bus: a row is needed
once in each direction, and a step whose shapes do not depend on the data can stay a CUDA graph.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import torch

from jdrec.errors import TrainingError
from jdrec.training.torch_cuda.elementwise import compiled
from jdrec.training.torch_cuda.layout import RowLayout
from jdrec.training.torch_cuda.table import Table


class CachedTable(Table):
    """A `Table` of which the most frequent rows are on the device.

    Rows have places: first those on the device, then those in host memory, in the order of their numbers in each.

    Args:
        counts: int64 [rows], how often each row occurs.
        hot: how many rows the device has, at least 1 and fewer than all.
        layout: of a row.
        device: where.

    Raises:
        TrainingError: host memory does not suffice.
    """

    def __init__(self, counts: np.ndarray, hot: int, layout: RowLayout, device: torch.device):
        super().__init__(hot, layout, device)
        self.is_hot = most_frequent(counts, hot)
        self.rest = _host_zeros((len(counts) - hot, layout.floats), device, self)
        self._slot = torch.zeros(len(counts), dtype=torch.int32, device=device)
        self._place = torch.from_numpy(places(self.is_hot)).to(device)
        self._buffer = torch.empty(0, dtype=torch.int32, device=device)
        self._run = compiled if device.type == "cuda" else lambda function: function

    def __len__(self) -> int:
        return len(self.state) + len(self.rest)

    def _find(self, rows: Any) -> Any:
        if self._buffer.shape != rows.shape:  # in the first step
            self._buffer = torch.empty_like(rows)
        self._run(find_)(self._buffer, self._place, rows)
        return self._buffer

    def _found(self, rows: Any) -> Any:
        return self._buffer

    def take(self, name: str, rows: Any) -> Any:
        here, there, inside = self._where(rows)
        columns = self._columns(name)
        found = self.state.new_empty((*rows.shape, len(columns)))
        found[inside] = self.state[here][:, columns]
        found[~inside] = self.rest[there][:, columns.cpu()].to(self.device)
        return found

    def put(self, name: str, rows: Any, values: Any) -> None:
        here, there, inside = self._where(rows)
        columns = self._columns(name)
        self.state[here[:, None], columns] = values[inside]
        self.rest[there[:, None], columns.cpu()] = values[~inside].cpu()

    def first_row(self) -> Any:
        here, there, _ = self._where(torch.zeros(1, dtype=torch.int64, device=self.device))
        return self.state[here[0] : here[0] + 1] if len(here) else self.rest[there[0] : there[0] + 1]

    def _where(self, rows: Any) -> tuple[Any, Any, Any]:
        """Positions in `state`, positions in `rest`, and which rows are in `state`."""
        places = self._place[rows].long()
        inside = places < len(self.state)
        return places[inside], (places[~inside] - len(self.state)).cpu(), inside


def find_(out: Any, place: Any, rows: Any) -> None:
    """out = place[rows], and -1 for negative rows. All int32."""
    out.copy_(torch.where(rows < 0, -1, place[rows.clamp(min=0).long()]))


def most_frequent(counts: np.ndarray, hot: int) -> np.ndarray:
    """Which rows are the `hot` most frequent ones, bool [rows]; of equally frequent rows any."""
    chosen = np.zeros(len(counts), bool)
    chosen[np.argpartition(counts, len(counts) - hot)[len(counts) - hot :]] = True
    return chosen


def places(is_hot: np.ndarray) -> np.ndarray:
    """The place of every row, int32 [rows]."""
    before = np.cumsum(is_hot, dtype=np.int32)  # hot rows up to and including this one
    return np.where(is_hot, before - 1, before[-1] + np.arange(len(is_hot), dtype=np.int32) - before).astype(np.int32)


def _host_zeros(shape: tuple[int, int], device: torch.device, owner: Any) -> Any:
    """Zeros float32 in host memory that a GPU reaches at the same address, for as long as `owner` is there.

    PyTorch's own pinned memory comes in powers of two, which a table of this size cannot afford.
    """
    memory = torch.from_numpy(np.zeros(shape, np.float32))
    if device.type == "cuda":
        code = torch.cuda.cudart().cudaHostRegister(memory.data_ptr(), memory.numel() * 4, 0)
        if int(code) != 0:
            raise TrainingError(
                f"The {memory.numel() * 4 / 2**30:.1f} GiB of host memory for the rows that are not on the GPU cannot be had: CUDA error {int(code)}.",
                where="trainer.table_gpu_mb",
                hint="model.max_table_mb and model.min_count leave out the rarest ids.",
            )
        weakref.finalize(owner, _release, memory)
    return memory


def _release(memory: Any) -> None:
    torch.cuda.synchronize()
    torch.cuda.cudart().cudaHostUnregister(memory.data_ptr())
