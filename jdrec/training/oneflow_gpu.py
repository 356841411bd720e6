"""Trains with OneFlow on CUDA GPUs: OneEmbedding for the table, nn.Graph for the steps, one process a GPU.

OneFlow 0.9 has code for compute capability 6.0 to 8.6; docs/training.md says what of this file has never run on such a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from jdrec.config import TrainerConfig
from jdrec.errors import TrainingError
from jdrec.models import ModelSpec, build
from jdrec.models.initial import EMBEDDING, initial_weights
from jdrec.models.namespace import namespace
from jdrec.training.adapter import Stream
from jdrec.training.data import Batch
from jdrec.training.one_embedding import make_one_embedding
from jdrec.training.oneflow_library import load_oneflow
from jdrec.training.optimizers import BETA1, BETA2, EPSILON
from jdrec.training.schedule import Schedule
from jdrec.training.vocabulary import Vocabulary

_STATIC_SCALE = 1024.0
_DYNAMIC_SCALE = 2.0**30


class OneFlowGpuAdapter:
    """A model in OneFlow's graph mode, data parallel over the processes of oneflow.distributed.launch.

    Args:
        spec: the model.
        config: the trainer's configuration.
        schedule: of the learning rate; a graph has it built in.
        vocabulary: what the checkpoint's rows stand for.
        persistent: folder of OneEmbedding's persistent table, absolute.
        seed: of initial weights and dropout.
        device: where tensors are placed.
        make_embedding: makes the embedding module.
    """

    def __init__(
        self,
        spec: ModelSpec,
        config: TrainerConfig,
        schedule: Schedule,
        vocabulary: Vocabulary,
        persistent: Path,
        seed: int,
        device: str = "cuda",
        make_embedding: Callable[..., Any] = make_one_embedding,
    ):
        self.flow = flow = load_oneflow()
        self.framework, self.device = f"oneflow {flow.__version__}", device
        self.rank, self.processes = flow.env.get_rank(), flow.env.get_world_size()
        self.is_main = self.rank == 0
        if config.batch_size % self.processes:
            raise TrainingError(
                f"A batch of {config.batch_size} cannot be shared equally by {self.processes} GPUs.", where="trainer.batch_size"
            )
        _require_supported(spec, config)
        flow.manual_seed(seed)
        self._batch_size, self._seed, self._fields = config.batch_size, seed, len(spec.fields)
        self._vocabulary, self._ids = vocabulary, vocabulary.row_ids()
        self._placement = flow.env.all_device_placement(device)
        fused = spec.dnn if config.fused_mlp else None
        dnn = _fused_mlp(flow, spec) if fused is not None else None
        self._names = _parameter_names(spec, fused)
        embedding = make_embedding(flow, spec, config.one_embedding, persistent, seed)
        parts = {} if dnn is None else {"dnn": dnn}
        self.network = _network(flow, embedding, build(namespace(flow), spec, **parts), spec)
        self._set_initial(spec)
        self.network.to_global(self._placement, flow.sbp.broadcast)
        self._train_graph = _train_graph(flow, self.network, config, schedule)
        self._eval_graph = _eval_graph(flow, self.network)
        self._lookup_graph = _lookup_graph(flow, self.network.embedding)

    def batches(self, stream: Stream) -> Stream:
        return stream

    def train_batch(self, batch: Batch, learning_rate: float) -> Any:
        """One step; the loss stays on the GPU until float() is taken of it. The graph's own schedule sets the learning rate."""
        self.network.train()
        loss = self._train_graph(self._share(batch.labels.reshape(-1, 1)), *self._inputs(batch))
        return _Loss(self.flow, loss)

    def logits(self, batch: Batch) -> np.ndarray:
        self.network.eval()
        count = len(batch.rows)
        logits = self._eval_graph(*self._inputs(_padded(batch, self._batch_size)))
        return self._whole(logits).reshape(-1)[:count]

    def weights(self) -> dict[str, np.ndarray]:
        dense = {self._names.get(name, name): self._whole(parameter) for name, parameter in self.network.model.named_parameters()}
        return {EMBEDDING: self._table(), **dense}

    def state(self) -> dict[str, np.ndarray]:
        """Nothing: OneEmbedding keeps its averages to itself."""
        return {}

    def load(self, weights: Mapping[str, np.ndarray], state: Mapping[str, np.ndarray] | None = None) -> None:
        """Refuses: OneEmbedding has no call that sets rows."""
        raise TrainingError(
            "OneFlow on a GPU cannot take the weights of an earlier training.", where="trainer", hint="Set trainer.resume=false."
        )

    def profiler(self, folder: Path) -> AbstractContextManager:
        """Nothing is recorded: a graph runs as one."""
        return nullcontext()

    def save_graph(self, folder: Path) -> bool:
        """Saves the scoring graph and OneEmbedding's description for Triton's oneflow backend.

        Returns:
            Whether there is one: several processes, or numeric fields, whose values are no ids, have none.
        """
        if self.processes > 1 or self._vocabulary.numeric:
            return False
        flow = self.flow
        self.network.eval()
        graph = _score_graph(flow, self.network)
        graph(self._share(np.zeros((self._batch_size, self._fields), np.int64)))  # compiles it
        flow.save(graph, folder)
        return True

    def _set_initial(self, spec: ModelSpec) -> None:
        shapes = {self._names.get(name, name): shape for name, shape in parameter_shapes(self.network.model).items()}
        initial = initial_weights(spec, shapes, self._seed)
        set_parameters(
            self.flow, self.network.model, {name: initial[self._names.get(name, name)] for name in parameter_shapes(self.network.model)}
        )

    def _inputs(self, batch: Batch) -> list[Any]:
        """64-bit ids, and values where there are numeric fields."""
        inputs = [self._share(self._ids[batch.rows])]
        if batch.scale is not None:
            inputs.append(self._share(batch.scale))
        return inputs

    def _share(self, array: np.ndarray) -> Any:
        """This process's part of a batch, as a part of the global tensor."""
        size = len(array) // self.processes
        local = self.flow.tensor(np.ascontiguousarray(array[self.rank * size : (self.rank + 1) * size]))
        return local.to_global(self._placement, sbp=self.flow.sbp.split(0))

    def _whole(self, tensor: Any) -> np.ndarray:
        """A global tensor, on every process."""
        return tensor.to_global(sbp=self.flow.sbp.broadcast).to_local().numpy().copy()

    def _table(self) -> np.ndarray:
        """Every row of the table, looked up a batch at a time with each field's ids in that field's own column."""
        vocabulary, size = self._vocabulary, self._batch_size
        self.network.eval()
        result: np.ndarray | None = None
        for start in range(0, int(vocabulary.sizes.max()), size):
            place = np.arange(start, start + size)[:, None]
            rows = vocabulary.offsets + np.minimum(place, vocabulary.sizes - 1)
            found = self._whole(self._lookup_graph(self._share(self._ids[rows])))
            if result is None:
                result = np.empty((vocabulary.rows, found.shape[-1]), np.float32)
            result[rows] = found
        assert result is not None
        return result


def _require_supported(spec: ModelSpec, config: TrainerConfig) -> None:
    """Refuses what the graphs here do not have.

    Raises:
        TrainingError: with the key.
    """
    reasons = {
        "trainer.optimizer": config.optimizer != "adam",
        "trainer.learning_rate_decay.kind": config.learning_rate_decay.kind != "step",
        "trainer.learning_rate_decay.warmup": config.learning_rate_decay.warmup > 0,
        "trainer.weight_decay": config.weight_decay > 0 or config.embedding_weight_decay > 0,
        "trainer.clip_norm": config.clip_norm is not None,
        "trainer.positive_weight": config.positive_weight != 1,
        "trainer.amp": config.amp == "bf16",
        "model": spec.columns > len(spec.fields),
    }
    for key, unsupported in reasons.items():
        if unsupported:
            what = "multi-valued fields" if key == "model" else key
            raise TrainingError(f"OneFlow on a GPU has no {what} here.", where=key, hint="Use trainer=torch, or trainer.device=cpu.")


class _Loss:
    """A loss whose value is fetched from the GPU only when it is asked for."""

    def __init__(self, flow: Any, tensor: Any):
        self._flow, self._tensor = flow, tensor

    def __float__(self) -> float:
        return float(self._tensor.to_global(sbp=self._flow.sbp.broadcast).to_local().numpy())


def _network(flow: Any, embedding: Any, model: Any, spec: ModelSpec) -> Any:
    dim = spec.embedding_dim

    class Network(flow.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.model = embedding, model

        def forward(self, ids: Any, scale: Any = None) -> Any:
            embedded = self.embedding(ids)
            if scale is not None:
                embedded = embedded * scale.reshape(-1, spec.columns, 1)
            return self.model(embedded[:, :, :dim], embedded[:, :, dim])

    return Network()


def _train_graph(flow: Any, network: Any, config: TrainerConfig, schedule: Schedule) -> Any:
    loss_of = flow.nn.BCEWithLogitsLoss()

    class TrainGraph(flow.nn.Graph):
        def __init__(self) -> None:
            super().__init__()
            self.network, self.loss = network, loss_of
            optimizer = flow.optim.Adam(network.parameters(), lr=schedule.rate, betas=(BETA1, BETA2), eps=EPSILON)
            rates = flow.optim.lr_scheduler.MultiStepLR(optimizer, milestones=list(schedule.milestones), gamma=schedule.decay.factor)
            self.add_optimizer(optimizer, lr_sch=rates)
            if config.amp != "none":
                self.config.enable_amp(True)
                self.set_grad_scaler(grad_scaler(flow, config.loss_scale))

        def build(self, labels: Any, ids: Any, scale: Any = None) -> Any:
            loss = self.loss(self.network(ids, scale), labels)
            loss.backward()
            return loss

    return TrainGraph()


def _graph(flow: Any, network: Any, build: Callable[..., Any]) -> Any:
    """A graph without an optimizer; `build` is called with the graph, whose `network` it uses, and the inputs."""

    class Graph(flow.nn.Graph):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

    Graph.build = build
    return Graph()


def _eval_graph(flow: Any, network: Any) -> Any:
    def build(graph: Any, ids: Any, scale: Any = None) -> Any:
        return graph.network(ids, scale)

    return _graph(flow, network, build)


def _score_graph(flow: Any, network: Any) -> Any:
    def build(graph: Any, ids: Any) -> Any:
        return graph.network(ids).sigmoid()

    return _graph(flow, network, build)


def _lookup_graph(flow: Any, embedding: Any) -> Any:
    def build(graph: Any, ids: Any) -> Any:
        return graph.network(ids)

    return _graph(flow, embedding, build)


def grad_scaler(flow: Any, loss_scale: str) -> Any:
    """The loss scaling of trainer.loss_scale under mixed precision."""
    if loss_scale == "static":
        return flow.amp.StaticGradScaler(_STATIC_SCALE)
    return flow.amp.GradScaler(init_scale=_DYNAMIC_SCALE, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000)


def _fused_mlp(flow: Any, spec: ModelSpec) -> Any:
    return flow.nn.FusedMLP(
        len(spec.fields) * spec.embedding_dim,
        list(spec.dnn),
        1,
        hidden_dropout_rate=[spec.dropout] * len(spec.dnn),
        skip_final_activation=True,
    )


def _parameter_names(spec: ModelSpec, fused: tuple[int, ...] | None) -> dict[str, str]:
    """FusedMLP's parameter names to those of the plain stack of layers, which checkpoints use."""
    if fused is None:
        return {}
    return {f"dnn.{kind}_{i}": f"dnn.{3 * i}.{kind}" for i in range(len(fused) + 1) for kind in ("weight", "bias")}


def _padded(batch: Batch, size: int) -> Batch:
    """A batch of exactly `size` rows, for a graph has fixed shapes; the last row is repeated."""
    missing = size - len(batch.rows)
    if missing == 0:
        return batch

    def pad(array: np.ndarray) -> np.ndarray:
        return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])

    return Batch(pad(batch.rows), None if batch.scale is None else pad(batch.scale), pad(batch.labels))


def parameter_shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of a module's parameters by name."""
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def set_parameters(flow: Any, model: Any, values: Mapping[str, np.ndarray]) -> None:
    """Sets all parameters of a module from arrays of the same shapes."""
    with flow.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(flow.tensor(values[name]))
