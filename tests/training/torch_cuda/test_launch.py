"""`train` in two processes, from sample files to a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from jdrec import training
from jdrec.config import ModelConfig, TrainerConfig
from jdrec.errors import TrainingError
from jdrec.training.checkpoint import Checkpoint
from jdrec.training.torch_cuda.launch import launch_command

pytestmark = [pytest.mark.torch, pytest.mark.slow]
KEYS: dict[str, Any] = {
    "framework": "torch",
    "device": "cpu",
    "threads": 1,
    "batch_size": 100,
    "train_batches": 45,
    "eval_interval": 15,
    "learning_rate": 0.01,
    "early_stop": {"enabled": False},
}


def run(samples: Path, out: Path, **keys: Any) -> Any:
    model = msgspec.convert({"embedding_dim": 4, "dnn": [16, 8], "dropout": 0.0}, ModelConfig)
    return training.train(model, msgspec.convert({**KEYS, **keys}, TrainerConfig), samples, out, seed=3)


def test_two_processes_leave_what_one_leaves(samples: Path, tmp_path: Path) -> None:
    one, two = run(samples, tmp_path / "one"), run(samples, tmp_path / "two", devices_per_node=2)
    assert [round(each.auc, 3) for each in two.history] == pytest.approx([round(each.auc, 3) for each in one.history], abs=0.002)
    assert one.step == two.step == 45
    left, right = (Checkpoint.load(tmp_path / name / "best").weights for name in ("one", "two"))
    assert left.keys() == right.keys()
    assert all(left[key].shape == right[key].shape for key in left)
    assert np.abs(left["dnn.0.weight"] - right["dnn.0.weight"]).max() < 0.01
    assert json.loads((tmp_path / "two" / "training.json").read_text())["step"] == 45


def test_a_process_that_fails_is_one_message(samples: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="Distributed training ended with exit code 1"):
        run(samples, tmp_path / "out", devices_per_node=3)  # a batch of 100 cannot be shared by three


def test_processes_meet_on_a_free_port() -> None:
    command = launch_command(2, ["-m", "module"])
    assert "--standalone" in command and command[command.index("--nproc_per_node") + 1] == "2" and command[-2:] == ["-m", "module"]
