"""One process a GPU, by torchrun; on a CPU as many processes, through gloo.

As a module, it is what every one of those processes runs: it reads a request file and trains.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from jdrec.errors import TrainingError
from jdrec.system import cores
from jdrec.training.request import Request


def launch_command(processes: int, arguments: list[str]) -> list[str]:
    """The command that starts `python ARGUMENTS` in so many processes on this machine. They meet on a free port of this machine."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nnodes", "1", "--nproc_per_node", str(processes)]
    return [*launcher, *arguments]


def launch(request: Request, device: str) -> None:
    """Trains in trainer.devices_per_node processes of their own and waits for them.

    Raises:
        TrainingError: there are not so many GPUs, or a process failed; what it said is above in the output.
    """
    count = request.trainer.devices_per_node
    if device == "cuda":
        import torch

        if count > torch.cuda.device_count():
            raise TrainingError(f"{count} GPUs are asked for, {torch.cuda.device_count()} are here.", where="trainer.devices_per_node")
    environment = {"OMP_NUM_THREADS": str(max(1, cores() // count)), **os.environ}
    with tempfile.TemporaryDirectory(prefix="jdrec-train-") as folder:
        file = Path(folder) / "request.json"
        file.write_bytes(msgspec.json.encode(request))
        command = launch_command(count, ["-m", "jdrec.training.torch_cuda.launch", str(file)])
        done = subprocess.run(command, env=environment, check=False)
    if done.returncode:
        raise TrainingError(f"Distributed training ended with exit code {done.returncode}.", where="trainer.devices_per_node")


def work(file: Path) -> None:
    """What each process does."""
    msgspec.json.decode(file.read_bytes(), type=Request).run()


if __name__ == "__main__":
    work(Path(sys.argv[1]))
