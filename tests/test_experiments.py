"""Every shipped experiment is sound, and jd_demo learns what its tables hold."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jdrec import pipeline
from jdrec.features.checks import check
from jdrec.features.resolve import resolve
from jdrec.paths import CONF
from tests.composing import composed

EXPERIMENTS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_composes_and_resolves(name: str) -> None:
    feature_set = resolve(composed(f"+experiment={name}"))
    assert feature_set.label is not None
    assert len(feature_set.fields) >= 20


@pytest.mark.parametrize("name", ["jd_deepfm", "jd_demo"])
def test_what_we_recommend_has_no_warnings(name: str) -> None:
    assert check(resolve(composed(f"+experiment={name}"))) == []


def test_the_tutorials_values() -> None:
    config = composed("+experiment=jd_tutorial")
    model, trainer = config.model, config.trainer
    assert (model.embedding_dim, model.dnn, model.dropout) == (16, [1000, 1000, 1000, 1000, 1000], 0.2)
    assert (trainer.batch_size, trainer.train_batches, trainer.learning_rate) == (1000, 75_000, 1e-3)
    assert (trainer.loss_print_interval, trainer.eval_interval) == (100, None)
    assert (trainer.one_embedding.store, trainer.one_embedding.cache_memory_mb) == ("cached_host_mem", 1024)
    assert (trainer.early_stop.enabled, trainer.early_stop.monitor, trainer.early_stop.patience) == (True, "auc - logloss", 2)
    assert (trainer.save_best, trainer.save_after_each_eval, trainer.save_graph_for_serving) == (True, True, True)
    assert (trainer.amp, trainer.fused_mlp, trainer.devices_per_node) == (False, False, 1)
    assert (config.preprocess.encoding, config.preprocess.hash_seed, config.preprocess.split.by) == ("tutorial", 10, "row_order")
    assert (config.serving.triton.backend, config.serving.triton.instance_kind) == ("oneflow", "KIND_GPU")


@pytest.mark.slow
@pytest.mark.oneflow
def test_jd_demo_comes_within_0_02_of_the_best_possible_auc(tmp_path: Path) -> None:
    """Against the true probabilities of the very rows of the test split: the bound is then not a matter of luck."""
    metrics = pytest.importorskip("sklearn.metrics")
    config = composed(
        "+experiment=jd_demo",
        "task=evaluate",
        f"dataset.root={tmp_path / 'tables'}",
        f"cache.dir={tmp_path / 'cache'}",
        "trainer.threads=1",
    )
    pipeline.run(config, tmp_path / "run")
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())
    label = pq.read_table(tmp_path / "tables" / "action" / "action.parquet")["actionValue"].to_numpy()
    truth = pq.read_table(tmp_path / "tables" / "truth" / "truth.parquet")["probability"].to_numpy()
    rows = found["test"]["rows"]
    best_here = metrics.roc_auc_score(label[-rows:], truth[-rows:])  # rows are in time order and the newest are the test split
    assert found["test"]["auc"] == pytest.approx(best_here, abs=0.02)
    assert found["test"]["auc"] == pytest.approx(found["best_possible_auc"], abs=0.02)
    assert found["test"]["auc"] > 0.8
