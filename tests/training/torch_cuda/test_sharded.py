"""Several processes through gloo: the same losses, weights and state as one process has."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from jdrec.training.torch_cuda.launch import launch_command
from jdrec.training.torch_cuda.reference import claim
from jdrec.training.torch_cuda.sharded import capacity, plan_
from tests.training.torch_cuda.conftest import SIZES, make_spec
from tests.training.torch_cuda.training import trained

pytestmark = pytest.mark.torch
ROOT = Path(__file__).parents[3]


def run_in(processes: int, name: str, out: Path, device: str = "cpu") -> list[dict[str, np.ndarray]]:
    command = launch_command(processes, ["-m", "tests.training.torch_cuda.work_sharded", str(out), name, device])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return [dict(np.load(out / f"{rank}.npz")) for rank in range(processes)]


@pytest.mark.parametrize(
    ("processes", "name"),
    [(2, "deepfm"), *[pytest.param(count, name, marks=pytest.mark.slow) for count, name in ((4, "wide_deep"), (2, "dcn_v2"), (2, "lr"))]],
)
def test_several_processes_train_as_one(processes: int, name: str, tmp_path: Path) -> None:
    losses, expected, _ = trained(name, "cpu")
    for found in run_in(processes, name, tmp_path):
        np.testing.assert_allclose(found.pop("losses"), losses, rtol=1e-5)
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            np.testing.assert_allclose(found[key], value, atol=1e-4 if key == "logits" else 3e-5, err_msg=key)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA GPUs")
@pytest.mark.parametrize("name", ["deepfm", "bf16", "dcn_v2", "host_memory"])
def test_two_gpus_train_as_one(name: str, tmp_path: Path) -> None:
    losses, expected, _ = trained("deepfm" if name == "host_memory" else name, "cuda")
    tolerance = 0.02 if name == "bf16" else 1e-4
    for found in run_in(2, name, tmp_path, "cuda"):
        np.testing.assert_allclose(found["losses"], losses, rtol=tolerance)
        np.testing.assert_allclose(found["logits"], expected["logits"], atol=10 * tolerance)


def test_each_distinct_row_is_asked_of_its_owner_once() -> None:
    rows = torch.tensor([5, 2, 5, 8, 2, 3], dtype=torch.int32)
    slot = torch.zeros(9, dtype=torch.int32)
    claim(rows, slot)
    asked, places = torch.zeros(2 * 4 + 16, dtype=torch.int32), torch.zeros(6, dtype=torch.int32)
    plan_(asked, places, rows, slot, 2, 4)
    even, odd = asked[:4].tolist(), asked[4:8].tolist()
    assert sorted(even) == [-1, -1, 1, 4]  # rows 2 and 8 of process 0 are its rows 1 and 4
    assert sorted(odd) == [-1, -1, 1, 2]  # rows 3 and 5 of process 1
    owners = [0 if place < 4 else 1 for place in places.tolist()]
    assert [2 * int(asked[place]) + owner for place, owner in zip(places.tolist(), owners, strict=True)] == rows.tolist()


def test_there_is_room_for_all_rows_of_an_owner() -> None:
    assert SIZES == (3, 50, 1000, 1)
    assert capacity(make_spec(), batch=32, processes=2) == 2 + 25 + 32 + 1
