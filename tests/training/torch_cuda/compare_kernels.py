"""Runs each kernel and its plain equivalent on the same random tensors: `python -m tests.training.torch_cuda.compare_kernels`."""

from __future__ import annotations

from typing import Any

import torch

from jdrec.training.torch_cuda import kernels, reference
from jdrec.training.torch_cuda.layout import RowLayout

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ROWS, BATCH, FIELDS = 40, 9, 5


def compare(dim: int, scaled: bool, dtype: Any, on_device: int = ROWS) -> None:
    """All kernels for one length of vectors; of the table, so many rows are on the device and the others in host memory."""
    layout = RowLayout(dim)
    draw = torch.Generator().manual_seed(dim)
    table = torch.rand((ROWS, layout.floats), generator=draw)  # positive, as second moments are
    rows = torch.randint(0, ROWS, (BATCH, FIELDS), generator=draw, dtype=torch.int32)
    rows[:, 0] = 7  # in every sample
    scale = torch.randn((BATCH, FIELDS), generator=draw) if scaled else None
    width = FIELDS * dim + 3
    dx, dlogit = torch.randn((BATCH, width), generator=draw).to(dtype), torch.randn(BATCH, generator=draw)
    rates = torch.tensor([1e-2, 1e-8])
    both = [(reference, "cpu"), (kernels, DEVICE)]

    outputs = []
    for ops, device in both:
        slot = torch.full((ROWS,), -1, dtype=torch.int32, device=device)
        x = torch.zeros((BATCH, width), dtype=dtype, device=device)
        sums, logit = torch.empty((BATCH, dim), device=device), torch.empty(BATCH, device=device)
        state, rest = _split(table, on_device, device)
        ops.gather(rows.to(device), _to(scale, device), state, slot, x, sums, logit, layout, True, rest=rest)
        outputs.append([x.cpu().float(), sums.cpu(), logit.cpu()])
        claimed = slot.cpu().long()
        assert (claimed >= 0).sum() == len(rows.unique())
        assert all(rows.reshape(-1)[claimed[row]] == row for row in rows.unique())
    rough = 1e-4 if dtype == torch.float32 else 2**-7  # where Triton interprets, it cuts bfloat16 off instead of rounding it
    _equal("gather", *outputs, rtol=rough)

    x, sums, _ = outputs[0]
    slot = torch.full((ROWS,), -1, dtype=torch.int32)
    reference.claim(rows.reshape(-1), slot)
    places, totals = rows.numel(), []
    for ops, device in both:
        total = torch.zeros((places, layout.gradient_floats), device=device)
        inputs = [_to(value, device) for value in (rows, scale, slot, x.to(dtype), dx, sums, dlogit)]
        ops.accumulate(*inputs, total, layout, True)
        totals.append([total.cpu()])
    _equal("accumulate", *totals)

    flat = torch.where(torch.rand(places, generator=draw) < 0.3, -1, rows.reshape(-1)).to(torch.int32)  # some to pass over
    gradients = torch.randn((places, dim + 1), generator=draw).to(dtype)
    results = []
    for ops, device in both:
        (state, rest), own = _split(table, on_device, device), torch.full((ROWS,), -1, dtype=torch.int32, device=device)
        picked = torch.ones((places, dim + 2), dtype=dtype, device=device)
        ops.pick(picked, flat.to(device), state, layout, rest=rest)
        total = torch.zeros((places, layout.gradient_floats), device=device)
        ops.claim(flat.to(device), own)
        ops.merge(flat.to(device), own, gradients.to(device), total, layout)
        results.append([_by_row(total.cpu(), own.cpu()), picked.cpu().float()])
        ops.update(flat.to(device), own, total, state, rates.to(device), layout, 0.9, 0.999, rest=rest)
        results[-1].append(state.cpu() if rest is None else torch.cat([state.cpu(), rest.cpu()]))
        assert not total.any()
    _equal("write_rows", results[0][:1], results[1][:1])
    _equal("pick", results[0][1:2], results[1][1:2], rtol=rough)
    untouched = [row for row in range(ROWS) if row not in flat.tolist()]
    assert torch.equal(results[1][2][untouched], table[untouched])
    _equal("update", results[0][2:], results[1][2:])


def _split(table: Any, on_device: int, device: str) -> tuple[Any, Any]:
    """Copies of the rows on the device, and of the others in host memory that it reaches."""
    rest = table[on_device:].clone()
    return table[:on_device].to(device, copy=True), None if len(rest) == 0 else rest.pin_memory() if device == "cuda" else rest


def _by_row(total: Any, slot: Any) -> Any:
    return torch.stack([total[place] if place >= 0 else torch.zeros_like(total[0]) for place in slot.tolist()])


def _to(value: Any, device: str) -> Any:
    return None if value is None else value.to(device)


def _equal(name: str, expected: list[Any], given: list[Any], rtol: float = 1e-4) -> None:
    for left, right in zip(expected, given, strict=True):
        torch.testing.assert_close(right, left, rtol=rtol, atol=1e-5)
    print(name)


if __name__ == "__main__":
    compare(16, False, torch.float32)
    compare(6, True, torch.bfloat16)
    compare(16, True, torch.float32, on_device=11)
