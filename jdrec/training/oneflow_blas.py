"""OneFlow's Linear with its matrix products done by NumPy's BLAS.

The BLAS inside OneFlow's wheel runs on one thread, whatever it is told; NumPy's runs on all cores. Arrays and tensors on the CPU share
their memory, so nothing is copied.
"""

from __future__ import annotations

from typing import Any


def linear_module(flow: Any) -> type:
    """A Linear for eager work on the CPU."""

    class Product(flow.autograd.Function):
        """x @ weight.T; x [n, in], weight [out, in]."""

        @staticmethod
        def forward(ctx: Any, x: Any, weight: Any) -> Any:
            ctx.save_for_backward(x, weight)
            return flow.from_numpy(x.numpy() @ weight.numpy().T)

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> tuple[Any, ...]:
            x, weight = ctx.saved_tensors
            g = gradient.numpy()
            return flow.from_numpy(g @ weight.numpy()), flow.from_numpy(g.T @ x.numpy())

    class Linear(flow.nn.Linear):
        def forward(self, x: Any) -> Any:
            product = Product.apply(x, self.weight)
            return product if self.bias is None else product + self.bias

    return Linear
