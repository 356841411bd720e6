"""Mixed precision on the CPU: bf16 learns what fp32 learns, and weights stay float32."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from jdrec import training
from jdrec.config import ModelConfig, TrainerConfig
from jdrec.errors import TrainingError
from jdrec.models import ModelSpec
from jdrec.training.checkpoint import Checkpoint
from jdrec.training.frameworks import choose_device, host_adapter
from tests.training.test_parts import BATCH, FIELDS, batches

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("name", ["deepfm", "dcn_v2", "finalmlp"])
def test_bf16_reaches_the_auc_of_fp32(samples: Path, tmp_path: Path, name: str) -> None:
    keys = {"framework": "torch", "device": "cpu", "threads": 1, "batch_size": 100, "learning_rate": 0.03, "train_batches": 60}
    found = {}
    for amp in ("none", "bf16"):
        trainer = msgspec.convert({**keys, "amp": amp}, TrainerConfig)
        report = training.train(ModelConfig(name=name, embedding_dim=4, dnn=[16, 8], dropout=0.1), trainer, samples, tmp_path / amp, seed=1)
        found[amp] = report.best_metric
        assert {array.dtype for array in Checkpoint.load(report.checkpoint).weights.values()} == {np.dtype(np.float32)}
    assert found["none"] > 0.76
    assert found["bf16"] == pytest.approx(found["none"], abs=0.01)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_step_in_bf16_is_near_the_one_in_fp32(threads: int) -> None:
    spec = ModelSpec("deepfm", FIELDS, 8, (24, 12), 0.3)
    keys = {"framework": "torch", "batch_size": BATCH, "threads": threads}
    exact, rough = (host_adapter(spec, msgspec.convert({**keys, "amp": amp}, TrainerConfig), 5) for amp in ("none", "bf16"))
    losses = [(exact.train_batch(batch, 1e-2), rough.train_batch(batch, 1e-2)) for batch in batches(6)]
    assert losses[-1][0] < losses[0][0]
    np.testing.assert_allclose(*np.transpose(losses), rtol=0.01)
    assert any(left != right for left, right in losses)  # so that it was bf16


def test_fp16_is_refused_on_a_cpu() -> None:
    with pytest.raises(TrainingError, match=r"trainer.amp: fp16 needs a GPU"):
        choose_device(msgspec.convert({"framework": "torch", "device": "cpu", "amp": "fp16"}, TrainerConfig))
