"""The Triton kernels against their plain equivalents: in Triton's interpreter, or on a GPU where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

triton = pytest.importorskip("triton")
pytestmark = pytest.mark.torch


def test_kernels_do_what_their_plain_equivalents_do() -> None:
    # In a process of its own: Triton decides when it is imported whether it interprets.
    environment = {**os.environ, **({} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"})}
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.torch_cuda.compare_kernels"], cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == ["gather", "accumulate", "write_rows", "pick", "update"] * 3
