from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jdrec import training
from jdrec.config import EvaluateConfig, ModelConfig, TrainerConfig
from jdrec.errors import TrainingError
from jdrec.progress import Progress
from jdrec.training.folds import evaluate_folds, summary, train_folds
from tests.training.conftest import write_samples

pytestmark = pytest.mark.oneflow


def test_summary_by_hand() -> None:
    found = summary([0.5, 0.6, 0.7])
    assert (found["mean"], found["spread"]) == (pytest.approx(0.6), pytest.approx(0.1))
    assert found["interval"] == pytest.approx([0.6 - 4.303 * 0.1 / 3**0.5, 0.6 + 4.303 * 0.1 / 3**0.5])
    assert summary([0.5, None]) == {"values": [0.5, None], "mean": 0.5, "spread": None, "interval": None}


def test_a_model_a_fold(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    samples, out = tmp_path / "samples", tmp_path / "checkpoints"
    for fold in (1, 2):
        write_samples(samples / "folds" / str(fold), {"train": 500 * fold, "valid": 200, "test": 300}, seed=fold)
    trainer = msgspec.convert(
        {"framework": "oneflow", "device": "cpu", "threads": 1, "batch_size": 100, "train_batches": 20}, TrainerConfig
    )
    how: dict[str, Any] = {"seed": 1, "progress": Progress.silent(), "evaluate": EvaluateConfig()}
    caplog.set_level("INFO", "jdrec.training")
    assert train_folds(ModelConfig(embedding_dim=4, dnn=[8]), trainer, samples, out, **how)
    of_folds = [record.message for record in caplog.records if "batch" in record.message]
    assert len(of_folds) > 4 and all(line.startswith(("fold 1 of 2: ", "fold 2 of 2: ")) for line in of_folds)
    assert "fold 2 of 2: 20 batches" in caplog.text
    found = evaluate_folds(out, samples, EvaluateConfig(bootstrap=0))
    each = [training.evaluate(out / str(k) / "best", samples / "folds" / str(k), "test")["auc"] for k in (1, 2)]
    assert found["auc"]["values"] == each and found["auc"]["mean"] == pytest.approx(sum(each) / 2)
    kept = (out / "2" / "best" / "model.safetensors").stat().st_mtime_ns
    shutil.rmtree(out / "1")  # as if it had been killed before
    assert train_folds(ModelConfig(embedding_dim=4, dnn=[8]), trainer, samples, out, **how)
    assert (out / "2" / "best" / "model.safetensors").stat().st_mtime_ns == kept
    assert evaluate_folds(out, samples, EvaluateConfig(bootstrap=0)) == found
    assert evaluate_folds(out, tmp_path, EvaluateConfig()) == {}
    write_samples(samples / "folds" / "3", {"train": 100, "valid": 0, "test": 10})
    with pytest.raises(TrainingError, match=r"^preprocess\.split: fold 3 of 3: The valid split has no rows"):
        train_folds(ModelConfig(embedding_dim=4, dnn=[8]), trainer, samples, out, **how)
    assert "fold 1 of 3: kept from before" in caplog.text
