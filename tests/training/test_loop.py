"""What the loop can do besides training."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jdrec import training
from jdrec.config import EvaluateConfig, ModelConfig, TrainerConfig
from jdrec.errors import ConfigError, StageError, TrainingError
from jdrec.training.checkpoint import Checkpoint
from jdrec.training.loop import Evaluation, TrainReport
from jdrec.training.scoring import Scorer
from tests.training.conftest import write_samples

pytestmark = pytest.mark.oneflow
MODEL = ModelConfig(embedding_dim=4, dnn=[16, 8], dropout=0.1)
QUICK: dict[str, Any] = {
    "framework": "oneflow",
    "device": "cpu",
    "threads": 1,
    "batch_size": 100,
    "learning_rate": 0.03,
    "train_batches": 60,
}


def trainer(**keys: Any) -> TrainerConfig:
    return msgspec.convert({**QUICK, **keys}, TrainerConfig)


def keep_users(folder: Path) -> Path:
    """Adds the user and a time to samples, kept beside the fields."""
    for split in ("train", "valid", "test"):
        table = pq.read_table(folder / f"{split}.parquet")
        users = pa.array((np.asarray(table["C2"]) // 7919 % 10).tolist())
        hours = pa.array((np.arange(len(table)) * 3_600_000).tolist(), pa.timestamp("ms", "UTC"))
        pq.write_table(table.append_column("keep_user", users).append_column("keep_time", hours), folder / f"{split}.parquet")
    info = json.loads((folder / "data_info.json").read_text())
    (folder / "data_info.json").write_text(json.dumps({**info, "keep": {"user": "keep_user", "time": "keep_time"}}))
    return folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keep_users(write_samples(tmp_path_factory.mktemp("kept"), {"train": 2000, "valid": 600, "test": 600}))


def test_overfits_a_batch(samples: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = msgspec.structs.replace(MODEL, dropout=0.0)
    caplog.set_level("INFO", "jdrec.training")
    report = training.train(model, trainer(overfit_batch=True, train_batches=200, eval_interval=50), samples, tmp_path, seed=1)
    assert report.step == 200
    assert report.history[-1].train_loss < 0.01 < report.history[0].train_loss
    last = report.history[-1]  # of the batch itself, not of any split
    assert last.metrics["rows"] == 100 and last.auc == 1.0 and last.logloss < 0.01
    assert ", batch AUC 1.0000 [1.0000, 1.0000] logloss 0.00" in report.summary()
    assert "the model has learnt its batch by heart" in caplog.text
    training.train(model, trainer(overfit_batch=True, train_batches=5), samples, tmp_path / "short", seed=1)
    assert "after 5 batches the logloss of the one batch is still 0." in caplog.text


def test_epochs_end_training(samples: Path, tmp_path: Path) -> None:
    report = training.train(MODEL, trainer(epochs=2, batch_size=600, early_stop={"enabled": False}), samples, tmp_path, seed=1)
    assert (report.step, report.epoch) == (10, 2.0)


def test_keeps_the_last_checkpoints(samples: Path, tmp_path: Path) -> None:
    config = trainer(eval_interval=10, save_after_each_eval=True, keep_last=2, early_stop={"enabled": False})
    training.train(MODEL, config, samples, tmp_path, seed=1)
    assert sorted(path.name for path in tmp_path.glob("step_*")) == ["step_50", "step_60"]


@pytest.mark.torch
def test_profile_leaves_traces(samples: Path, tmp_path: Path) -> None:
    for framework, files in (("torch", ["trace.json", "trace_torch.json"]), ("oneflow", ["trace.json"])):
        out = tmp_path / framework
        training.train(MODEL, trainer(framework=framework, profile=3, train_batches=20), samples, out, seed=1)
        assert sorted(path.name for path in out.glob("trace*")) == files
        events = json.loads((out / "trace.json").read_text())["traceEvents"]
        assert [event["name"] for event in events] == ["lookup", "forward", "backward", "gather", "update"] * 3
        assert all(event["ph"] == "X" and event["dur"] > 0 for event in events)
    names = {event["name"] for event in json.loads((tmp_path / "torch" / "trace_torch.json").read_text())["traceEvents"]}
    assert "aten::addmm" in names


def test_a_profile_says_where_it_is(samples: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "jdrec.training")
    training.train(MODEL, trainer(profile=30, train_batches=13), samples, tmp_path, seed=1)
    assert "trainer.profile: 3 batches in trace.json, beside the checkpoints" in caplog.text


def test_a_training_too_short_for_a_profile_says_so(samples: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    training.train(MODEL, trainer(profile=3, train_batches=10), samples, tmp_path, seed=1)
    assert "nothing to trace" in caplog.text


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    ("value", "keys", "message"),
    [
        (1e30, {}, r"The loss became nan in batch \d+ .*: the largest input is of field price, \d\.?\d*e\+2\d"),
        (1e30, {"model": "dcn_v2"}, r"The loss became nan in batch \d+ .*: the largest input is of field price"),
        (
            1.0,
            {"optimizer": "sgd", "learning_rate": 1e30},
            r"The loss became nan in batch 2 .*: the largest input is of field price, 4\.87e\+29",
        ),
        (
            1.0,
            {"optimizer": "sgd", "learning_rate": 1e30, "train_batches": 1},
            r"After batch 1 a validation sample's score is not a number",
        ),
    ],
)
def test_what_is_no_number_names_its_field_and_prints_nothing_else(
    value: float, keys: dict[str, Any], message: str, tmp_path: Path
) -> None:
    write_samples(tmp_path, {"train": 500, "valid": 200})
    table = pq.read_table(tmp_path / "train.parquet")
    huge = np.where(np.arange(500) == 123, value, np.asarray(table["I1"])).astype(np.float32)
    pq.write_table(table.set_column(table.schema.get_field_index("I1"), "I1", pa.array(huge)), tmp_path / "train.parquet")
    model = msgspec.structs.replace(MODEL, name=keys.pop("model", "deepfm"))
    with pytest.raises(TrainingError, match=message):
        training.train(model, trainer(**{"learning_rate": 1.0, **keys}), tmp_path, tmp_path / "out", seed=1)


@pytest.mark.parametrize("keys", [{"negative_share": 0.2}, {"positive_weight": 5.0}])
def test_probabilities_are_put_right(tmp_path: Path, keys: dict[str, float]) -> None:
    """Both make positives five times as frequent to the network; the scores' level is the data's."""
    write_samples(tmp_path, {"train": 20_000, "valid": 2000, "test": 5000})
    config = trainer(**keys, train_batches=400, eval_interval=100, learning_rate=0.01, early_stop={"monitor": "logloss"})
    report = training.train(MODEL, config, tmp_path, tmp_path / "out", seed=1)
    assert Checkpoint.load(report.checkpoint).training.logit_shift == pytest.approx(-math.log(5))
    metrics = training.evaluate(report.checkpoint, tmp_path, "test")
    assert metrics["predicted_observed"] == pytest.approx(1.0, abs=0.08)
    assert metrics["auc"] > 0.78
    valid = training.evaluate(report.checkpoint, tmp_path, "valid")
    assert report.best["logloss"] == pytest.approx(valid["logloss"], abs=1e-6)


def test_clips_gradients(samples: Path, tmp_path: Path) -> None:
    """SGD's step is the rate times the gradient, so weights move by at most the rate times the norm."""
    config = trainer(optimizer="sgd", clip_norm=0.01, learning_rate=1.0, train_batches=1, save_initial=True)
    training.train(MODEL, config, samples, tmp_path, seed=1)
    before, after = Checkpoint.load(tmp_path / "initial").weights, Checkpoint.load(tmp_path / "best").weights
    moved = math.sqrt(sum(float(((after[name] - before[name]) ** 2).sum()) for name in before))
    assert moved == pytest.approx(0.01, rel=1e-3)


def test_goes_on_from_an_earlier_model_with_new_ids(samples: Path, tmp_path: Path) -> None:
    first = training.train(MODEL, trainer(), samples, tmp_path / "first", seed=1)
    newer = write_samples(tmp_path / "newer", {"train": 300, "valid": 100}, seed=7)  # other brands, the same users
    config = trainer(start_from=str(first.checkpoint), train_batches=1, learning_rate=1e-9, save_best=False)
    second = training.train(MODEL, config, newer, tmp_path / "second", seed=2)
    old, new = Checkpoint.load(first.checkpoint), Checkpoint.load(second.checkpoint)
    known = new.vocabulary.rows_in(old.vocabulary)
    assert (known >= 0).sum() == old.vocabulary.rows and (known < 0).sum() == 20 + 4
    moved = new.weights["embedding.weight"][known >= 0] - old.weights["embedding.weight"][known[known >= 0]]
    assert np.abs(moved).max() < 1e-6
    assert np.abs(new.weights["embedding.weight"][known < 0]).max() < 1e-3  # initial
    with pytest.raises(StageError, match="another shape"):
        training.train(msgspec.structs.replace(MODEL, dnn=[9]), config, newer, tmp_path / "third", seed=2)


def test_a_table_is_capped_by_memory(samples: Path, tmp_path: Path) -> None:
    """One MiB holds 17,476 rows of 5 numbers with Adam's two averages; 40 users of 10,000 are frequent."""
    random = np.random.default_rng(0)
    folder = write_samples(tmp_path, {"train": 30_000, "valid": 500})
    table = pq.read_table(folder / "train.parquet")
    users = np.where(np.arange(30_000) < 4000, np.arange(30_000) % 40, 1000 + random.permutation(30_000))
    pq.write_table(table.set_column(table.schema.get_field_index("C2"), "C2", pa.array(users)), folder / "train.parquet")
    for cap, rows in ((1, 41), (None, 26_041)):
        model = msgspec.structs.replace(MODEL, max_table_mb=cap)
        report = training.train(model, trainer(train_batches=1), folder, tmp_path / str(cap), seed=1)
        assert Checkpoint.load(report.checkpoint).model.fields[2].rows == rows


def test_watches_gauc(kept: Path, tmp_path: Path) -> None:
    config = trainer(early_stop={"monitor": "gauc"}, eval_interval=20)
    report = training.train(MODEL, config, kept, tmp_path / "out", seed=1, evaluate=EvaluateConfig(gauc_by="user"))
    assert report.history[0].best
    assert report.best["gauc"] == max(e.metrics["gauc"] for e in report.history)
    with pytest.raises(ConfigError, match="gauc needs groups"):
        training.train(MODEL, config, kept, tmp_path / "out2", seed=1)
    with pytest.raises(ConfigError, match="the samples do not keep 'userr'"):
        training.train(MODEL, config, kept, tmp_path / "out3", seed=1, evaluate=EvaluateConfig(gauc_by="userr"))


def test_a_report_read_back_says_what_was_kept_where_a_metric_is_not_defined(tmp_path: Path) -> None:
    metrics = {"auc": 0.75, "logloss": 0.5, "gauc": math.nan}
    found = [
        Evaluation(step, step / 10, metrics["auc"], loss, 0.6, 1e-3, 1.0, True, metrics | {"logloss": loss})
        for step, loss in ((10, 0.5), (20, 0.6))
    ]
    report = TrainReport(tmp_path / "best", metrics, found, "early stop", 20, 2.0, 1.0, 2000.0, "cpu", 30)
    again = TrainReport.from_json(json.loads(json.dumps(report.to_json())), tmp_path)
    assert again.summary() == report.summary()
    assert again.summary().endswith("ended by early stop, valid AUC 0.7500 logloss 0.5000")


def test_evaluates_by_group_and_time_with_intervals(kept: Path, tmp_path: Path) -> None:
    report = training.train(MODEL, trainer(), kept, tmp_path, seed=1)
    config = EvaluateConfig(gauc_by="user", by=["user"], time="time", slice="10d", bootstrap=100, most_groups=4)
    found = training.evaluate(report.checkpoint, kept, "test", config)
    assert [part["rows"] for part in found["slices"]] == [240, 240, 120]
    assert found["slices"][1]["from"] == "1970-01-11T00:00:00+00:00"
    assert list(found["by"]) == ["user"] and len(found["by"]["user"]) == 4
    largest = list(found["by"]["user"].values())
    assert largest[0]["rows"] >= largest[-1]["rows"]
    table = pq.read_table(kept / "test.parquet")
    scorer = Scorer(report.checkpoint)
    ids = np.stack([np.asarray(table["I1"]).astype(np.float64).view(np.int64), *(np.asarray(table[c]) for c in ("C1", "C2", "C3"))], axis=1)
    sklearn = pytest.importorskip("sklearn.metrics")
    scores, labels = scorer.scores(ids)[:, 0], np.asarray(table["Label"])
    assert found["auc"] == pytest.approx(sklearn.roc_auc_score(labels, scores), abs=1e-6)
    late = np.arange(600) >= 480
    assert found["slices"][2]["auc"] == pytest.approx(sklearn.roc_auc_score(labels[late], scores[late]), abs=1e-6)
    for part in (found, *found["slices"], largest[0]):
        for name in ("auc", "logloss", "pr_auc", "predicted_observed"):
            low, high = part["interval"][name]
            assert low < part[name] < high, name
    low, high = found["interval"]["gauc"]
    assert low < found["gauc"] < high
    with pytest.raises(ConfigError, match="the samples do not keep 'brand'"):
        training.evaluate(report.checkpoint, kept, "test", EvaluateConfig(by=["brand"]))
    with pytest.raises(ConfigError, match="no timestamp"):
        training.evaluate(report.checkpoint, kept, "test", EvaluateConfig(time="user"))
