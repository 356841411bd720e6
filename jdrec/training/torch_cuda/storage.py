"""Tables to and from host memory, whole or spread over processes."""

from __future__ import annotations

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


def collect(parts: list[Any], rows: int, group: Processes) -> np.ndarray:
    """The whole table. All processes must call it.

    Args:
        parts: tensors [local rows, n] or [local rows], side by side in the result.
        rows: of the whole table.
    """
    count, width = local_rows(rows, group), sum(1 if part.ndim == 1 else part.shape[1] for part in parts)
    result = np.empty((rows, width), np.float32)
    for source in range(group.count):
        for start in range(0, count, _PIECE):
            end = min(start + _PIECE, count)
            piece = torch.cat([part[start:end].reshape(end - start, -1).float() for part in parts], 1)
            into = result[source :: group.count][start:end]
            into[:] = group.broadcast(piece, source)[: len(into)].cpu().numpy()
    return result


def fill(parts: list[Any], values: np.ndarray) -> None:
    """The inverse for this process: copies `values` [n, width], its own rows, to the first n of the parts."""
    for start in range(0, len(values), _PIECE):
        end, column = min(start + _PIECE, len(values)), 0
        piece = torch.from_numpy(np.ascontiguousarray(values[start:end], np.float32)).to(parts[0].device)
        for part in parts:
            width = 1 if part.ndim == 1 else part.shape[1]
            part[start:end] = piece[:, column : column + width].reshape(part[start:end].shape)
            column += width
