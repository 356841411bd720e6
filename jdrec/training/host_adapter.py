"""Trains on the CPU: the table, the loss and the optimizers here, the network in a framework."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from jdrec.config import TrainerConfig
from jdrec.models import ModelSpec
from jdrec.models.initial import EMBEDDING, initial_weights
from jdrec.system import cores
from jdrec.training.adapter import Stream
from jdrec.training.data import Batch
from jdrec.training.embedding import Table
from jdrec.training.loss import logloss_with_gradient
from jdrec.training.network import Network
from jdrec.training.optimizers import DenseOptimizer, global_norm
from jdrec.training.profile import Spans

_STEP = "step"


class HostAdapter:
    """A model, its table in host memory, and its optimizer.

    Args:
        spec: the model.
        config: the trainer's configuration.
        make_network: the network in a framework, for a model and a seed of dropout.
        seed: of initial weights and dropout. Runs with the same seed and number of threads end with the same weights, bit for bit.
    """

    is_main = True
    device = "cpu"

    def __init__(self, spec: ModelSpec, config: TrainerConfig, make_network: Callable[[ModelSpec, TrainerConfig, int], Network], seed: int):
        self.spans = Spans()
        self.network = make_network(spec, config, seed)
        self.framework = self.network.framework
        initial = initial_weights(spec, {name: value.shape for name, value in self.network.parameters.items()}, seed)
        weight = initial.pop(EMBEDDING)
        self.table = Table(
            weight,
            spec.field_of_column,
            config.optimizer,
            config.embedding_updates,
            config.embedding_weight_decay,
            config.threads or cores(),
        )
        self._optimizer = DenseOptimizer(config.optimizer, self.network.parameters, config.weight_decay)
        self._clip_norm = config.clip_norm
        self._steps = 0
        self._set_parameters(initial)

    def batches(self, stream: Stream) -> Stream:
        return stream

    def train_batch(self, batch: Batch, learning_rate: float) -> float:
        span = self.spans.span
        self._steps += 1
        with span("lookup"):
            vectors, weights = self.table.lookup(batch)
        with span("forward"):
            logits = self.network.forward(vectors, weights, self._steps)
        loss, gradient = logloss_with_gradient(logits, batch.labels, batch.weights)
        if not math.isfinite(loss):
            return loss  # and leave the weights as they were: they tell where it comes from
        with span("backward"):
            gradients, vectors, weights = self.network.backward(gradient)
        with span("gather"):
            rows = self.table.gather(batch, vectors, weights)
        scale = self._clipping([*rows, *gradients.values()])
        with span("update"):
            self.table.step(self._steps, learning_rate, scale)
            self._optimizer.step(gradients, self._steps, learning_rate, scale)
        return loss

    def logits(self, batch: Batch) -> np.ndarray:
        return self.network.logits(*self.table.lookup(batch))

    def weights(self) -> dict[str, np.ndarray]:
        return {EMBEDDING: self.table.weight.copy(), **{name: value.copy() for name, value in self.network.parameters.items()}}

    def state(self) -> dict[str, np.ndarray]:
        table = {f"table.{name}": value for name, value in self.table.state().items()}
        dense = {f"dense.{name}": value for name, value in self._optimizer.state().items()}
        return {_STEP: np.array([self._steps], np.int64), **table, **dense}

    def load(self, weights: Mapping[str, np.ndarray], state: Mapping[str, np.ndarray] | None = None) -> None:
        self._set_parameters(weights)
        self.table.load(weights[EMBEDDING], None if state is None else _part(state, "table."))
        if state is not None:
            self._optimizer.load(_part(state, "dense."))
            self._steps = int(state[_STEP][0])

    @contextmanager
    def profiler(self, folder: Path) -> Iterator[None]:
        """Leaves trace.json, the parts of a step, and what the framework's own profiler writes, if it has one."""
        self.spans.record = True
        with self.network.profiler(folder):
            yield
        self.spans.record = False
        self.spans.write(folder / "trace.json")

    def save_graph(self, folder: Path) -> bool:
        """Nothing: Triton's oneflow backend needs a graph made on a GPU."""
        return False

    def _set_parameters(self, values: Mapping[str, np.ndarray]) -> None:
        for name, parameter in self.network.parameters.items():
            parameter[...] = values[name]

    def _clipping(self, gradients: list[np.ndarray]) -> float:
        """What gradients are multiplied by so that their norm is at most trainer.clip_norm."""
        if self._clip_norm is None:
            return 1.0
        return min(1.0, self._clip_norm / (global_norm(gradients) + 1e-6))


def _part(state: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
