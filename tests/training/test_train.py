"""Training on the CPU, from samples to checkpoints."""

from __future__ import annotations

import json
import math
import signal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from jdrec import training
from jdrec.config import ModelConfig, TrainerConfig
from jdrec.errors import DataError, TrainingError
from jdrec.training.checkpoint import Checkpoint
from jdrec.training.data import RawSplit, Split, read_layout
from jdrec.training.frameworks import host_adapter
from jdrec.training.loop import TrainReport
from jdrec.training.scoring import Scorer
from tests.training.conftest import write_samples

pytestmark = pytest.mark.oneflow
FRAMEWORKS = ["oneflow", pytest.param("torch", marks=pytest.mark.torch)]

MODEL = ModelConfig(embedding_dim=4, dnn=[16, 8], dropout=0.1)
QUICK: dict[str, Any] = {
    "framework": "oneflow",
    "device": "cpu",
    "batch_size": 100,
    "learning_rate": 0.03,
    "train_batches": 90,
    "loss_print_interval": 10,
}


def trainer(**keys: Any) -> TrainerConfig:
    return msgspec.convert({**QUICK, **keys}, TrainerConfig)


def weights(folder: Path) -> dict[str, np.ndarray]:
    return Checkpoint.load(folder).weights


@pytest.fixture(scope="module", params=FRAMEWORKS)
def trained(samples: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> TrainReport:
    return training.train(MODEL, trainer(framework=request.param), samples, tmp_path_factory.mktemp("trained"), seed=1)


def test_learns_what_is_in_the_samples(samples: Path, trained: TrainReport) -> None:
    assert trained.best_metric > 0.78  # the signal's own AUC is 0.809 on valid and 0.812 on test
    test = training.evaluate(trained.checkpoint, samples, "test")
    assert test["auc"] > 0.78 and test["logloss"] < 0.56
    assert (test["rows"], test["positives"]) == (700, round(test["base_rate"] * 700))
    assert trained.parameters == sum(array.size for array in weights(trained.checkpoint).values())


def test_learns_with_a_dense_table(samples: Path, tmp_path: Path) -> None:
    report = training.train(MODEL, trainer(embedding_updates="dense", train_batches=60), samples, tmp_path, seed=1)
    assert report.best_metric > 0.77


def test_the_report_is_what_the_checkpoint_does(samples: Path, trained: TrainReport) -> None:
    valid = training.evaluate(trained.checkpoint, samples, "valid")
    assert valid["auc"] == pytest.approx(trained.best["auc"], abs=1e-6)
    assert valid["logloss"] == pytest.approx(trained.best["logloss"], abs=1e-6)
    best = [evaluation for evaluation in trained.history if evaluation.best][-1]
    for name, (low, high) in best.interval.items():  # the evaluation's own interval is the resamples', nearly
        assert low < best.metrics[name] < high
        if name not in ("ece", "predicted_observed"):
            assert [low, high] == pytest.approx(valid["interval"][name], abs=0.1 * (high - low)), name
    assert f"valid AUC {best.auc:.4f} [{best.interval['auc'][0]:.4f}, " in trained.summary()
    state = Checkpoint.load(trained.checkpoint).training
    assert (state.step, state.seed, state.device, state.metrics["auc"]) == (best.step, 1, "cpu", best.auc)
    stored = json.loads((trained.checkpoint.parent / "training.json").read_text())
    assert TrainReport.from_json(stored, trained.checkpoint.parent) == trained


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_checkpoint_scores_the_same_in_every_framework(samples: Path, trained: TrainReport, framework: str) -> None:
    """NumPy's logits are the middle: both frameworks' are equal to them, whichever trained the checkpoint."""
    loaded = Checkpoint.load(trained.checkpoint)
    adapter = host_adapter(loaded.model, trainer(framework=framework), seed=5)
    adapter.load(loaded.weights)
    split = Split(RawSplit.read(samples, "test", read_layout(samples)), loaded.vocabulary)
    scorer = Scorer(trained.checkpoint)
    for batch in split.batches(300):
        np.testing.assert_allclose(scorer.logits(batch.rows, batch.scale)[:, 0], adapter.logits(batch), rtol=0, atol=5e-6)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["lr", "fm", "wide_deep", "deepfm", "dcn_v2", "finalmlp"])
def test_both_frameworks_train_the_same_model(samples: Path, tmp_path: Path, name: str) -> None:
    """Same samples, same initial weights, same dropout: losses part by rounding alone."""
    model = msgspec.structs.replace(MODEL, name=name, cross_layers=2, heads=2)
    reports = []
    for framework in ("torch", "oneflow"):
        config = trainer(framework=framework, train_batches=30, eval_interval=5, early_stop={"enabled": False})
        reports.append(training.train(model, config, samples, tmp_path / framework, seed=1))
    first, second = reports
    for ours, theirs in zip(first.history, second.history, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, abs=1e-4)
        assert ours.auc == pytest.approx(theirs.auc, abs=2e-3)
    assert first.best_metric > 0.7


@pytest.mark.parametrize("updates", ["lazy", "dense"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_same_seed_gives_the_same_weights_bit_for_bit(samples: Path, tmp_path: Path, updates: str, framework: str) -> None:
    config = trainer(framework=framework, train_batches=20, eval_interval=10, embedding_updates=updates)
    first, again, other = (training.train(MODEL, config, samples, tmp_path / str(i), seed=s) for i, s in enumerate((1, 1, 2)))
    assert [e.auc for e in first.history] == [e.auc for e in again.history]
    for name, array in weights(first.checkpoint).items():
        assert np.array_equal(array, weights(again.checkpoint)[name]), name
        assert not np.array_equal(array, weights(other.checkpoint)[name]), name


def test_evaluates_and_saves_where_configured(samples: Path, tmp_path: Path) -> None:
    config = trainer(train_batches=25, eval_interval=10, save_initial=True, save_after_each_eval=True, early_stop={"enabled": False})
    report = training.train(MODEL, config, samples, tmp_path, seed=1)
    assert [evaluation.step for evaluation in report.history] == [10, 20, 25]
    assert (report.step, report.end) == (25, "train_batches")
    assert report.epoch == pytest.approx(25 * 100 / 3000)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["best", "initial", "step_10", "step_20", "step_25", "training.json"]
    assert np.abs(weights(tmp_path / "initial")["embedding.weight"]).max() < 1e-3
    assert Checkpoint.load(tmp_path / "step_20").training.metrics["auc"] == report.history[1].auc


def test_an_epoch_between_evaluations_by_default_and_the_rate_falls_after_each(samples: Path, tmp_path: Path) -> None:
    config = trainer(batch_size=600, train_batches=15, learning_rate_decay={"factor": 0.1}, early_stop={"enabled": False})
    report = training.train(MODEL, config, samples, tmp_path, seed=1)
    assert [evaluation.step for evaluation in report.history] == [5, 10, 15]
    assert [evaluation.learning_rate for evaluation in report.history] == pytest.approx([3e-2, 3e-3, 3e-4])


def test_stops_early(samples: Path, tmp_path: Path) -> None:
    config = trainer(train_batches=1000, eval_interval=5, early_stop={"patience": 2, "min_delta": 0.9})
    report = training.train(MODEL, config, samples, tmp_path, seed=1)
    assert (report.end, report.step) == ("early stop", 15)  # the first evaluation is the best, two more do not improve on it
    assert Checkpoint.load(report.checkpoint).training.step == 5


def test_save_best_off_keeps_the_last_weights(samples: Path, tmp_path: Path) -> None:
    config = trainer(train_batches=20, eval_interval=5, save_best=False, save_after_each_eval=False, early_stop={"enabled": False})
    report = training.train(MODEL, config, samples, tmp_path, seed=1)
    assert Checkpoint.load(report.checkpoint).training.step == 20
    assert report.best["auc"] == report.history[-1].auc


class InterruptingProgress(training.loop.Progress):
    """Presses Ctrl-C after some batches."""

    def __init__(self, at: int):
        super().__init__(live=False)
        self.at = at

    def task(self, name: str, total: float | None = None) -> Any:
        made = super().task(name, total)
        at = self.at

        class Context:
            def __enter__(self) -> Any:
                task = made.__enter__()
                update = task.update

                def interrupting(done: float, note: str | None = None) -> None:
                    update(done, note)
                    if done == at:
                        signal.raise_signal(signal.SIGINT)

                task.update = interrupting
                return task

            def __exit__(self, *error: Any) -> Any:
                return made.__exit__(*error)

        return Context()


@pytest.mark.parametrize(("at", "best_step"), [(7, 7), (15, 10)])
def test_ctrl_c_saves_a_checkpoint(samples: Path, tmp_path: Path, at: int, best_step: int) -> None:
    report = training.train(MODEL, trainer(eval_interval=10), samples, tmp_path, seed=1, progress=InterruptingProgress(at))
    assert report.interrupted and report.step == at
    assert Checkpoint.load(tmp_path / f"step_{at}").training.step == at
    assert Checkpoint.load(report.checkpoint).training.step == best_step
    assert math.isnan(report.best_metric) == (at == 7)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_loss_that_is_no_number_names_its_batch(samples: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"The loss became (nan|inf) in batch \d+ \(epoch 0\.\d+, learning rate 1e\+20\)"):
        training.train(MODEL, trainer(learning_rate=1e20), samples, tmp_path, seed=1)


def test_rare_ids_train_the_row_of_unseen_ones(samples: Path, tmp_path: Path) -> None:
    model = msgspec.structs.replace(MODEL, min_count=200)  # no user occurs so often
    report = training.train(model, trainer(train_batches=20), samples, tmp_path, seed=1)
    loaded = Checkpoint.load(report.checkpoint)
    assert [field.rows for field in loaded.model.fields][2] == 1
    assert np.abs(loaded.weights["embedding.weight"][loaded.vocabulary.offsets[2]]).max() > 1e-3


def test_splits_of_one_class_cannot_be_trained_on(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    write_samples(tmp_path, {"train": 50, "valid": 30, "test": 30})
    table = pq.read_table(tmp_path / "valid.parquet")
    pq.write_table(table.filter(table["Label"].to_numpy() == 0), tmp_path / "valid.parquet")
    with pytest.raises(TrainingError, match=r"The valid split has \d+ rows, 0 of them positive"):
        training.train(MODEL, trainer(), tmp_path, tmp_path / "out", seed=1)
    pq.write_table(table.slice(0, 0), tmp_path / "valid.parquet")
    with pytest.raises(TrainingError, match="The valid split has no rows"):
        training.train(MODEL, trainer(), tmp_path, tmp_path / "out", seed=1)
    assert not (tmp_path / "out").exists()


def test_evaluating_what_has_no_metric(samples: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    report = training.train(MODEL, trainer(train_batches=3), samples, tmp_path / "out", seed=1)
    write_samples(tmp_path, {"test": 30})
    table = pq.read_table(tmp_path / "test.parquet")
    pq.write_table(table.slice(0, 0), tmp_path / "test.parquet")
    undefined = dict.fromkeys(("auc", "logloss", "pr_auc", "ece", "predicted_observed", "base_rate"))
    assert training.evaluate(report.checkpoint, tmp_path, "test") == {**undefined, "rows": 0, "positives": 0, "interval": {}}
    pq.write_table(table.drop_columns(["C2"]), tmp_path / "test.parquet")
    with pytest.raises(DataError, match="has no column C2"):
        training.evaluate(report.checkpoint, tmp_path, "test")
