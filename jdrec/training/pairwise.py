"""The dot products of all pairs of fields, forward and backward in one pass over the vectors each, for training on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np


def torch_pairwise(torch: Any) -> Callable[[Any], Any]:
    """`jdrec.models.layers.pairwise` in PyTorch."""

    class Pairwise(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, vectors: Any) -> Any:
            result, total = forward(vectors.detach().numpy())
            ctx.save_for_backward(vectors)
            ctx.total = total
            return torch.from_numpy(result)

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            (vectors,) = ctx.saved_tensors
            return torch.from_numpy(backward(vectors.detach().numpy(), ctx.total, gradient.float().numpy()))

    return lambda vectors: Pairwise.apply(vectors)


def oneflow_pairwise(flow: Any) -> Callable[[Any], Any]:
    """`jdrec.models.layers.pairwise` in OneFlow."""

    class Pairwise(flow.autograd.Function):
        @staticmethod
        def forward(ctx: Any, vectors: Any) -> Any:
            result, total = forward(vectors.numpy())
            ctx.save_for_backward(vectors, flow.from_numpy(total))
            return flow.from_numpy(result)

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            vectors, total = ctx.saved_tensors
            return flow.from_numpy(backward(vectors.numpy(), total.numpy(), gradient.numpy()))

    return lambda vectors: Pairwise.apply(vectors)


def forward(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum over all pairs of fields of the dot products of vectors [n, fields, dim]: [n]; and the vectors' sums [n, dim]."""
    result, total = np.empty(len(vectors), vectors.dtype), np.zeros((len(vectors), vectors.shape[2]), vectors.dtype)
    _forward(np.ascontiguousarray(vectors), total, result)
    return result, total


def backward(vectors: np.ndarray, total: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """The gradient of the vectors from that of the result [n]: each vector's is the sum of all others."""
    out = np.empty(vectors.shape, vectors.dtype)
    _backward(np.ascontiguousarray(vectors), total, np.ascontiguousarray(gradient), out)
    return out


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _forward(vectors, total, result):  # type: ignore[no-untyped-def]
    count, fields, dim = vectors.shape
    for i in range(count):
        squares = vectors.dtype.type(0)
        for f in range(fields):
            for d in range(dim):
                value = vectors[i, f, d]
                total[i, d] += value
                squares += value * value
        whole = vectors.dtype.type(0)
        for d in range(dim):
            whole += total[i, d] * total[i, d]
        result[i] = (whole - squares) / 2


@numba.njit(cache=True, nogil=True)
def _backward(vectors, total, gradient, out):  # type: ignore[no-untyped-def]
    count, fields, dim = vectors.shape
    for i in range(count):
        g = gradient[i]
        for f in range(fields):
            for d in range(dim):
                out[i, f, d] = g * (total[i, d] - vectors[i, f, d])
