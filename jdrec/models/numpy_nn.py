"""The few modules that our models need, in NumPy and for inference only: a served model scores with no framework installed.

Names, shapes and parameter names are PyTorch's and OneFlow's, so that the same definition and the same weights run on all three.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


class Module:
    """Base class: finds its parameters by attribute name, as the frameworks do."""

    def __call__(self, *inputs: Any) -> Any:
        return self.forward(*inputs)

    def forward(self, *inputs: Any) -> Any:
        raise NotImplementedError(type(self).__name__)

    def load_state_dict(self, state: Mapping[str, np.ndarray], prefix: str = "") -> None:
        """Takes its parameters from `state` by dotted name; no copies are made.

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
    """x @ weight.T + bias, weight float32 [out_features, in_features]."""

    def __init__(self, in_features: int, out_features: int):
        # Shapes without memory: a loaded model brings its own arrays.
        self.weight = np.broadcast_to(np.float32(0), (out_features, in_features))
        self.bias = np.broadcast_to(np.float32(0), (out_features,))

    def forward(self, x: np.ndarray) -> np.ndarray:
        return x @ self.weight.T + self.bias


class ReLU(Module):
    def forward(self, x: np.ndarray) -> np.ndarray:
        return np.maximum(x, 0)


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

    def forward(self, x: np.ndarray) -> np.ndarray:
        for module in vars(self).values():
            x = module(x)
        return x
