"""Tables to and from host memory, whole or spread over processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from jdrec.training.torch_cuda.processes import Processes

_PIECE = 1 << 20  # rows that travel at a time


def local_rows(rows: int, group: Processes) -> int:
    """How many of a table's rows lie in each process; the last ones may be unused."""
    return -(-rows // group.count)


def own(values: np.ndarray, group: Processes) -> np.ndarray:
    """This process's rows of a whole table: every n-th."""
    return values[group.rank :: group.count]


def collect(take: Callable[[Any], Any], width: int, rows: int, group: Processes) -> np.ndarray:
    """The whole table, float32 [rows, width]. All processes must call it.

    Args:
        take: for local row numbers int64 [n] their numbers [n, width], on the group's device.
        width: numbers a row.
        rows: of the whole table.
    """
    count = local_rows(rows, group)
    result = np.empty((rows, width), np.float32)
    for source in range(group.count):
        for start in range(0, count, _PIECE):
            piece = take(torch.arange(start, min(start + _PIECE, count), device=group.device)).float()
            into = result[source :: group.count][start : start + len(piece)]
            into[:] = group.broadcast(piece, source)[: len(into)].cpu().numpy()
    return result


def fill(put: Callable[[Any, Any], None], values: np.ndarray, device: torch.device) -> None:
    """The inverse for this process: puts `values` [n, width], its own rows, to the first n; put: (local row numbers, values)."""
    for start in range(0, len(values), _PIECE):
        piece = torch.from_numpy(np.ascontiguousarray(values[start : start + _PIECE], np.float32)).to(device)
        put(torch.arange(start, start + len(piece), device=device), piece)
