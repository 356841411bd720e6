"""OneFlow's Linear with its matrix products done by NumPy's BLAS.

The BLAS inside OneFlow's wheel runs on one thread, whatever it is told; NumPy's runs on all cores. Arrays and tensors on the CPU share
their memory, so nothing is copied.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


def blas_nn(flow: Any) -> Any:
    """The modules that models need: OneFlow's own, but for Linear. For eager work on the CPU."""

    class Affine(flow.autograd.Function):
        """x @ weight.T + bias; x [n, in], weight [out, in], bias [out]."""

        @staticmethod
        def forward(ctx: Any, x: Any, weight: Any, bias: Any) -> Any:
            ctx.save_for_backward(x, weight)
            y = x.numpy() @ weight.numpy().T
            y += bias.numpy()
            return flow.from_numpy(y)

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> tuple[Any, ...]:
            x, weight = ctx.saved_tensors
            g = gradient.numpy()
            return flow.from_numpy(g @ weight.numpy()), flow.from_numpy(g.T @ x.numpy()), flow.from_numpy(g.sum(0))

    class Linear(flow.nn.Linear):
        def forward(self, x: Any) -> Any:
            return Affine.apply(x, self.weight, self.bias)

    nn = flow.nn
    return SimpleNamespace(Module=nn.Module, Linear=Linear, ReLU=nn.ReLU, Dropout=nn.Dropout, Sequential=nn.Sequential)
