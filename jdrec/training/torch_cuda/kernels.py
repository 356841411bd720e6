"""The parts of a step that PyTorch has no fast operation for: reading, and lazily updating, a batch's rows of the embedding table.

Six small Triton kernels. `reference.py` has the same six functions in plain PyTorch: they run on the CPU, and tests compare the two.

A batch has many occurrences of few rows. They are brought together without sorting: each occurrence writes its own number into `slot[row]`
(`claim`); whichever stays there is the row's winner. Gradients of all occurrences are added up in the winner's place (`accumulate`),
and the winners alone update their rows (`update`). Shapes never depend on the data, so that a step fits into a CUDA graph.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

from jdrec.training.torch_cuda.layout import RowLayout

_ENTRIES = 64  # occurrences a program of `claim`, `merge` and `update`


def gather(
    rows: Any, scale: Any, table: Any, slot: Any, x: Any, sums: Any, logit: Any, layout: RowLayout, pairwise: bool, rest: Any = None
) -> None:
    """Reads a batch's rows: the network's input, the linear term and the FM's pairwise term in one pass. Claims the rows if there is a slot.

    Args:
        rows: int32 [batch, fields].
        scale: float32 [batch, fields] or None.
        table: [n, >= dim + 1], a vector and its linear weight at the beginning of each row; float32 or bfloat16.
        slot: int32 [n], or None not to claim.
        x: out: [batch, >= fields * dim]: vectors times scale.
        sums: out: float32 [batch, dim], the sum of x over the fields.
        logit: out: float32 [batch], linear term plus, with `pairwise`, half of the sum of x_i x_j over the fields i != j.
        rest: the rows after the table's last one, of the same width, in host memory that the GPU reaches; None: there are none.
    """
    batch, fields = rows.shape
    _gather[(batch,)](
        rows,
        rows if scale is None else scale,
        table,
        table if rest is None else rest,
        rows if slot is None else slot,
        x,
        sums,
        logit,
        fields,
        len(table),
        table.stride(0),
        x.stride(0),
        DIM=layout.dim,
        SPLIT=rest is not None,
        SCALED=scale is not None,
        CLAIM=slot is not None,
        PAIRWISE=pairwise,
        FIELDS=triton.next_power_of_2(fields),
        WIDTH=triton.next_power_of_2(layout.dim),
    )


def accumulate(
    rows: Any, scale: Any, slot: Any, x: Any, dx: Any, sums: Any, dlogit: Any, total: Any, layout: RowLayout, pairwise: bool
) -> None:
    """Adds the gradient of every occurrence to that of its row.

    Args:
        rows, scale, x, sums: of `gather`.
        slot: int32 [n]: a row's place in `total`; None: rows are places themselves.
        dx: gradient of x that comes from the network, [batch, >= fields * dim], or None.
        dlogit: float32 [batch].
        total: float32 [places, layout.gradient_floats], added to.
    """
    batch, fields = rows.shape
    _accumulate[(batch,)](
        rows,
        rows if scale is None else scale,
        rows if slot is None else slot,
        x,
        x if dx is None else dx,
        sums,
        dlogit,
        total,
        fields,
        x.stride(0),
        0 if dx is None else dx.stride(0),
        DIM=layout.dim,
        TOTAL=layout.gradient_floats,
        SCALED=scale is not None,
        SLOTTED=slot is not None,
        NETWORK=dx is not None,
        PAIRWISE=pairwise,
        FIELDS=triton.next_power_of_2(fields),
        WIDTH=triton.next_power_of_2(layout.dim),
    )


def claim(rows: Any, slot: Any) -> None:
    """slot[rows[i]] = i for the rows that are not negative; of several i, any one stays. rows: int32 [n]."""
    _claim[(triton.cdiv(len(rows), 1024),)](rows, slot, len(rows), BLOCK=1024)


def merge(rows: Any, slot: Any, gradients: Any, total: Any, layout: RowLayout) -> None:
    """total[slot[rows[i]]] += gradients[i] for the rows that are not negative.

    Args:
        rows: int32 [n].
        gradients: [n, >= dim + 1], the vector's, then the linear weight's.
        total: float32 [n, layout.gradient_floats].
    """
    _merge[(triton.cdiv(len(rows), _ENTRIES),)](
        rows,
        slot,
        gradients,
        total,
        len(rows),
        gradients.stride(0),
        DIM=layout.dim,
        TOTAL=layout.gradient_floats,
        WIDTH=triton.next_power_of_2(layout.dim),
        BLOCK=_ENTRIES,
    )


def pick(out: Any, rows: Any, table: Any, layout: RowLayout, rest: Any = None) -> None:
    """out[i] = the vector and the linear weight of row rows[i], and zeros.

    Args:
        out: out: [n, >= dim + 1].
        rows: int32 [n]; negative ones have zeros.
        table, rest: of `gather`.
    """
    _pick[(triton.cdiv(len(rows), _ENTRIES),)](
        out,
        rows,
        table,
        table if rest is None else rest,
        len(rows),
        len(table),
        table.stride(0),
        out.stride(0),
        DIM=layout.dim,
        SPLIT=rest is not None,
        COLUMNS=out.shape[1],
        WIDTH=triton.next_power_of_2(out.shape[1]),
        BLOCK=_ENTRIES,
    )


def update(
    rows: Any, slot: Any, total: Any, table: Any, rates: Any, layout: RowLayout, beta1: float, beta2: float, rest: Any = None
) -> None:
    """One step of Adam on the rows that occur, and `total` back to zero.

    Args:
        rows: int32 [n] of all occurrences; negative ones are passed over.
        slot: int32: claimed for these rows.
        total: float32 [n, layout.gradient_floats]: gradients in the winners' places, zeros elsewhere.
        table: float32 [rows, layout.floats].
        rates: float32 [2]: the learning rate and epsilon, both corrected for bias (end of section 2 of the Adam paper).
        rest: of `gather`.
    """
    _update[(triton.cdiv(len(rows), _ENTRIES),)](
        rows,
        slot,
        total,
        table,
        table if rest is None else rest,
        rates,
        len(rows),
        len(table),
        beta1,
        beta2,
        DIM=layout.dim,
        SPLIT=rest is not None,
        TOTAL=layout.gradient_floats,
        FIRST=layout.first,
        SECOND=layout.second,
        ROW=layout.floats,
        WIDTH=triton.next_power_of_2(layout.dim),
        BLOCK=_ENTRIES,
    )


@triton.jit
def _gather(
    rows,
    scale,
    table,
    rest,
    slot,
    x,
    sums,
    logit,
    fields,
    table_rows,
    table_stride,
    x_stride,
    DIM: tl.constexpr,
    SPLIT: tl.constexpr,
    SCALED: tl.constexpr,
    CLAIM: tl.constexpr,
    PAIRWISE: tl.constexpr,
    FIELDS: tl.constexpr,
    WIDTH: tl.constexpr,
):
    sample = tl.program_id(0).to(tl.int64)
    field = tl.arange(0, FIELDS)
    column = tl.arange(0, WIDTH)
    here = field < fields
    row = tl.load(rows + sample * fields + field, mask=here, other=0).to(tl.int64)
    if CLAIM:
        tl.store(slot + row, (sample * fields + field).to(tl.int32), mask=here)
    inside = here[:, None] & (column < DIM)[None, :]
    place = table + row * table_stride
    if SPLIT:
        place = tl.where(row < table_rows, place, rest + (row - table_rows) * table_stride)
    vectors = tl.load(place[:, None] + column[None, :], mask=inside, other=0.0).to(tl.float32)
    weights = tl.load(place + DIM, mask=here, other=0.0).to(tl.float32)
    if SCALED:
        factor = tl.load(scale + sample * fields + field, mask=here, other=0.0)
        vectors = vectors * factor[:, None]
        weights = weights * factor
    tl.store(x + sample * x_stride + (field * DIM)[:, None] + column[None, :], vectors.to(x.dtype.element_ty), mask=inside)
    total = tl.sum(vectors, 0)
    tl.store(sums + sample * DIM + column, total, mask=column < DIM)
    result = tl.sum(weights, 0)
    if PAIRWISE:
        result += 0.5 * (tl.sum(total * total, 0) - tl.sum(tl.sum(vectors * vectors, 0), 0))
    tl.store(logit + sample, result)


@triton.jit
def _accumulate(
    rows,
    scale,
    slot,
    x,
    dx,
    sums,
    dlogit,
    total,
    fields,
    x_stride,
    dx_stride,
    DIM: tl.constexpr,
    TOTAL: tl.constexpr,
    SCALED: tl.constexpr,
    SLOTTED: tl.constexpr,
    NETWORK: tl.constexpr,
    PAIRWISE: tl.constexpr,
    FIELDS: tl.constexpr,
    WIDTH: tl.constexpr,
):
    sample = tl.program_id(0).to(tl.int64)
    field = tl.arange(0, FIELDS)
    column = tl.arange(0, WIDTH)
    here = field < fields
    inside = here[:, None] & (column < DIM)[None, :]
    row = tl.load(rows + sample * fields + field, mask=here, other=0).to(tl.int64)
    outer = tl.load(dlogit + sample)
    gradient = tl.zeros((FIELDS, WIDTH), tl.float32)
    if NETWORK:
        gradient += tl.load(dx + sample * dx_stride + (field * DIM)[:, None] + column[None, :], mask=inside, other=0.0).to(tl.float32)
    if PAIRWISE:
        others = tl.load(sums + sample * DIM + column, mask=column < DIM, other=0.0)
        own = tl.load(x + sample * x_stride + (field * DIM)[:, None] + column[None, :], mask=inside, other=0.0).to(tl.float32)
        gradient += outer * (others[None, :] - own)
    linear = tl.zeros((FIELDS,), tl.float32) + outer
    if SCALED:
        factor = tl.load(scale + sample * fields + field, mask=here, other=0.0)
        gradient = gradient * factor[:, None]
        linear = linear * factor
    if SLOTTED:
        row = tl.load(slot + row, mask=here, other=0).to(tl.int64)
    place = total + row * TOTAL
    tl.atomic_add(place[:, None] + column[None, :], gradient, mask=inside, sem="relaxed")
    tl.atomic_add(place + DIM, linear, mask=here, sem="relaxed")


@triton.jit
def _claim(rows, slot, count, BLOCK: tl.constexpr):
    entry = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    row = tl.load(rows + entry, mask=entry < count, other=-1).to(tl.int64)
    tl.store(slot + row, entry, mask=row >= 0)


@triton.jit
def _merge(
    rows, slot, gradients, total, count, gradient_stride, DIM: tl.constexpr, TOTAL: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr
):
    entry = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)
    column = tl.arange(0, WIDTH)
    row = tl.load(rows + entry, mask=entry < count, other=-1).to(tl.int64)
    here = row >= 0
    inside = here[:, None] & (column < DIM)[None, :]
    place = total + tl.load(slot + row, mask=here, other=0).to(tl.int64) * TOTAL
    gradient = tl.load(gradients + entry[:, None] * gradient_stride + column[None, :], mask=inside, other=0.0).to(tl.float32)
    linear = tl.load(gradients + entry * gradient_stride + DIM, mask=here, other=0.0).to(tl.float32)
    tl.atomic_add(place[:, None] + column[None, :], gradient, mask=inside, sem="relaxed")
    tl.atomic_add(place + DIM, linear, mask=here, sem="relaxed")


@triton.jit
def _pick(
    out,
    rows,
    table,
    rest,
    count,
    table_rows,
    table_stride,
    out_stride,
    DIM: tl.constexpr,
    SPLIT: tl.constexpr,
    COLUMNS: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    entry = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)
    column = tl.arange(0, WIDTH)
    row = tl.load(rows + entry, mask=entry < count, other=-1).to(tl.int64)
    start = table + row * table_stride
    if SPLIT:
        start = tl.where(row < table_rows, start, rest + (row - table_rows) * table_stride)
    values = tl.load(start[:, None] + column[None, :], mask=(row >= 0)[:, None] & (column <= DIM)[None, :], other=0.0)
    inside = (entry < count)[:, None] & (column < COLUMNS)[None, :]
    tl.store(out + entry[:, None] * out_stride + column[None, :], values.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _update(
    rows,
    slot,
    total,
    table,
    rest,
    rates,
    count,
    table_rows,
    beta1,
    beta2,
    DIM: tl.constexpr,
    SPLIT: tl.constexpr,
    TOTAL: tl.constexpr,
    FIRST: tl.constexpr,
    SECOND: tl.constexpr,
    ROW: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    entry = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)
    column = tl.arange(0, WIDTH)
    row = tl.load(rows + entry, mask=entry < count, other=-1).to(tl.int64)
    winner = (row >= 0) & (tl.load(slot + row, mask=row >= 0, other=-1) == entry)
    inside = winner[:, None] & (column < DIM)[None, :]
    rate = tl.load(rates)
    epsilon = tl.load(rates + 1)

    start = table + row * ROW
    if SPLIT:
        start = tl.where(row < table_rows, start, rest + (row - table_rows) * ROW)
    gradients = total + entry[:, None] * TOTAL + column[None, :]
    place = start[:, None] + column[None, :]
    g = tl.load(gradients, mask=inside, other=0.0)
    first = beta1 * tl.load(place + FIRST, mask=inside, other=0.0) + (1 - beta1) * g
    second = beta2 * tl.load(place + SECOND, mask=inside, other=0.0) + (1 - beta2) * g * g
    weight = tl.load(place, mask=inside, other=0.0) - rate * first / (tl.sqrt(second) + epsilon)

    linear = start + DIM
    g1 = tl.load(total + entry * TOTAL + DIM, mask=winner, other=0.0)
    first1 = beta1 * tl.load(linear + 1, mask=winner, other=0.0) + (1 - beta1) * g1
    second1 = beta2 * tl.load(linear + 2, mask=winner, other=0.0) + (1 - beta2) * g1 * g1
    weight1 = tl.load(linear, mask=winner, other=0.0) - rate * first1 / (tl.sqrt(second1) + epsilon)

    # A number may be stored by another thread than loads it: without this, zeros were stored before gradients were loaded.
    tl.debug_barrier()
    tl.store(place, weight, mask=inside)
    tl.store(place + FIRST, first, mask=inside)
    tl.store(place + SECOND, second, mask=inside)
    tl.store(gradients, tl.zeros((BLOCK, WIDTH), tl.float32), mask=inside)
    tl.store(linear, weight1, mask=winner)
    tl.store(linear + 1, first1, mask=winner)
    tl.store(linear + 2, second1, mask=winner)
    tl.store(total + entry * TOTAL + DIM, tl.zeros((BLOCK,), tl.float32), mask=winner)
