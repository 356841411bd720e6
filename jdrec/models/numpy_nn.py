"""The few modules that our models need, in NumPy and for inference only: a served model scores with no framework installed.

Names, shapes and parameter names are PyTorch's and OneFlow's, so that the same definition and the same weights run on all three.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

_MANY_ROWS = 64
_WORTH_IT = 0.15  # share of a layer's inputs


class Module:
    """Base class: finds its parameters by attribute name, as the frameworks do."""

    def __call__(self, *inputs: Any) -> Any:
        return self.forward(*inputs)

    def forward(self, *inputs: Any) -> Any:
        raise NotImplementedError(type(self).__name__)

    def load_state_dict(self, state: Mapping[str, np.ndarray], prefix: str = "") -> None:
        """Takes its parameters from `state` by dotted name.

        Raises:
            KeyError: a parameter is missing.
            ValueError: a parameter has another shape than the module's.
        """
        for name, value in vars(self).items():
            if isinstance(value, Module):
                value.load_state_dict(state, f"{prefix}{name}.")
            elif isinstance(value, np.ndarray):
                given = state[prefix + name]
                if given.shape != value.shape:
                    raise ValueError(f"{prefix}{name} has shape {given.shape}, the model needs {value.shape}")
                setattr(self, name, given)


class Linear(Module):
    """x @ weight.T + bias, weight float32 [out_features, in_features], kept with an input's weights side by side."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        self.weight = _shape(out_features, in_features)
        if bias:
            self.bias = _shape(out_features)
        self._biased = bias

    def load_state_dict(self, state: Mapping[str, np.ndarray], prefix: str = "") -> None:
        super().load_state_dict(state, prefix)
        self.weight = np.asfortranarray(self.weight)

    def forward(self, x: np.ndarray) -> np.ndarray:
        by_input, shift = self.weight.T, self.bias if self._biased else None
        if x.ndim == 2 and len(x) >= _MANY_ROWS:
            alike = (x == x[0]).all(0)
            if alike.sum() >= _WORTH_IT * len(alike):
                x, by_input, shift = _without(alike, x, by_input, shift)
        y = x @ by_input
        if shift is not None:
            y += shift
        return y


def _without(alike: np.ndarray, x: np.ndarray, by_input: np.ndarray, shift: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, by_input and shift without the inputs that are the same in all rows: they are multiplied once, and added to the shift.

    Products offered to one user share the user's inputs, and a third of the units behind them that ReLU makes zero.
    """
    same, others = np.flatnonzero(alike & (x[0] != 0)), np.flatnonzero(~alike)
    once = x[0, same] @ by_input[same]
    return np.take(x, others, 1), by_input[others], once if shift is None else once + shift


class Bias(Module):
    """x + a learnt number."""

    def __init__(self) -> None:
        self.bias = _shape(1)

    def forward(self, x: np.ndarray) -> np.ndarray:
        return x + self.bias


class ReLU(Module):
    def forward(self, x: np.ndarray) -> np.ndarray:
        return np.maximum(x, 0)


class Sigmoid(Module):
    def forward(self, x: np.ndarray) -> np.ndarray:
        return 0.5 * (np.tanh(0.5 * x) + 1)  # 1 / (1 + exp(-x)) without overflow


class Dropout(Module):
    """Nothing, at inference."""

    def __init__(self, p: float = 0.5):
        self.p = p

    def forward(self, x: np.ndarray) -> np.ndarray:
        return x


class Sequential(Module):
    """Modules one after the other, named "0", "1", ..."""

    def __init__(self, *modules: Module):
        for i, module in enumerate(modules):
            setattr(self, str(i), module)

    def __iter__(self) -> Iterator[Module]:
        return iter(vars(self).values())

    def forward(self, x: np.ndarray) -> np.ndarray:
        for module in self:
            x = module(x)
        return x


def hidden(width: int, units: int, dropout: float) -> list[Module]:
    """The three modules of a hidden layer."""
    return [Linear(width, units), ReLU(), Dropout(dropout)]


def _shape(*size: int) -> np.ndarray:
    """A parameter without memory of its own: a loaded model brings its arrays."""
    return np.broadcast_to(np.float32(0), size)
