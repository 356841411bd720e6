"""The fully connected part of the model, forward and backward written by hand, with every buffer made once.

Why by hand: autograd makes new tensors at every step and keeps what it need not, and a CUDA graph of it is a third slower. What is left
between the matrix products is compiled by PyTorch (`elementwise.py`).

A bias is one more column of its matrix, and the layer's input has a column of ones: the matrix products then add biases and sum up their
gradients, and nothing has to go over the activations for that. Columns are padded to a multiple of 8, for aligned loads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from jdrec.training.torch_cuda import elementwise
from jdrec.training.torch_cuda.elementwise import compiled


class Network:
    """Hidden layers with ReLU and dropout, then one output; weights, moments and gradients each in one flat tensor.

    Args:
        width: of the input.
        hidden: units of the hidden layers, at least one.
        dropout: of each hidden layer.
        batch: samples a step.
        dtype: of the arithmetic: float32 or bfloat16. Weights and moments are kept in float32.
        device: where.
    """

    def __init__(self, width: int, hidden: tuple[int, ...], dropout: float, batch: int, dtype: torch.dtype, device: torch.device):
        self.hidden, self.dropout, self.device = hidden, dropout, device
        self._inputs = (width, *hidden)  # of each layer
        self._padded = tuple(-(-(count + 1) // 8) * 8 for count in self._inputs)
        shapes = [(units, padded) for units, padded in zip((*hidden, 1), self._padded, strict=True)]
        self._shapes = shapes
        ends = np.cumsum([-(-rows * columns // 64) * 64 for rows, columns in shapes])
        self._starts = [0, *map(int, ends[:-1])]
        size = int(ends[-1])
        self.weight, self.first, self.second = (torch.zeros(size, device=device) for _ in range(3))
        self.low = None if dtype == torch.float32 else torch.zeros(size, dtype=dtype, device=device)
        self.gradient = torch.zeros(size, dtype=dtype, device=device)
        self._w = self._matrices(self.weight if self.low is None else self.low)
        self._g = self._matrices(self.gradient)
        self.activations = [torch.zeros((batch, padded), dtype=dtype, device=device) for padded in self._padded]
        for h, count in zip(self.activations, self._inputs, strict=True):
            h[:, count] = 1
        self._deltas = [torch.zeros((batch, count), dtype=dtype, device=device) for count in self._inputs]
        self._run: Callable[..., Any] = compiled if device.type == "cuda" else lambda function: function
        self._side = torch.cuda.Stream(device) if device.type == "cuda" else None

    @property
    def input(self) -> Any:
        """[batch, >= width]: to be filled before `forward`; the columns after `width` are not to be touched."""
        return self.activations[0]

    @property
    def input_gradient(self) -> Any:
        """[batch, width], after `backward`."""
        return self._deltas[0]

    @property
    def head(self) -> tuple[Any, Any]:
        """What the last layer sees [batch, n], and its weights [n]."""
        return self.activations[-1], self._w[-1][0]

    def forward(self, seeds: Any) -> None:
        """All but the last layer. seeds: int32 [hidden layers] of the dropout."""
        for i, units in enumerate(self.hidden):
            out = self.activations[i + 1][:, :units]
            torch.mm(self.activations[i], self._w[i].T, out=out)
            self._run(elementwise.activate_)(out, seeds[i], self.dropout)

    def backward(self, dlogit: Any, after_layer: Callable[[Any], None]) -> None:
        """All gradients, from that of the logits.

        The gradients of weights are not needed to go on: on a GPU they are computed on a second stream. `join` waits for it.

        Args:
            dlogit: float32 [batch].
            after_layer: called with the range of a layer's weights when its gradient is there and its weights are no longer needed.
        """
        last = len(self.hidden)
        self._run(elementwise.head_backward_)(self._deltas[last], self._g[last][0], *self.head, dlogit, self.dropout)
        after = last  # the layer above, whose weights the next matrix product still reads
        for i in reversed(range(last)):
            with self._beside():
                torch.mm(self._deltas[i + 1].T, self.activations[i], out=self._g[i])
                after_layer(self._range(after))
            torch.mm(self._deltas[i + 1], self._w[i][:, : self._inputs[i]], out=self._deltas[i])
            if i:
                self._run(elementwise.deactivate_)(self._deltas[i], self.activations[i][:, : self._inputs[i]], self.dropout)
            after = i
        with self._beside():
            after_layer(self._range(0))

    def join(self) -> None:
        """Waits for the second stream."""
        if self._side is not None:
            torch.cuda.current_stream(self.device).wait_stream(self._side)

    def update(self, part: slice, rates: Any) -> None:
        """Adam on a range of the weights."""
        low = None if self.low is None else self.low[part]
        self._run(elementwise.adam_)(self.weight[part], self.first[part], self.second[part], low, self.gradient[part], rates)

    def logits(self, x: Any) -> Any:
        """The output float32 [n] for inputs float32 [n, width], without dropout, in float32."""
        *layers, (matrix, bias) = self.parameters(self.weight)
        for weights, biases in layers:
            x = torch.relu(torch.addmm(biases, x, weights.T))
        return torch.addmm(bias, x, matrix.T)[:, 0]

    def parameters(self, flat: Any) -> Iterator[tuple[Any, Any]]:
        """Matrix [out, in] and bias [out] of each layer, views of `flat`, which is `weight`, `first` or `second`."""
        for matrix, count in zip(self._matrices(flat), self._inputs, strict=True):
            yield matrix[:, :count], matrix[:, count]

    def weights_changed(self) -> None:
        """To be called after `weight` was written to."""
        if self.low is not None:
            self.low.copy_(self.weight)

    def _matrices(self, flat: Any) -> list[Any]:
        return [
            flat[start : start + rows * columns].view(rows, columns)
            for start, (rows, columns) in zip(self._starts, self._shapes, strict=True)
        ]

    def _range(self, layer: int) -> slice:
        rows, columns = self._shapes[layer]
        return slice(self._starts[layer], self._starts[layer] + rows * columns)

    @contextmanager
    def _beside(self) -> Iterator[None]:
        """On the second stream, after all that was asked for on the first."""
        if self._side is None:
            yield
            return
        self._side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._side):
            yield
