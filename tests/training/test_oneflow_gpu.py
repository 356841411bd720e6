"""What runs of the GPU trainer without a GPU: graphs on the CPU's placement, with an nn.Embedding where OneEmbedding would be."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from jdrec.config import LearningRateDecayConfig, OneEmbeddingConfig, TrainerConfig
from jdrec.errors import TrainingError
from jdrec.features.spec import Encoding
from jdrec.models import FieldSpec, ModelSpec, build, numpy_nn
from jdrec.models.namespace import namespace
from jdrec.training import one_embedding
from jdrec.training.data import Batch
from jdrec.training.oneflow_gpu import OneFlowGpuAdapter, _parameter_names, grad_scaler
from jdrec.training.oneflow_launch import launch_command
from jdrec.training.oneflow_library import choose_device, load_oneflow
from jdrec.training.request import Request
from jdrec.training.schedule import Schedule
from jdrec.training.vocabulary import Vocabulary

pytestmark = pytest.mark.oneflow

NAMES, ENCODINGS = ("a", "b"), (Encoding.HASH, Encoding.HASH)
VOCABULARY = Vocabulary(NAMES, ENCODINGS, (np.arange(10, 20), np.arange(30, 45)))
SPEC = ModelSpec("deepfm", (FieldSpec("a", Encoding.HASH, 11), FieldSpec("b", Encoding.HASH, 16)), 3, (8, 4), 0.0)
SCHEDULE = Schedule(0.01, LearningRateDecayConfig(factor=0.1, min=1e-4), every=5, total=100)


def embedding_of_small_ids(flow: Any, spec: ModelSpec, config: OneEmbeddingConfig, persistent: Path, seed: int) -> Any:
    """Takes the ids of the vocabulary above, -2 to 44, as rows of an nn.Embedding."""

    class Small(flow.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = flow.nn.Embedding(60, spec.embedding_dim + 1)

        def forward(self, ids: Any) -> Any:
            return self.table(ids + 2)

    return Small()


def adapter(tmp_path: Path, **keys: Any) -> OneFlowGpuAdapter:
    config = msgspec.convert({"batch_size": 8, "learning_rate": 0.01, **keys}, TrainerConfig)
    return OneFlowGpuAdapter(SPEC, config, SCHEDULE, VOCABULARY, tmp_path, seed=3, device="cpu", make_embedding=embedding_of_small_ids)


def batch(size: int) -> Batch:
    random = np.random.default_rng(size)
    rows = np.stack([random.integers(0, 11, size), 11 + random.integers(0, 16, size)], axis=1).astype(np.int32)
    return Batch(rows, None, (rows[:, 0] > 5).astype(np.float32))


def test_graphs_train_and_their_weights_score_the_same_in_numpy(tmp_path: Path) -> None:
    trained = adapter(tmp_path)
    losses = [float(trained.train_batch(batch(8), 0.01)) for _ in range(12)]
    assert losses[-1] < losses[0] - 0.02
    weights = trained.weights()
    assert weights["embedding.weight"].shape == (27, 4)
    assert weights.keys() == {"embedding.weight", *(f"dnn.{layer}.{kind}" for layer in (0, 3, 6) for kind in ("weight", "bias"))}
    model = build(numpy_nn, SPEC)
    model.load_state_dict(weights)
    for size in (8, 5):  # a batch that is not full is padded for the graph
        rows = batch(size).rows
        embedded = weights["embedding.weight"][rows]
        expected = model(embedded[..., :-1], embedded[..., -1])[:, 0]
        np.testing.assert_allclose(trained.logits(batch(size)), expected, atol=1e-5)


def test_saves_a_graph_for_serving(tmp_path: Path) -> None:
    assert adapter(tmp_path).save_graph(tmp_path / "graph")
    files = {file.name for file in (tmp_path / "graph").iterdir()}
    assert {"model.mlir", "network.model.dnn.0.weight", "network.model.dnn.6.bias"} <= files


def test_numeric_fields_have_no_graph_for_serving(tmp_path: Path) -> None:
    vocabulary = Vocabulary(NAMES, (Encoding.NUMERIC, Encoding.HASH), (np.empty(0, np.int64), np.arange(30, 45)))
    spec = ModelSpec("deepfm", (FieldSpec("a", Encoding.NUMERIC, 1), FieldSpec("b", Encoding.HASH, 16)), 3, (8,), 0.0)
    config = msgspec.convert({"batch_size": 8}, TrainerConfig)
    made = OneFlowGpuAdapter(spec, config, SCHEDULE, vocabulary, tmp_path, 3, "cpu", embedding_of_small_ids)
    scaled = Batch(np.array([[0, 3]] * 8, np.int32), np.array([[2.5, 1.0]] * 8, np.float32), np.ones(8, np.float32))
    assert float(made.train_batch(scaled, 0.01)) > 0
    assert not made.save_graph(tmp_path / "graph")
    assert not (tmp_path / "graph").exists()


@pytest.mark.parametrize(
    ("store", "caches"),
    [
        ("device_mem", [{"policy": "full", "capacity": 27, "value_memory_kind": "device"}]),
        (
            "cached_host_mem",
            [
                {"policy": "lru", "cache_memory_budget_mb": 512, "value_memory_kind": "device"},
                {"policy": "full", "capacity": 27, "value_memory_kind": "host"},
            ],
        ),
        ("cached_ssd", [{"policy": "lru", "cache_memory_budget_mb": 512, "value_memory_kind": "device"}]),
    ],
)
def test_store_options_of_the_real_oneflow(store: str, caches: list[dict[str, Any]]) -> None:
    flow = load_oneflow()
    config = msgspec.convert({"store": store, "cache_memory_mb": 512, "size_factor": 3}, OneEmbeddingConfig)
    options = one_embedding.store_options(flow.one_embedding, config, Path("/data/persistent"), 27)
    assert options["kv_store"]["caches"] == caches
    assert options["kv_store"]["persistent_table"] == {
        "path": "/data/persistent",
        "physical_block_size": 4096,
        "capacity_hint": 27,
    }
    assert (options["size_factor"], options["storage_dim"]) == (3, -1)


def test_one_embedding_gets_documented_arguments_that_its_own_checks_accept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its constructor needs a GPU for its last step alone; what comes before, the checks of all options, is OneFlow's own."""
    flow = load_oneflow()
    seen: dict[str, Any] = {}

    def check(**arguments: Any) -> str:
        seen.update(arguments)
        dims, tables, options = flow.one_embedding._init(
            arguments["name"],
            arguments["embedding_dim"],
            arguments["dtype"],
            arguments["key_type"],
            arguments["tables"],
            arguments["store_options"],
            None,
        )
        assert (dims, len(tables["tables"]), tables["column_dims"]) == (4, 2, [3, 1])
        assert tables["tables"][0]["columns"] == [{"initializer": {"type": "normal", "mean": 0.0, "std": 1e-4}}] * 2
        assert (options["key_type_size"], options["value_type_size"], options["storage_dim"]) == (8, 4, 12)
        return "the module"

    monkeypatch.setattr(flow.one_embedding, "MultiTableMultiColumnEmbedding", check)
    made = one_embedding.make_one_embedding(flow, SPEC, OneEmbeddingConfig(), Path("/data/persistent"), seed=7)
    assert made == "the module"
    assert (seen["name"], seen["embedding_dim"], seen["key_type"], seen["seed"]) == ("jdrec", [3, 1], flow.int64, 7)


def test_relocates_a_saved_graphs_table(tmp_path: Path) -> None:
    file = tmp_path / one_embedding.OPTIONS_FILE
    kv_options = {"name": "jdrec", "kv_store": {"caches": [], "persistent_table": {"path": "/old", "physical_block_size": 4096}}}
    file.write_text(json.dumps({"embedding": [{"snapshot": "2024-01-01", "kv_options": kv_options}]}))
    one_embedding.relocate(file, Path("/models/persistent/0-1"))
    changed = json.loads(file.read_text())["embedding"][0]
    assert changed["kv_options"]["kv_store"]["persistent_table"] == {"path": "/models/persistent/0-1", "physical_block_size": 4096}
    assert changed["snapshot"] == "2024-01-01"


def test_loss_scaling() -> None:
    flow = load_oneflow()
    assert isinstance(grad_scaler(flow, "static"), flow.amp.StaticGradScaler)
    assert isinstance(grad_scaler(flow, "dynamic"), flow.amp.GradScaler)


def test_fused_mlps_parameters_have_the_plain_names() -> None:
    assert _parameter_names(SPEC, None) == {}
    names = _parameter_names(SPEC, SPEC.dnn)
    assert names["dnn.weight_0"] == "dnn.0.weight" and names["dnn.bias_2"] == "dnn.6.bias"
    flow = load_oneflow()
    fused = flow.nn.FusedMLP(6, [8, 4], 1, hidden_dropout_rate=[0.1, 0.1], skip_final_activation=True)
    plain = build(namespace(flow), SPEC)
    shapes = {name: tuple(parameter.shape) for name, parameter in plain.named_parameters()}
    assert {names[f"dnn.{name}"]: tuple(parameter.shape) for name, parameter in fused.named_parameters()} == shapes


class Cuda:
    """Answers as oneflow.cuda does."""

    def __init__(self, *capabilities: tuple[int, int]):
        self.capabilities = capabilities

    def is_available(self) -> bool:
        return bool(self.capabilities)

    def get_device_capability(self) -> tuple[int, int]:
        return self.capabilities[0]


class Flow:
    def __init__(self, *capabilities: tuple[int, int]):
        self.cuda = Cuda(*capabilities)


@pytest.mark.parametrize(
    ("wanted", "capabilities", "device"),
    [
        ("auto", [], "cpu"),
        ("auto", [(9, 0)], "cpu"),
        ("auto", [(8, 6)], "cuda"),
        ("auto", [(6, 0)], "cuda"),
        ("cuda", [(7, 0)], "cuda"),
        ("cpu", [(8, 0)], "cpu"),
    ],
)
def test_device(wanted: str, capabilities: list[tuple[int, int]], device: str) -> None:
    assert choose_device(wanted, Flow(*capabilities)) == device


@pytest.mark.parametrize(
    ("capabilities", "reason"),
    [([], "OneFlow finds no CUDA GPU"), ([(9, 0)], r"no code for this GPU: compute capability 9\.0, supported 6\.0 to 8\.6")],
)
def test_cuda_that_cannot_be_is_an_error(capabilities: list[tuple[int, int]], reason: str) -> None:
    with pytest.raises(TrainingError, match=reason) as caught:
        choose_device("cuda", Flow(*capabilities))
    assert str(caught.value).startswith("trainer.device: ") and str(caught.value).endswith("Use trainer.device=cpu, or auto.")


def test_the_launchers_command_and_request() -> None:
    command = launch_command(2, 29500, Path("/tmp/request.json"))
    assert command[:5] == [sys.executable, "-m", "oneflow.distributed.launch", "--nproc_per_node", "2"]
    assert command[-5:] == ["--master_port", "29500", "-m", "jdrec.training.oneflow_launch", "/tmp/request.json"]
    from jdrec.config import ModelConfig

    request = Request(ModelConfig(), TrainerConfig(devices_per_node=2), "samples", "out", 7)
    assert msgspec.json.decode(msgspec.json.encode(request), type=Request) == request
