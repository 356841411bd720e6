"""The adapter for all that the step written by hand does not do: autograd over the model's own definition, on one device or several."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from jdrec.config import TrainerConfig
from jdrec.models import ModelSpec, build
from jdrec.models.initial import EMBEDDING, initial_weights
from jdrec.models.namespace import namespace
from jdrec.training.optimizers import STATES, step_numbers
from jdrec.training.torch_cuda import storage
from jdrec.training.torch_cuda.base import ProcessAdapter
from jdrec.training.torch_cuda.elementwise import hash32, kept
from jdrec.training.torch_cuda.optimizers import update_
from jdrec.training.torch_cuda.plain_table import PlainTable
from jdrec.training.torch_cuda.processes import Processes

if TYPE_CHECKING:
    from jdrec.training.adapter import Stream
    from jdrec.training.data import Batch

_STEP, _TABLE, _DENSE, _SCALE = "step", "table.", "dense.", "loss_scale"
_FIRST_SCALE, _GROWTH = 2.0**15, 2000  # of the loss under fp16; steps without overflow after which it doubles


class GeneralAdapter(ProcessAdapter):
    """Any model, with any of our optimizers.

    Args:
        spec: the model.
        config: the trainer's configuration.
        seed: of initial weights and dropout.
        processes: who takes part in the training.

    Raises:
        TrainingError: the batch cannot be shared equally, or the GPU's memory does not suffice.
    """

    def __init__(self, spec: ModelSpec, config: TrainerConfig, seed: int, processes: Processes):
        super().__init__(spec, config, processes)
        self._draws = _Draws(seed + 1_000_003 * processes.rank)
        with self._memory():
            self._model = build(namespace(torch, Dropout=self._draws.module), spec).to(processes.device)
            self._table = PlainTable(spec, config, processes)
            self._parameters = dict(self._model.named_parameters())
            self._states = {
                name: torch.zeros((STATES[config.optimizer], *value.shape), device=value.device) for name, value in self._parameters.items()
            }
        self._field_of_column = torch.tensor(spec.field_of_column, device=processes.device)
        self._pooled = len(spec.field_of_column) > len(spec.fields)
        self._steps, self._scale, self._good = 0, _FIRST_SCALE, 0
        self.load(initial_weights(spec, {name: tuple(value.shape) for name, value in self._parameters.items()}, seed))

    def batches(self, stream: Stream) -> Stream:
        return stream

    def train_batch(self, batch: Batch, learning_rate: float) -> Any:
        """One step. Returns the whole batch's loss, on the device."""
        with self._memory():
            part = self._own_part()
            rows, scale, labels, weights = (self._there(value, part) for value in (batch.rows, batch.scale, batch.labels, batch.weights))
            self._steps += 1
            self._draws.start(self._steps)
            self._model.train()
            embedded = self._table.lookup(rows).requires_grad_(True)
            with self._autocast():
                logits = self._model(*self._pool(embedded, scale))
            losses = F.binary_cross_entropy_with_logits(logits.float()[:, 0], labels, weights, reduction="sum")
            loss = losses / (self._batch * self._group.count)
            (loss * self._loss_scale()).backward()
            self._update(rows, embedded.grad, learning_rate)
            return self._group.sum(loss.detach())

    def logits(self, batch: Batch) -> np.ndarray:
        """Logits float32 [n], computed in float32 and on each process for all."""
        self._model.eval()
        with self._memory(), torch.no_grad():
            embedded = self._table.lookup(self._there(batch.rows))
            return self._model(*self._pool(embedded, self._there(batch.scale))).reshape(-1).cpu().numpy()

    def weights(self) -> dict[str, np.ndarray]:
        """All parameters; every process must ask."""
        dense = {name: value.detach().cpu().numpy().copy() for name, value in self._parameters.items()}
        return {EMBEDDING: self._collect(self._table.weight), **dense}

    def state(self) -> dict[str, np.ndarray]:
        """Steps done, the optimizer's averages and the scale of the loss; every process must ask."""
        table = {f"{_TABLE}{i}": self._collect(part) for i, part in enumerate(self._table.state)}
        dense = {f"{_DENSE}{name}": value.cpu().numpy().copy() for name, value in self._states.items()}
        return {_STEP: np.array([self._steps], np.int64), _SCALE: np.array([self._scale, self._good]), **table, **dense}

    def load(self, weights: Mapping[str, np.ndarray], state: Mapping[str, np.ndarray] | None = None) -> None:
        """Takes weights, and what `state` gave; without it the optimizer starts anew."""
        self._fill(self._table.weight, weights[EMBEDDING])
        with torch.no_grad():
            for name, value in self._parameters.items():
                value.copy_(torch.from_numpy(np.asarray(weights[name], np.float32)))
        if state is None:
            self._steps, self._scale, self._good = 0, _FIRST_SCALE, 0
            for tensor in (self._table.state, *self._states.values()):
                tensor.zero_()
            return
        self._steps, self._scale, self._good = int(state[_STEP][0]), float(state[_SCALE][0]), int(state[_SCALE][1])
        for i, part in enumerate(self._table.state):
            self._fill(part, state[f"{_TABLE}{i}"])
        for name, value in self._states.items():
            value.copy_(torch.from_numpy(state[f"{_DENSE}{name}"]))

    def _collect(self, part: Any) -> np.ndarray:
        return storage.collect(part.__getitem__, part.shape[1], self._spec.rows, self._group)

    def _fill(self, part: Any, values: np.ndarray) -> None:
        storage.fill(part.__setitem__, storage.own(values, self._group), self._group.device)

    def _pool(self, embedded: Any, scale: Any) -> tuple[Any, Any]:
        """Vectors [n, fields, dim] and linear weights [n, fields]: sums over each field's columns, scaled."""
        if scale is not None:
            embedded = embedded * scale[:, :, None]
        if self._pooled:
            fields = embedded.new_zeros((len(embedded), len(self._spec.fields), embedded.shape[2]))
            embedded = fields.index_add(1, self._field_of_column, embedded)
        return embedded[:, :, :-1], embedded[:, :, -1]

    def _update(self, rows: Any, gradient: Any, learning_rate: float) -> None:
        """All optimizers' steps, and the gradients gone."""
        config, group = self._config, self._group
        inverse = 1 / self._loss_scale()
        with torch.no_grad():
            own, table = self._table.gather(rows, gradient * inverse)
            dense = {name: group.sum(value.grad * inverse) for name, value in self._parameters.items() if value.grad is not None}
            self._model.zero_grad(set_to_none=True)
            if config.amp == "fp16" and not self._is_finite(table, dense):
                return
            factor = self._clipping(table, dense)
            numbers = step_numbers(config.optimizer, self._steps, learning_rate, config.weight_decay)
            for name, value in dense.items():
                update_(config.optimizer, self._parameters[name], self._states[name], value * factor, numbers)
            self._table.step(own, table * factor, self._steps, learning_rate)

    def _clipping(self, table: Any, dense: Mapping[str, Any]) -> Any:
        """What gradients are multiplied by so that the norm of all together is at most trainer.clip_norm."""
        if self._config.clip_norm is None:
            return 1.0
        squares = self._group.sum((table * table).sum())
        for value in dense.values():
            squares = squares + (value * value).sum()
        return (self._config.clip_norm / (squares.sqrt() + 1e-6)).clamp(max=1.0)

    def _loss_scale(self) -> float:
        return self._scale if self._config.amp == "fp16" else 1.0

    def _is_finite(self, table: Any, dense: Mapping[str, Any]) -> bool:
        """Whether the step can be taken. With a dynamic scale an overflow halves it, and many steps without one double it."""
        total = self._group.sum(table.sum()) + sum(value.sum() for value in dense.values())
        finite = math.isfinite(float(total))
        if self._config.loss_scale == "dynamic":
            self._good = self._good + 1 if finite else 0
            if not finite:
                self._scale /= 2
            elif self._good % _GROWTH == 0:
                self._scale *= 2
        return finite

    def _there(self, value: np.ndarray | None, part: slice = slice(None)) -> Any:
        """A part of an array on the device."""
        return None if value is None else torch.from_numpy(np.ascontiguousarray(value[part])).to(self._group.device)

    def _autocast(self) -> AbstractContextManager:
        if self._config.amp == "none":
            return nullcontext()
        return torch.autocast(self._group.device.type, torch.bfloat16 if self._config.amp == "bf16" else torch.float16)


class _Draws:
    """Dropout as a function of seed, step and layer."""

    def __init__(self, seed: int):
        self._seed, self._step, self._layers = seed, 0, 0

    def start(self, step: int) -> None:
        self._step = step

    def module(self, rate: float) -> Any:
        """A Dropout module."""
        self._layers += 1
        return _Dropout(self, rate, self._layers)

    def key(self, layer: int, device: Any) -> Any:
        """int32 scalar of this step and layer."""
        number = torch.tensor([self._seed * 2_654_435_761 + self._step * 1_013 + layer], device=device)
        return hash32((number % 2**31).int())[0]


class _Dropout(torch.nn.Module):
    def __init__(self, draws: _Draws, rate: float, layer: int):
        super().__init__()
        self._draws, self._rate, self._layer = draws, rate, layer

    def forward(self, x: Any) -> Any:
        if not self.training or self._rate == 0:
            return x
        flat = x.reshape(-1, x.shape[-1])
        mask = kept(flat.shape[0], flat.shape[1], self._draws.key(self._layer, x.device), self._rate, x.device)
        return x * (mask.reshape(x.shape) / (1 - self._rate)).to(x.dtype)
