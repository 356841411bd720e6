"""One process a GPU, by OneFlow's own launcher: `python -m oneflow.distributed.launch`.

As a module, it is what every one of those processes runs: it reads a request file and trains.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from jdrec.errors import TrainingError
from jdrec.training.request import Request


def launch_command(processes: int, port: int, request: Path) -> list[str]:
    """The command that starts `processes` workers on this machine."""
    launcher = [sys.executable, "-m", "oneflow.distributed.launch", "--nproc_per_node", str(processes), "--nnodes", "1"]
    place = ["--node_rank", "0", "--master_addr", "127.0.0.1", "--master_port", str(port)]
    return [*launcher, *place, "-m", "jdrec.training.oneflow_launch", str(request)]


def launch(request: Request) -> None:
    """Trains in processes of their own and waits for them.

    Raises:
        TrainingError: one of them failed; what it said is above in the output.
    """
    with tempfile.TemporaryDirectory(prefix="jdrec-train-") as folder:
        file = Path(folder) / "request.json"
        file.write_bytes(msgspec.json.encode(request))
        done = subprocess.run(launch_command(request.trainer.devices_per_node, _free_port(), file), check=False)
    if done.returncode:
        raise TrainingError(f"Distributed training ended with exit code {done.returncode}.", where="trainer.devices_per_node")


def work(file: Path) -> None:
    """What each process does."""
    from jdrec.training.oneflow_library import load_oneflow

    load_oneflow()
    msgspec.json.decode(file.read_bytes(), type=Request).run()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    work(Path(sys.argv[1]))
