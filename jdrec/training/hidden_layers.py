"""Hidden layers for training on the CPU: ReLU and dropout in one pass over memory, in OneFlow together with the linear map.

A layer stays three modules, so that parameters have the names that the plain ones give them; what a module does not do, the one before
has done. Arrays and tensors on the CPU share their memory: nothing is copied between the framework and NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jdrec.training.dropout import Draws, relu_dropout_gradient

Hidden = Callable[[int, int, float], list[Any]]


def torch_hidden(torch: Any, draws: Draws) -> Hidden:
    """PyTorch's Linear, then ReLU and dropout together."""

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, layer: int, rate: float) -> Any:
            ctx.mark_dirty(x)
            draws.relu_dropout(layer, x.detach().numpy(), rate)
            ctx.save_for_backward(x)
            ctx.rate = rate
            return x

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> tuple[Any, ...]:
            (output,) = ctx.saved_tensors
            return torch.from_numpy(relu_dropout_gradient(gradient.numpy(), output.detach().numpy(), ctx.rate)), None, None

    class ReLUDropout(torch.nn.Module):
        def __init__(self, rate: float) -> None:
            super().__init__()
            self.rate, self.layer = rate, draws.next_layer()

        def forward(self, x: Any) -> Any:
            if not self.training:
                return torch.relu(x)
            if x.dtype == torch.bfloat16 or x.dtype == torch.float16:  # under autocast
                return Function.apply(x.float(), self.layer, self.rate)
            return Function.apply(x, self.layer, self.rate)

    def hidden(width: int, units: int, dropout: float) -> list[Any]:
        return [torch.nn.Linear(width, units), ReLUDropout(dropout), torch.nn.Identity()]

    return hidden


def oneflow_hidden(flow: Any, draws: Draws) -> Hidden:
    """A whole layer: OneFlow's matrix products; bias, ReLU and dropout in one pass in their memory."""

    def function(layer: int, rate: float) -> Any:
        # A class a layer: a function takes tensors and nothing else, and has to give a gradient for each.
        class Function(flow.autograd.Function):
            """x [n, in], weight [out, in], bias [out]."""

            @staticmethod
            def forward(ctx: Any, x: Any, weight: Any, bias: Any) -> Any:
                output = flow._C.matmul(x, weight, transpose_b=True)
                y = output.numpy()
                y += bias.numpy()
                draws.relu_dropout(layer, y, rate)
                ctx.save_for_backward(x, weight, output)
                return output

            @staticmethod
            def backward(ctx: Any, gradient: Any) -> tuple[Any, ...]:
                x, weight, output = ctx.saved_tensors
                g = relu_dropout_gradient(gradient.numpy(), output.numpy(), rate)
                y = flow.from_numpy(g)
                return flow._C.matmul(y, weight), flow._C.matmul(y, x, transpose_a=True), flow.from_numpy(g.sum(0))

        return Function

    class Layer(flow.nn.Linear):
        def __init__(self, width: int, units: int, rate: float) -> None:
            super().__init__(width, units)
            self.function = function(draws.next_layer(), rate)

        def forward(self, x: Any) -> Any:
            if self.training:
                return self.function.apply(x, self.weight, self.bias)
            return flow.relu(super().forward(x))

    def hidden(width: int, units: int, dropout: float) -> list[Any]:
        return [Layer(width, units, dropout), flow.nn.Identity(), flow.nn.Identity()]

    return hidden
