"""The modules that models are made of, from a framework that has PyTorch's API: PyTorch itself, or OneFlow."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


def namespace(framework: Any, **others: Any) -> SimpleNamespace:
    """The modules of `framework` (the package torch or oneflow), and what it lacks.

    Args:
        others: modules to use instead of the framework's: Linear, Dropout; `hidden`, which makes the three modules of a hidden layer;
            `pairwise`, a function instead of `jdrec.models.layers.pairwise`.
    """
    nn: Any = framework.nn

    class Bias(nn.Module):
        """x + a learnt number."""

        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(framework.zeros(1))

        def forward(self, x: Any) -> Any:
            return x + self.bias

    def hidden(width: int, units: int, dropout: float) -> list[Any]:
        return [modules.Linear(width, units), modules.ReLU(), modules.Dropout(dropout)]

    plain = {name: getattr(nn, name) for name in ("Module", "Linear", "ReLU", "Sigmoid", "Dropout", "Sequential")}
    modules = SimpleNamespace(**{**plain, "Bias": Bias, "hidden": hidden, **others})
    return modules
