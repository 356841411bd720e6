"""What training on the CPU asks of a framework: forward and backward through a model, no more."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from jdrec.training.dropout import Draws


class Network(Protocol):
    """A model in a framework.

    Attributes:
        framework: name and version.
        parameters: float32 arrays by name. They are the model's own memory: a change in place changes the model.
    """

    framework: str
    parameters: dict[str, np.ndarray]

    def forward(self, vectors: np.ndarray, weights: np.ndarray, step: int) -> np.ndarray:
        """Logits float32 [n] of one training batch, dropout as of batch `step`; keeps what `backward` needs.

        Args:
            vectors: float32 [n, fields, dim].
            weights: float32 [n, fields].
        """

    def backward(self, gradient: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """Gradients of the parameters by name, of the vectors and of the weights.

        Args:
            gradient: float32 [n], of the logits of the last `forward`.
        """

    def logits(self, vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Logits float32 [n], without dropout."""

    def profiler(self, folder: Path) -> AbstractContextManager:
        """Records the framework's operators inside and leaves a trace in `folder`."""


class ModuleNetwork:
    """A model in a framework with PyTorch's API, whose arrays and tensors on the CPU share their memory.

    Args:
        framework: the package torch or oneflow.
        model: the module, made of `jdrec.models.namespace` with `jdrec.training.dropout`.
        draws: of its dropout.
        autocast: makes a context under which the forward pass runs.
        profiler: as `Network.profiler`.
    """

    def __init__(
        self,
        framework: Any,
        model: Any,
        draws: Draws,
        autocast: Callable[[], AbstractContextManager] = nullcontext,
        profiler: Callable[[Path], AbstractContextManager] = nullcontext,
    ):
        self.framework = f"{framework.__name__} {framework.__version__}"
        self.profiler = profiler
        self._flow, self._model, self._draws, self._autocast = framework, model, draws, autocast
        self._modules = dict(model.named_parameters())
        self.parameters = {key: value.detach().numpy() for key, value in self._modules.items()}

    def forward(self, vectors: np.ndarray, weights: np.ndarray, step: int, first: int = 0) -> np.ndarray:
        """As `Network.forward`, of a batch's samples from number `first` on."""
        self._draws.start(step, first)
        self._model.train()
        self._inputs = [self._flow.from_numpy(array).requires_grad_(True) for array in (vectors, weights)]
        with self._autocast():
            self._output = self._model(*self._inputs)
        return self._output.detach().to(self._flow.float32).numpy().reshape(-1)

    def backward(self, gradient: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        for parameter in self._modules.values():
            parameter.grad = None
        self._output.backward(self._flow.from_numpy(gradient.reshape(-1, 1)).to(self._output.dtype))
        gradients = {key: value.grad.numpy() for key, value in self._modules.items() if value.grad is not None}
        vectors, weights = (np.zeros(tuple(x.shape), np.float32) if x.grad is None else x.grad.numpy() for x in self._inputs)
        del self._inputs, self._output
        return gradients, vectors, weights

    def share(self, other: ModuleNetwork) -> None:
        """From now on the parameters are those of `other`, in the same memory."""
        for name, parameter in self._modules.items():
            parameter.data = other._modules[name].data
        self.parameters = other.parameters

    def move(self, memory: dict[str, np.ndarray]) -> None:
        """From now on the parameters are in `memory`, with the values that they have."""
        for name, parameter in self._modules.items():
            memory[name][...] = self.parameters[name]
            parameter.data = self._flow.from_numpy(memory[name])
        self.parameters = memory

    def logits(self, vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
        self._model.eval()
        with self._flow.no_grad(), self._autocast():
            output = self._model(self._flow.from_numpy(vectors), self._flow.from_numpy(weights))
        return output.to(self._flow.float32).numpy().reshape(-1)
