"""Jobs by hydra-submitit-launcher: what Slurm is asked for, and jobs in processes that share nothing with the sweep but its folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from jdrec.composition import explain
from jdrec.sweep.jobs import read_jobs
from tests.conftest import needs_module


def jdrec(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "jdrec", *arguments], cwd=cwd, capture_output=True, text=True)


def test_what_slurm_is_asked_for(tmp_path: Path) -> None:
    needs_module("submitit", "slurm")
    from hydra.utils import get_class

    arguments = (
        "--cfg",
        "hydra",
        "--package",
        "hydra.launcher",
        "hydra/launcher=slurm",
        "hydra.launcher.partition=gpu",
        "hydra.launcher.mem_gb=64",
    )
    done = jdrec(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    asked = yaml.safe_load(done.stdout)
    assert get_class(asked["_target_"]).__name__ == "SlurmLauncher"
    shown = {name: asked[name] for name in ("partition", "mem_gb", "cpus_per_task", "timeout_min", "gpus_per_node", "array_parallelism")}
    assert shown == {"partition": "gpu", "mem_gb": 64, "cpus_per_task": 8, "timeout_min": 240, "gpus_per_node": 0, "array_parallelism": 16}


@pytest.mark.slow
def test_jobs_of_other_processes_are_told_apart(tmp_path: Path) -> None:
    """By the same launcher's executor for this machine: the failed one is named, and the command ends with 1."""
    needs_module("submitit", "slurm")
    sweep = ("-m", "+experiment=jd_demo", "task=check", "model.embedding_dim=0,2", "hydra/launcher=submitit_local", "hydra.sweep.dir=sweep")
    done = jdrec(*sweep, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "error: job 0 of the sweep failed: model.embedding_dim: 0 does not fit" in done.stderr
    failed, finished = read_jobs(tmp_path / "sweep")
    assert (failed.status, finished.status) == ("failed", "finished")
    assert failed.error == "model.embedding_dim: 0 does not fit: Expected 'int' >= 1. Length of an embedding vector."


def test_without_the_launcher_the_message_says_how_to_get_it() -> None:
    from hydra.errors import MissingConfigException

    said = explain(MissingConfigException("In 'hydra/launcher/slurm': Could not find 'hydra/launcher/submitit_slurm'\n", None))
    assert said == "error: hydra/launcher: hydra-submitit-launcher is not installed. Install it with: pip install 'jdrec[slurm]'"
