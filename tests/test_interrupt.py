"""Ctrl-C during a run: what was learnt is kept, the cache holds nothing half-made, and the next run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.oneflow
def test_ctrl_c_in_training_keeps_the_checkpoint_and_the_cache_whole(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "jdrec", "+experiment=jd_demo", "task=train", "hydra.run.dir=run", "trainer.train_batches=100000"]
    command += ["trainer.early_stop.enabled=false"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if line.startswith("batch 64"):  # the first evaluation has saved the best weights
                os.killpg(process.pid, signal.SIGINT)
                break
        rest = process.stderr.read()
        assert process.wait(60) == 130
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert "saving a checkpoint" in rest and "Traceback" not in rest
    assert (tmp_path / "run" / "checkpoints" / "best" / "model.safetensors").is_file()
    kept = sorted(item.name for item in (tmp_path / "outputs" / "cache" / "train").iterdir() if item.name != ".locks")
    assert kept == []
    assert {"extract", "preprocess"} <= {item.name for item in (tmp_path / "outputs" / "cache").iterdir()}
