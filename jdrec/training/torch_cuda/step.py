"""One step of DeepFM, or of Wide & Deep, which lacks its pairwise term: read the rows, forward, backward, lazy Adam.

Every buffer is made once, so that the step can be a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from jdrec.models import ModelSpec
from jdrec.training.torch_cuda import elementwise
from jdrec.training.torch_cuda.elementwise import compiled
from jdrec.training.torch_cuda.inputs import Inputs
from jdrec.training.torch_cuda.layout import RowLayout
from jdrec.training.torch_cuda.network import Network


class Forward(NamedTuple):
    """What reading a batch's rows gives.

    x: [batch, >= fields * dim], all vectors. sums: float32 [batch, dim] over the fields. logit: float32 [batch], what does not need the
    network. pairwise: whether that includes the dot products of all pairs of fields.
    """

    x: Any
    sums: Any
    logit: Any
    pairwise: bool


class Rows(Protocol):
    """Where a step reads and updates the batch's rows: `single.Rows` on one device, `sharded.Rows` on several."""

    processes: int

    def read(self, inputs: Inputs, forward: Forward) -> None:
        """Fills it as `kernels.gather` does."""

    def write(self, inputs: Inputs, forward: Forward, dx: Any, dlogit: Any, rates: Any) -> None:
        """Updates the rows that were read, given the gradients of the network's input and of the logits."""

    def reduce(self, gradient: Any) -> None:
        """Adds up the network's gradients over the processes."""


class DeepFMStep:
    """The model's network with its optimizer, and the buffers of a step.

    Args:
        spec: the model, of hidden layers and fields of one column each.
        rows: the table.
        batch: samples a step, of this process.
        dtype: of the network's arithmetic, float32 or bfloat16.
        device: where.
        seed: of dropout. Processes use different ones.
        losses: how many of the last steps' losses are kept on the device.
    """

    def __init__(self, spec: ModelSpec, rows: Rows, batch: int, dtype: torch.dtype, device: torch.device, seed: int, losses: int = 4096):
        self.layout, self.rows, self.device = RowLayout(spec.embedding_dim), rows, device
        fields = len(spec.fields)
        self.network = Network(fields * spec.embedding_dim, tuple(spec.dnn), spec.dropout, batch, dtype, device)
        self.step = torch.zeros(1, dtype=torch.int64, device=device)
        self.learning_rate = torch.zeros(1, device=device)
        self.losses = torch.zeros(losses, device=device)
        self._seed, self._share = seed, 1 / (batch * rows.processes)
        self._seeds = torch.zeros(len(spec.dnn), dtype=torch.int32, device=device)
        self._rates = torch.zeros(2, device=device)
        sums, logit = torch.zeros((batch, spec.embedding_dim), device=device), torch.zeros(batch, device=device)
        self._forward = Forward(self.network.input, sums, logit, pairwise=spec.name == "deepfm")
        self._dlogit = torch.zeros(batch, device=device)

    def __call__(self, inputs: Inputs) -> None:
        """Trains on one batch; `losses` gets its loss."""
        network, run = self.network, compiled if self.device.type == "cuda" else _as_it_is
        run(elementwise.begin_step_)(self.step, self._rates, self._seeds, self.learning_rate, self._seed)
        self.rows.read(inputs, self._forward)
        network.forward(self._seeds)
        run(elementwise.head_)(
            self._dlogit, self.losses, self.step, self._forward.logit, *network.head, inputs.labels, inputs.weights, self._share
        )
        alone = self.rows.processes == 1
        network.backward(self._dlogit, (lambda part: network.update(part, self._rates)) if alone else _nothing)
        if not alone:
            network.join()
            self.rows.reduce(network.gradient)
            network.update(slice(None), self._rates)
        self.rows.write(inputs, self._forward, network.input_gradient, self._dlogit, self._rates)
        network.join()

    def state(self) -> list[Any]:
        """All tensors of this object that training changes and goes on from."""
        network = self.network
        low = [] if network.low is None else [network.low]
        return [self.step, self.losses, network.weight, network.first, network.second, *low]

    def logits(self, embedded: Any) -> Any:
        """Logits float32 [n] without dropout, in float32.

        Args:
            embedded: float32 [n, fields, dim + 1], vectors and linear weights, scaled.
        """
        vectors = embedded[:, :, :-1]
        logit = embedded[:, :, -1].sum(1) + self.network.logits(vectors.reshape(len(vectors), -1))
        if self._forward.pairwise:
            sums = vectors.sum(1)
            logit += 0.5 * ((sums * sums).sum(1) - (vectors * vectors).sum((1, 2)))
        return logit

    def dense(self, name: str) -> dict[str, np.ndarray]:
        """The network's "weight", "first" or "second" moments, by the names that `jdrec.models.deepfm` gives its parameters."""
        return {key: view.cpu().numpy().copy() for key, view in self._named(name).items()}

    def load_dense(self, name: str, values: Mapping[str, np.ndarray]) -> None:
        """The inverse of `dense`."""
        for key, view in self._named(name).items():
            view.copy_(torch.from_numpy(np.asarray(values[key], np.float32)))
        self.network.weights_changed()

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the network's parameters by name."""
        return {key: tuple(view.shape) for key, view in self._named("weight").items()}

    def _named(self, name: str) -> dict[str, Any]:
        views: dict[str, Any] = {}
        for i, (matrix, bias) in enumerate(self.network.parameters(getattr(self.network, name))):
            views |= {f"dnn.{3 * i}.weight": matrix, f"dnn.{3 * i}.bias": bias}
        return views


def _as_it_is(function: Any) -> Any:
    return function


def _nothing(part: slice) -> None:
    pass
