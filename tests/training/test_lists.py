"""Multi-valued fields from samples to scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jdrec import training
from jdrec.config import ModelConfig, TrainerConfig
from jdrec.features.spec import NO_VALUE
from jdrec.training.checkpoint import Checkpoint
from jdrec.training.data import RawSplit, Split, read_layout
from jdrec.training.frameworks import host_adapter
from jdrec.training.scoring import Scorer

pytestmark = pytest.mark.oneflow
FRAMEWORKS = ["oneflow", pytest.param("torch", marks=pytest.mark.torch)]
TRAINER: dict[str, Any] = {"device": "cpu", "threads": 1, "batch_size": 100, "learning_rate": 0.03, "train_batches": 120}


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A price and up to three types; the label follows the mean of the types' effects."""
    folder = tmp_path_factory.mktemp("listed")
    effect = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    for seed, (split, count) in enumerate({"train": 3000, "valid": 600, "test": 600}.items()):
        random = np.random.default_rng(seed)
        types, have = random.integers(0, 5, (count, 3)), random.integers(1, 4, count)
        used = np.arange(3) < have[:, None]
        logit = (effect[types] * used).sum(1) / have * 2
        ids = np.where(used, 100 + types, NO_VALUE)
        columns = {
            "y": (random.random(count) < 1 / (1 + np.exp(-logit))).astype(np.float32),
            "price": random.normal(size=count).astype(np.float32),
        }
        pq.write_table(pa.table(columns | {f"t_{i + 1}": ids[:, i] for i in range(3)}), folder / f"{split}.parquet")
    fields = [{"name": "price", "column": "price", "encoding": "numeric"}]
    fields += [{"name": f"t[{i}]", "feature": "t", "column": f"t_{i + 1}", "encoding": "list"} for i in range(3)]
    (folder / "data_info.json").write_text(json.dumps({"label": "y", "fields": fields}))
    return folder


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_learns_from_lists_and_scores_the_same_everywhere(listed: Path, tmp_path: Path, framework: str) -> None:
    trainer = msgspec.convert({**TRAINER, "framework": framework}, TrainerConfig)
    report = training.train(ModelConfig(embedding_dim=4, dnn=[8]), trainer, listed, tmp_path, seed=1)
    assert report.best_metric > 0.75
    loaded = Checkpoint.load(report.checkpoint)
    assert [(field.name, field.rows, field.slots) for field in loaded.model.fields] == [("price", 1, 1), ("t", 6, 3)]
    adapter = host_adapter(loaded.model, trainer, seed=3)
    adapter.load(loaded.weights)
    split = Split(RawSplit.read(listed, "test", read_layout(listed)), loaded.vocabulary)
    logits = np.concatenate([adapter.logits(batch) for batch in split.batches(100)])
    table = pq.read_table(listed / "test.parquet")
    ids = np.stack(
        [np.asarray(table["price"]).astype(np.float64).view(np.int64), *(np.asarray(table[f"t_{i}"]) for i in (1, 2, 3))], axis=1
    )
    np.testing.assert_allclose(Scorer(report.checkpoint).scores(ids)[:, 0], 1 / (1 + np.exp(-logits)), atol=1e-6)


def test_a_list_is_the_mean_of_its_values(listed: Path, tmp_path: Path) -> None:
    """With weights alone and no network, a logit is price's weight times price, the mean of the types' weights, and the bias."""
    trainer = msgspec.convert({**TRAINER, "framework": "oneflow"}, TrainerConfig)
    report = training.train(ModelConfig(name="lr"), trainer, listed, tmp_path, seed=1)
    weights = Checkpoint.load(report.checkpoint).weights
    table, bias = weights["embedding.weight"][:, 0], weights["output.bias"][0]
    price = np.array([0.5, 0.5, 0.5]).view(np.int64)
    ids = np.stack([price, [100, 104, 999], [103, NO_VALUE, NO_VALUE], [103, NO_VALUE, NO_VALUE]], axis=1)
    expected = 0.5 * table[0] + bias + np.array([(table[2] + 2 * table[5]) / 3, table[6], table[1]])
    np.testing.assert_allclose(Scorer(report.checkpoint).scores(ids)[:, 0], 1 / (1 + np.exp(-expected)), atol=1e-6)
    assert table[2] < table[3] < table[5] < table[6]  # effects -2, -1, 1, 2
