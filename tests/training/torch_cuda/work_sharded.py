"""What each process of test_sharded.py runs: `torchrun ... -m tests.training.torch_cuda.work_sharded OUT MODEL DEVICE`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tests.training.torch_cuda.training import trained


def main(out: str, model: str, device: str) -> None:
    losses, results, adapter = trained(model, device)
    rank = np.array([adapter._group.rank])
    np.savez(Path(out) / f"{int(rank[0])}.npz", losses=losses, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
