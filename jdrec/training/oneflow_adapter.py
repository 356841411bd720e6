"""Trains with OneFlow on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from jdrec.config import TrainerConfig
from jdrec.models import ModelSpec, build
from jdrec.models.initial import EMBEDDING, initial_weights
from jdrec.training.data import Batch
from jdrec.training.embedding import BETA1, BETA2, EPSILON, LazyAdamTable
from jdrec.training.oneflow_blas import blas_nn
from jdrec.training.oneflow_library import load_oneflow


class OneFlowAdapter:
    """A model and Adam on the CPU, step by step (eager).

    Where the embedding table lives is trainer.embedding_updates: "lazy" keeps it outside of the framework, in a table whose Adam
    touches a batch's rows only; "dense" is an nn.Embedding, all of whose rows every step updates.

    Args:
        spec: the model.
        config: the trainer's configuration.
        seed: of initial weights and dropout. Runs with the same seed and number of threads end with the same weights, bit for bit.
    """

    is_main = True
    device = "cpu"

    def __init__(self, spec: ModelSpec, config: TrainerConfig, seed: int):
        self.flow = flow = load_oneflow()
        self.framework = f"oneflow {flow.__version__}"
        if config.threads:
            from threadpoolctl import threadpool_limits

            flow.set_num_threads(config.threads)
            threadpool_limits(config.threads, user_api="blas")  # of the process, for the rest of its life
        flow.manual_seed(seed)
        self.model = build(blas_nn(flow), spec)
        initial = initial_weights(spec, parameter_shapes(self.model), seed)
        self._loss = flow.nn.BCEWithLogitsLoss()
        self._table: _LazyTable | _DenseTable
        if config.embedding_updates == "lazy":
            self._table = _LazyTable(flow, initial.pop(EMBEDDING))
        else:
            self._table = _DenseTable(flow, initial.pop(EMBEDDING))
        set_parameters(flow, self.model, initial)
        parameters = [*self.model.parameters(), *self._table.parameters()]
        self._optimizer = flow.optim.Adam(parameters, lr=config.learning_rate, betas=(BETA1, BETA2), eps=EPSILON)

    def train_batch(self, batch: Batch, learning_rate: float) -> float:
        flow = self.flow
        self.model.train()
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        vectors, weights = self._table.lookup(batch.rows)
        loss = self._loss(self._forward(vectors, weights, batch.scale), flow.from_numpy(batch.labels).reshape(-1, 1))
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        self._table.step(batch.rows, vectors, weights, learning_rate)
        return float(loss.numpy())

    def logits(self, batch: Batch) -> np.ndarray:
        self.model.eval()
        with self.flow.no_grad():
            return self._forward(*self._table.lookup(batch.rows), batch.scale).numpy().reshape(-1)

    def weights(self) -> dict[str, np.ndarray]:
        parameters = {name: parameter.numpy().copy() for name, parameter in self.model.named_parameters()}
        return {EMBEDDING: self._table.weight(), **parameters}

    def load(self, weights: dict[str, np.ndarray]) -> None:
        """Takes the weights of a checkpoint; the optimizer starts anew."""
        self._table.load(weights[EMBEDDING])
        set_parameters(self.flow, self.model, weights)

    def save_graph(self, folder: Path) -> bool:
        """Nothing: Triton's oneflow backend needs a graph made on a GPU."""
        return False

    def _forward(self, vectors: Any, weights: Any, scale: np.ndarray | None) -> Any:
        if scale is None:
            return self.model(vectors, weights)
        return self.model(vectors, weights, self.flow.from_numpy(scale))


class _LazyTable:
    """A table outside of the framework: its embeddings enter as leaf tensors, whose gradients come back to it."""

    def __init__(self, flow: Any, weight: np.ndarray):
        self._flow, self._table = flow, LazyAdamTable(weight)

    def parameters(self) -> list[Any]:
        return []

    def lookup(self, rows: np.ndarray) -> tuple[Any, Any]:
        vectors, weights = (self._flow.from_numpy(array) for array in self._table.lookup(rows))
        vectors.requires_grad = weights.requires_grad = True
        return vectors, weights

    def step(self, rows: np.ndarray, vectors: Any, weights: Any, learning_rate: float) -> None:
        self._table.step(rows, vectors.grad.numpy(), weights.grad.numpy(), learning_rate)

    def weight(self) -> np.ndarray:
        return self._table.weight.copy()

    def load(self, weight: np.ndarray) -> None:
        self._table = LazyAdamTable(weight.copy())


class _DenseTable:
    """An nn.Embedding, trained by the framework's optimizer with all other parameters."""

    def __init__(self, flow: Any, weight: np.ndarray):
        self._flow = flow
        self._embedding = flow.nn.Embedding(*weight.shape, _weight=flow.tensor(weight))

    def parameters(self) -> list[Any]:
        return list(self._embedding.parameters())

    def lookup(self, rows: np.ndarray) -> tuple[Any, Any]:
        embedded = self._embedding(self._flow.from_numpy(rows))
        return embedded[:, :, :-1], embedded[:, :, -1]

    def step(self, rows: np.ndarray, vectors: Any, weights: Any, learning_rate: float) -> None:
        """The framework's optimizer has done it."""

    def weight(self) -> np.ndarray:
        return self._embedding.weight.numpy().copy()

    def load(self, weight: np.ndarray) -> None:
        set_parameters(self._flow, self._embedding, {"weight": weight})


def parameter_shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of a module's parameters by name."""
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def set_parameters(flow: Any, model: Any, values: dict[str, np.ndarray]) -> None:
    """Sets all parameters of a module from arrays of the same shapes."""
    with flow.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(flow.tensor(values[name]))
