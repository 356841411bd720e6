"""Every shipped experiment is sound, and jd_demo learns what its tables hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
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


@pytest.mark.parametrize("name", ["jd_deepfm", "jd_demo", "ad_clicks"])
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
    assert (trainer.amp, trainer.fused_mlp, trainer.devices_per_node) == ("none", False, 1)
    assert (config.preprocess.encoding, config.preprocess.hash_seed, config.preprocess.split.by) == ("tutorial", 10, "row_order")
    assert (config.serving.triton.backend, config.serving.triton.instance_kind) == ("oneflow", "KIND_GPU")


TINY = {
    "jd": "dataset.generate={generator:jd,users:300,products:60,actions:6000,requests:2000}",
    "ads": "dataset.generate={users:300,ads:30,visits:4000,requests:2000}",
}


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_shipped_experiment_runs_to_its_page(tmp_path: Path, name: str) -> None:
    """On tables of its schema, few and generated."""
    config = composed(
        f"+experiment={name}",
        TINY["ads" if name == "ad_clicks" else "jd"],
        f"dataset.root={tmp_path / 'tables'}",
        f"cache.dir={tmp_path / 'cache'}",
        "trainer.framework=torch",
        "trainer.epochs=1",
        "trainer.batch_size=200",
        "model.dnn=[4]",
        "model.embedding_dim=2",
        "evaluate.bootstrap=0",
        "serving.triton.backend=python",
    )
    result = pipeline.run(config, tmp_path / "run")
    assert result is not None and 0 < result < 1
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]["rows"] > 100
    assert (tmp_path / "run" / "triton" / config.serving.triton.model / "config.pbtxt").is_file()
    assert (tmp_path / "run" / "report.html").is_file()


def _jd_truth(root: Path) -> tuple[np.ndarray, np.ndarray]:
    """Labels and true probabilities in time order, of the requests whose label counts."""
    label = pq.read_table(root / "action" / "action.parquet")["actionValue"].to_numpy()
    return label, pq.read_table(root / "truth" / "truth.parquet")["probability"].to_numpy()


def _ads_truth(root: Path) -> tuple[np.ndarray, np.ndarray]:
    impression = pq.read_table(root / "impression" / "impression.parquet")
    clicked = pq.read_table(root / "click" / "click.parquet")["impression_id"].to_numpy()
    shown_at = impression["shown_at"].to_numpy().astype("datetime64[ms]").astype(np.int64)
    counts = shown_at + 60_000 <= shown_at.max()
    label = np.isin(impression["impression_id"].to_numpy(), clicked)
    return label[counts], pq.read_table(root / "truth" / "truth.parquet")["probability"].to_numpy()[counts]


@pytest.mark.slow
@pytest.mark.oneflow
@pytest.mark.parametrize(("name", "truth", "above"), [("jd_demo", _jd_truth, 0.8), ("ad_clicks", _ads_truth, 0.74)])
def test_a_generated_experiment_comes_within_0_02_of_the_best_possible_auc(
    tmp_path: Path, name: str, truth: Callable[[Path], tuple[np.ndarray, np.ndarray]], above: float
) -> None:
    """Against the true probabilities of the very rows of the test split: the bound is then not a matter of luck."""
    metrics = pytest.importorskip("sklearn.metrics")
    config = composed(
        f"+experiment={name}",
        "task=evaluate",
        f"dataset.root={tmp_path / 'tables'}",
        f"cache.dir={tmp_path / 'cache'}",
        "trainer.threads=1",
    )
    pipeline.run(config, tmp_path / "run")
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())
    label, probability = truth(tmp_path / "tables")
    rows = found["test"]["rows"]
    assert found["test"]["positives"] == label[-rows:].sum()  # the newest are the test split
    best_here = metrics.roc_auc_score(label[-rows:], probability[-rows:])
    assert found["test"]["auc"] == pytest.approx(best_here, abs=0.02)
    assert found["test"]["auc"] == pytest.approx(found["best_possible_auc"], abs=0.03)  # of all rows
    assert found["test"]["auc"] > above
