"""The adapter of the step that is written by hand: DeepFM and Wide & Deep, Adam with lazy updates, fp32 or bf16, on one device or several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from jdrec.config import TrainerConfig
from jdrec.models import ModelSpec
from jdrec.models.initial import EMBEDDING, initial_weights
from jdrec.training.torch_cuda import storage
from jdrec.training.torch_cuda.ahead import FetchedAhead, Upcoming
from jdrec.training.torch_cuda.base import ProcessAdapter
from jdrec.training.torch_cuda.graph import DeviceQueue
from jdrec.training.torch_cuda.hot_rows import make_table
from jdrec.training.torch_cuda.inputs import Pack, Shape
from jdrec.training.torch_cuda.losses import Loss, Losses
from jdrec.training.torch_cuda.processes import Processes
from jdrec.training.torch_cuda.sharded import ShardedRows
from jdrec.training.torch_cuda.single import SingleRows
from jdrec.training.torch_cuda.step import DeepFMStep

if TYPE_CHECKING:
    from jdrec.training.adapter import Stream
    from jdrec.training.data import Batch

_MOMENTS = ("first", "second")
_STEP = "step"


class FastAdapter(ProcessAdapter):
    """A model with its table and its optimizer.

    Args:
        spec: the model; `jdrec.training.torch_cuda.unsupported` says which ones.
        config: the trainer's configuration.
        seed: of initial weights and dropout.
        processes: who takes part in the training.
        counts: int64 [rows], how often each row of the table occurs; for trainer.table_gpu_mb.

    Raises:
        TrainingError: the batch cannot be shared equally, or memory does not suffice.
    """

    def __init__(self, spec: ModelSpec, config: TrainerConfig, seed: int, processes: Processes, counts: np.ndarray | None = None):
        super().__init__(spec, config, processes)
        dtype = torch.bfloat16 if config.amp == "bf16" else torch.float32
        with self._memory():
            self._table = make_table(spec, config, processes, counts)
            rows: Any = SingleRows(self._table, self._batch, len(spec.fields))
            if processes.count > 1:
                rows = ShardedRows(self._table, spec, self._batch, dtype, processes)
            kept = max(4096, 2 * config.loss_print_interval)
            self._step = DeepFMStep(spec, rows, self._batch, dtype, processes.device, seed + 1_000_003 * processes.rank, kept)
        self._losses, self._steps, self._rate = Losses(self._fetch_losses), 0, 0.0
        self._queue: DeviceQueue | None = None
        self._freed: Any = None  # event of the pack in use
        self._own: Pack | None = None  # for batches that were not fetched ahead
        self.load(initial_weights(spec, self._step.shapes(), seed))

    def batches(self, stream: Stream) -> Stream:
        """The batches of `stream`, gathered ahead."""
        return FetchedAhead(stream, self._batch, self._group)

    def train_batch(self, batch: Batch | Upcoming, learning_rate: float) -> Loss:
        """One step, of a whole batch or of one from `batches`. It returns before the GPU has done it."""
        if learning_rate != self._rate:
            with self._in_order():
                self._step.learning_rate.fill_(learning_rate)
            self._rate = learning_rate
        with self._memory():
            if isinstance(batch, Upcoming):
                self._run(batch.pack, batch.position, len(batch.pack.batches))
                if batch.is_last:
                    batch.feed.give_back(batch.pack, self._freed)
            else:
                self._run(self._packed(batch), 0, 1)
        self._steps += 1
        return Loss(self._losses, self._steps)

    def logits(self, batch: Batch) -> np.ndarray:
        """Logits float32 [n], computed in float32 and on each process for all."""
        device = self._group.device
        with self._in_order(), self._memory(), torch.no_grad():
            rows = torch.from_numpy(np.ascontiguousarray(batch.rows)).to(device)
            embedded = self._lookup(rows)
            if batch.scale is not None:
                embedded = embedded * torch.from_numpy(batch.scale).to(device)[:, :, None]
            return self._step.logits(embedded).cpu().numpy()

    def weights(self) -> dict[str, np.ndarray]:
        """All parameters; every process must ask."""
        with self._in_order():
            return {EMBEDDING: self._collect("weight"), **self._step.dense("weight")}

    def state(self) -> dict[str, np.ndarray]:
        """Steps done, and Adam's moments; every process must ask."""
        with self._in_order():
            result = {_STEP: np.array([self._steps], np.int64)}
            for name in _MOMENTS:
                dense = {f"{name}.{key}": value for key, value in self._step.dense(name).items()}
                result |= {f"{name}.{EMBEDDING}": self._collect(name), **dense}
            return result

    def load(self, weights: Mapping[str, np.ndarray], state: Mapping[str, np.ndarray] | None = None) -> None:
        """Takes weights, and what `state` gave; without it Adam starts anew."""
        with self._in_order():
            self._load("weight", weights)
            self._steps = 0 if state is None else int(state[_STEP][0])
            self._step.step.fill_(self._steps)
            for name in _MOMENTS:
                if state is not None:
                    self._load(name, {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")})
                else:
                    self._table.clear(name)
                    getattr(self._step.network, name).zero_()

    def _run(self, pack: Pack, position: int, count: int) -> None:
        if self._group.device.type != "cuda":
            self._step(pack.batches[position])
            return
        if self._queue is None:
            # A batch of zeros changes the table's first row alone.
            state = [self._table.first_row(), *self._step.state()]
            self._queue = DeviceQueue(self._step, pack.batches[0].shape, state, self._group.device)
        if position == 0:
            self._freed = self._queue.load(pack, count)
        self._queue.step()

    def _packed(self, batch: Batch) -> Pack:
        """This process's share of a batch, in a pack of its own."""
        part = self._own_part()
        shape = Shape(self._batch, batch.rows.shape[1], batch.scale is not None, batch.weights is not None)
        if self._own is None:
            self._own = Pack(shape, shape.pack, "pinned" if self._group.device.type == "cuda" else "cpu")
        elif self._freed is not None:
            self._freed.synchronize()
        scale, weights = (None if value is None else value[part] for value in (batch.scale, batch.weights))
        self._own.batches[0].fill(type(batch)(batch.rows[part], scale, batch.labels[part], weights))
        return self._own

    def _lookup(self, rows: Any) -> Any:
        """Vectors and linear weights float32 [n, fields, dim + 1] from all processes' tables."""
        group = self._group
        found = self._table.take("weight", rows.long() // group.count)
        if group.count > 1:
            found = group.sum(found * (rows % group.count == group.rank)[:, :, None])
        return found

    def _collect(self, name: str) -> np.ndarray:
        return self._table.collect(name, self._spec.rows, self._group)

    def _load(self, name: str, values: Mapping[str, np.ndarray]) -> None:
        self._table.fill(name, storage.own(values[EMBEDDING], self._group))
        self._step.load_dense(name, values)

    def _fetch_losses(self) -> tuple[np.ndarray, int]:
        with self._in_order():
            return self._group.sum(self._step.losses.clone()).cpu().numpy(), self._steps

    @contextmanager
    def _in_order(self) -> Iterator[None]:
        """After the steps so far, and before the next ones."""
        if self._queue is None:
            yield
        else:
            with torch.cuda.stream(self._queue.stream):
                yield
