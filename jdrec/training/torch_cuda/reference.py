"""The functions of `kernels.py` in plain PyTorch: what a CPU runs, and what the kernels are compared with. Arguments are documented there."""

from __future__ import annotations

from typing import Any

import torch

from jdrec.training.torch_cuda.layout import RowLayout


def gather(
    rows: Any, scale: Any, table: Any, slot: Any, x: Any, sums: Any, logit: Any, layout: RowLayout, pairwise: bool, rest: Any = None
) -> None:
    batch, fields = rows.shape
    if slot is not None:
        claim(rows.reshape(-1), slot)
    embedded = _rows(table, rest, rows.reshape(-1).long())[:, : layout.dim + 1].float().reshape(batch, fields, layout.dim + 1)
    if scale is not None:
        embedded = embedded * scale[:, :, None]
    vectors = embedded[:, :, : layout.dim]
    x[:, : fields * layout.dim] = vectors.reshape(batch, -1).to(x.dtype)
    torch.sum(vectors, 1, out=sums)
    logit.copy_(embedded[:, :, layout.dim].sum(1))
    if pairwise:
        logit += 0.5 * ((sums * sums).sum(1) - (vectors * vectors).sum((1, 2)))


def accumulate(
    rows: Any, scale: Any, slot: Any, x: Any, dx: Any, sums: Any, dlogit: Any, total: Any, layout: RowLayout, pairwise: bool
) -> None:
    batch, fields = rows.shape
    width = fields * layout.dim
    gradient = torch.zeros((batch, fields, layout.dim + 1), dtype=torch.float32)
    if dx is not None:
        gradient[:, :, : layout.dim] += dx[:, :width].float().reshape(batch, fields, layout.dim)
    if pairwise:
        own = x[:, :width].float().reshape(batch, fields, layout.dim)
        gradient[:, :, : layout.dim] += dlogit[:, None, None] * (sums[:, None, :] - own)
    gradient[:, :, layout.dim] = dlogit[:, None]
    if scale is not None:
        gradient *= scale[:, :, None]
    places = rows.reshape(-1).long()
    if slot is not None:
        places = slot[places].long()
    total[:, : layout.dim + 1].index_add_(0, places, gradient.reshape(-1, layout.dim + 1))


def claim(rows: Any, slot: Any) -> None:
    entry = torch.nonzero(rows >= 0)[:, 0]
    slot[rows[entry].long()] = entry.to(slot.dtype)


def merge(rows: Any, slot: Any, gradients: Any, total: Any, layout: RowLayout) -> None:
    entry = torch.nonzero(rows >= 0)[:, 0]
    places = slot[rows[entry].long()].long()
    total[:, : layout.dim + 1].index_add_(0, places, gradients[entry, : layout.dim + 1].float())


def pick(out: Any, rows: Any, table: Any, layout: RowLayout, rest: Any = None) -> None:
    out.zero_()
    entry = torch.nonzero(rows >= 0)[:, 0]
    out[entry, : layout.dim + 1] = _rows(table, rest, rows[entry].long())[:, : layout.dim + 1].to(out.dtype)


def update(
    rows: Any, slot: Any, total: Any, table: Any, rates: Any, layout: RowLayout, beta1: float, beta2: float, rest: Any = None
) -> None:
    entry = torch.nonzero(rows >= 0)[:, 0]
    entry = entry[slot[rows[entry].long()].long() == entry]
    row = rows[entry].long()
    dim = layout.dim
    state, g = _rows(table, rest, row), total[entry, : dim + 1]
    first = torch.cat([state[:, layout.first : layout.first + dim], state[:, dim + 1 : dim + 2]], 1)
    second = torch.cat([state[:, layout.second : layout.second + dim], state[:, dim + 2 : dim + 3]], 1)
    first = beta1 * first + (1 - beta1) * g
    second = beta2 * second + (1 - beta2) * g * g
    state[:, : dim + 1] -= rates[0] * first / (second.sqrt() + rates[1])
    state[:, layout.first : layout.first + dim], state[:, dim + 1] = first[:, :dim], first[:, dim]
    state[:, layout.second : layout.second + dim], state[:, dim + 2] = second[:, :dim], second[:, dim]
    inside = row < len(table)
    table[row[inside]] = state[inside]
    if rest is not None:
        rest[row[~inside] - len(table)] = state[~inside]
    total[entry] = 0


def _rows(table: Any, rest: Any, rows: Any) -> Any:
    """Rows of a table that goes on in `rest`, if that is not None. rows: int64 [n]."""
    if rest is None:
        return table[rows]
    found = table.new_empty((len(rows), table.shape[1]))
    inside = rows < len(table)
    found[inside], found[~inside] = table[rows[inside]], rest[rows[~inside] - len(table)]
    return found
