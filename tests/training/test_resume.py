"""A training that is killed and started again ends as if nothing had happened."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from jdrec import pipeline, training
from jdrec.cache import content_key
from jdrec.config import ModelConfig, TrainerConfig
from jdrec.errors import StageError
from jdrec.stages import CACHED, Run
from jdrec.training.checkpoint import Checkpoint
from jdrec.training.loop import Evaluation
from jdrec.training.resume import SnapshotFolder
from tests.composing import composed

pytestmark = pytest.mark.oneflow
FRAMEWORKS = ["oneflow", pytest.param("torch", marks=pytest.mark.torch)]
MODEL = ModelConfig(embedding_dim=4, dnn=[16, 8], dropout=0.2)
KEYS: dict[str, Any] = {
    "device": "cpu",
    "threads": 1,
    "batch_size": 100,
    "learning_rate": 0.03,
    "train_batches": 60,
    "eval_interval": 20,
    "resume_interval": 7,
    "learning_rate_decay": {"kind": "plateau", "factor": 0.5},
    "early_stop": {"enabled": False},
}
# What the killed process runs: it ends at once, in the middle of batch `at`, as by SIGKILL.
SCRIPT = """
import json, os, sys
from pathlib import Path
import msgspec
from jdrec import training
from jdrec.config import ModelConfig, TrainerConfig
from jdrec.training.host_adapter import HostAdapter

model, keys, samples, out, at = json.loads(sys.argv[1])
plain, done = HostAdapter.train_batch, [0]

def train_batch(self, batch, rate):
    done[0] += 1
    if done[0] == at:
        os._exit(9)
    return plain(self, batch, rate)

HostAdapter.train_batch = train_batch
training.train(msgspec.convert(model, ModelConfig), msgspec.convert(keys, TrainerConfig), Path(samples), Path(out), seed=1)
"""


def weights(folder: Path) -> dict[str, np.ndarray]:
    return Checkpoint.load(folder).weights


def run_and_die(samples: Path, out: Path, at: int, keys: dict[str, Any]) -> None:
    arguments = msgspec.json.encode([MODEL, keys, str(samples), str(out), at]).decode()
    done = subprocess.run([sys.executable, "-c", SCRIPT, arguments], check=False, capture_output=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 9, done.stderr.decode()


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("optimizer", ["adam", pytest.param("adagrad", marks=pytest.mark.slow)])
def test_killed_at_any_step_it_ends_with_the_same_weights(samples: Path, tmp_path: Path, framework: str, optimizer: str) -> None:
    keys = {**KEYS, "framework": framework, "optimizer": optimizer}
    whole = training.train(MODEL, msgspec.convert(keys, TrainerConfig), samples, tmp_path / "whole", seed=1)
    for at in (5, 34) if optimizer == "adam" else (41,):  # before the first snapshot; between two; right after an evaluation
        out = tmp_path / f"killed_{at}"
        run_and_die(samples, out, at, keys)
        assert (out / "unfinished").is_dir() == (at > 7)
        watched: list[Evaluation] = []
        report = training.train(MODEL, msgspec.convert(keys, TrainerConfig), samples, out, seed=1, watch=watched.append)
        assert watched == report.history  # those of before included
        assert [(e.step, e.auc, e.train_loss, e.learning_rate, e.best) for e in report.history] == [
            (e.step, e.auc, e.train_loss, e.learning_rate, e.best) for e in whole.history
        ]
        assert report.best == whole.best and report.step == 60
        for name, array in weights(whole.checkpoint).items():
            assert np.array_equal(array, weights(report.checkpoint)[name]), name
        assert not (out / "unfinished").exists()


def test_killed_while_samples_come_from_disk(samples: Path, tmp_path: Path) -> None:
    keys = {**KEYS, "framework": "oneflow", "memory_rows": 1000, "eval_interval": 30}  # 3000 samples, which mix in windows of 500
    whole = training.train(MODEL, msgspec.convert(keys, TrainerConfig), samples, tmp_path / "whole", seed=1)
    run_and_die(samples, tmp_path / "killed", 34, keys)
    report = training.train(MODEL, msgspec.convert(keys, TrainerConfig), samples, tmp_path / "killed", seed=1)
    assert [e.train_loss for e in report.history] == [e.train_loss for e in whole.history]
    for name, array in weights(whole.checkpoint).items():
        assert np.array_equal(array, weights(report.checkpoint)[name]), name
    in_memory = training.train(MODEL, msgspec.convert({**keys, "memory_rows": 3000}, TrainerConfig), samples, tmp_path / "memory", seed=1)
    assert [e.train_loss for e in in_memory.history] != [e.train_loss for e in whole.history]  # another order, so it was not all in memory
    assert in_memory.best["auc"] == pytest.approx(whole.best["auc"], abs=0.02)


def test_another_configuration_starts_anew(samples: Path, tmp_path: Path) -> None:
    run_and_die(samples, tmp_path, 30, {**KEYS, "framework": "oneflow"})
    keys = {**KEYS, "framework": "oneflow", "learning_rate": 0.01, "train_batches": 20}
    fresh = training.train(MODEL, msgspec.convert(keys, TrainerConfig), samples, tmp_path / "fresh", seed=1)
    again = training.train(MODEL, msgspec.convert(keys, TrainerConfig), samples, tmp_path, seed=1)
    for name, array in weights(fresh.checkpoint).items():
        assert np.array_equal(array, weights(again.checkpoint)[name]), name


def test_another_checkpoint_to_start_from_under_the_same_path_starts_anew(
    samples: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether it is the same one is decided by content: moved elsewhere it is, overwritten it is not."""
    keys = {**KEYS, "framework": "oneflow", "train_batches": 20}
    for seed in (1, 2):
        training.train(MODEL, msgspec.convert(keys, TrainerConfig), samples, tmp_path / str(seed), seed=seed)
    place = tmp_path / "earlier"
    shutil.copytree(tmp_path / "1" / "best", place)
    run_and_die(samples, tmp_path / "out", 30, {**KEYS, "framework": "oneflow", "start_from": str(place)})
    shutil.copytree(tmp_path / "out", tmp_path / "copy")
    caplog.set_level("INFO")

    def again(out: str, start_from: Path) -> dict[str, np.ndarray]:
        config = msgspec.convert({**KEYS, "framework": "oneflow", "start_from": str(start_from)}, TrainerConfig)
        return weights(training.train(MODEL, config, samples, tmp_path / out, seed=1).checkpoint)

    moved = again("copy", tmp_path / "1" / "best")
    assert "resuming after batch 28" in caplog.text
    caplog.clear()
    shutil.rmtree(place)
    shutil.copytree(tmp_path / "2" / "best", place)
    other, fresh = again("out", place), again("fresh", place)
    assert "is of another training, this one starts anew" in caplog.text and "resuming" not in caplog.text
    for name, array in fresh.items():
        assert np.array_equal(array, other[name]) and not np.array_equal(array, moved[name]), name


def test_a_damaged_snapshot_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = SnapshotFolder(tmp_path / "unfinished", "key")
    assert folder.load() is None
    folder.save({"step": 3}, {"a": np.arange(3.0)}, {"b": np.ones(2)})
    found = folder.load()
    assert found is not None and found.loop == {"step": 3}
    assert found.weights["a"].tolist() == [0, 1, 2] and found.state["b"].tolist() == [1, 1]
    assert SnapshotFolder(tmp_path / "unfinished", "other").load() is None
    os.truncate(tmp_path / "unfinished" / "state.safetensors", 20)
    assert folder.load() is None
    assert "cannot be read, training starts anew" in caplog.text


def test_a_cached_training_is_of_the_content_that_it_started_from(tmp_path: Path) -> None:
    def key(place: str) -> str:
        config = composed("+experiment=jd_demo", f"trainer.start_from={tmp_path / place}")
        return content_key(msgspec.to_builtins(CACHED["train"].inputs(Run(config, tmp_path))))

    for place, text in (("a", "one"), ("b", "one"), ("c", "other")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "checkpoint.json").write_text("{}")
        (tmp_path / place / "model.safetensors").write_text(text)
    assert key("a") == key("b") != key("c")
    with pytest.raises(StageError, match=r"^trainer\.start_from: .*/nothing is not a checkpoint"):
        key("nothing")
    config = composed("+experiment=jd_demo", "task=train", "trainer.start_from=nothing", f"dataset.root={tmp_path / 'tables'}")
    with pytest.raises(StageError, match=r"^trainer\.start_from: nothing is not a checkpoint"):
        pipeline.run(config, tmp_path / "run")  # before anything is computed
    assert not (tmp_path / "run").exists() and not (tmp_path / "tables").exists()
