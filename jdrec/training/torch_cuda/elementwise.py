"""The arithmetic between matrix products, as plain functions: compiled by torch.compile on a GPU, run as they are on a CPU.

Each changes its first arguments in place, so that a CUDA graph finds everything where it was.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch._dynamo
import torch.nn.functional as F

from jdrec.training.optimizers import BETA1, BETA2, EPSILON


def begin_step_(step: Any, rates: Any, seeds: Any, learning_rate: Any, seed: int) -> None:
    """Counts the step, and computes what depends on it.

    Args:
        step: int64 [1], the steps done.
        rates: out: float32 [2], Adam's learning rate and epsilon, both corrected for the bias of zero moments.
        seeds: out: int32 [layers], one a layer's dropout.
        learning_rate: float32 [1].
        seed: of the training.
    """
    step += 1
    t = step.double()
    # 1 - beta^t loses digits when t is small, and has none left in float32.
    second = torch.sqrt(-torch.expm1(t * torch.log(torch.full_like(t, BETA2))))
    rates.copy_(torch.cat([learning_rate * second / -torch.expm1(t * torch.log(torch.full_like(t, BETA1))), EPSILON * second]))
    number = step.int() * len(seeds) + torch.arange(len(seeds), dtype=torch.int32, device=step.device)
    seeds.copy_(hash32(number + _int32(seed * 0x9E3779B9)))


def hash32(x: Any) -> Any:
    """A permutation of int32 that mixes all bits: two rounds of shift, xor and multiplication."""
    x = (x ^ ((x >> 16) & 0xFFFF)) * _int32(0x7FEB352D)
    x = (x ^ ((x >> 15) & 0x1FFFF)) * _int32(0x846CA68B)
    return x ^ ((x >> 16) & 0xFFFF)


def kept(rows: int, columns: int, seed: Any, dropout: float, device: Any) -> Any:
    """Which of [rows, columns] units dropout keeps. It depends on seed (int32 scalar) and place alone, so nothing need be stored."""
    row = torch.arange(rows, dtype=torch.int32, device=device)[:, None]
    column = torch.arange(columns, dtype=torch.int32, device=device)[None, :]
    bits = hash32((row * columns + column) * _int32(0x9E3779B9) ^ seed)
    return (bits & 0xFFFFFF) >= int(dropout * 0x1000000)


def activate_(h: Any, seed: Any, dropout: float) -> None:
    """ReLU and dropout. h: [batch, units]; seed: int32 scalar. What stays is scaled by 1 / (1 - dropout)."""
    if dropout == 0:
        h.copy_(torch.relu(h))
        return
    active = kept(h.shape[0], h.shape[1], seed, dropout, h.device) & (h > 0)
    h.copy_(torch.where(active, h.float() * (1 / (1 - dropout)), 0.0).to(h.dtype))


def deactivate_(gradient: Any, h: Any, dropout: float) -> None:
    """The gradient before ReLU and dropout, from that after them. h is what `activate_` left: positive where the gradient passes."""
    gradient.copy_(torch.where(h > 0, gradient.float() * (1 / (1 - dropout)), 0.0).to(gradient.dtype))


def head_(dlogit: Any, losses: Any, step: Any, base: Any, h: Any, w: Any, labels: Any, weights: Any, share: float) -> None:
    """Last layer, loss and its gradient.

    Args:
        dlogit: out: float32 [batch].
        losses: out: float32 [n]: place (step - 1) % n gets this batch's share of the mean logloss.
        step: int64 [1], counted from 1.
        base: float32 [batch], the logits without the network's part.
        h: [batch, width] what the last layer sees, or None.
        w: [width] its weights.
        labels: float32 [batch].
        weights: float32 [batch] of the samples, or None.
        share: one over the number of samples, of all processes together.
    """
    logit = base if h is None else base + (h.float() * w.float()).sum(1)
    loss = F.softplus(logit) - logit * labels
    difference = torch.sigmoid(logit) - labels
    if weights is not None:
        loss, difference = loss * weights, difference * weights
    dlogit.copy_(difference * share)
    losses.index_copy_(0, (step - 1) % len(losses), loss.sum().reshape(1) * share)


def head_backward_(dh: Any, dw: Any, h: Any, w: Any, dlogit: Any, dropout: float) -> None:
    """Gradients of the last layer: dh [batch, units] before the last hidden layer's ReLU and dropout, dw [width] of the weights."""
    units = dh.shape[1]
    outer = dlogit[:, None] * (w[None, :units].float() * (1 / (1 - dropout)))
    dh.copy_(torch.where(h[:, :units] > 0, outer, 0.0).to(dh.dtype))
    dw.copy_((h.float() * dlogit[:, None]).sum(0).to(dw.dtype))


def adam_(weight: Any, first: Any, second: Any, low: Any, gradient: Any, rates: Any) -> None:
    """One step of Adam on flat float32 weights; `low`, if given, receives them in lower precision."""
    g = gradient.float()
    first.copy_(BETA1 * first + (1 - BETA1) * g)
    second.copy_(BETA2 * second + (1 - BETA2) * g * g)
    weight -= rates[0] * first / (torch.sqrt(second) + rates[1])
    if low is not None:
        low.copy_(weight.to(low.dtype))


@functools.cache
def compiled(function: Callable[..., None]) -> Callable[..., None]:
    """The function as one or two kernels, made for each shape when it is first seen."""
    # Shapes do not change in a training, but a process may have several trainings.
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 256)
    return torch.compile(function, fullgraph=True, dynamic=False)


def _int32(value: int) -> int:
    """The int32 of the same low 32 bits."""
    return (value + 0x80000000) % 0x100000000 - 0x80000000
