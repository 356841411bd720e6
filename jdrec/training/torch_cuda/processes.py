"""The processes of one training, one a GPU: started by torchrun, talking through NCCL, or through gloo on a CPU."""

from __future__ import annotations

import os
from typing import Any

import torch
import torch.distributed as dist


class Processes:
    """This process among the others.

    Args:
        device: "cuda" or "cpu". With several processes, each takes the GPU of its local rank.
    """

    def __init__(self, device: str):
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        # Alone, the others mean nothing: importing OneFlow sets RANK to -1.
        self.rank = int(os.environ["RANK"]) if self.count > 1 else 0
        local = int(os.environ["LOCAL_RANK"]) if self.count > 1 else 0
        self.device = torch.device(device, local) if device == "cuda" else torch.device("cpu")
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        if self.count > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if device == "cuda" else "gloo", device_id=self.device if device == "cuda" else None)

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def exchange(self, received: Any, sent: Any) -> None:
        """All-to-all: part i of `sent` [processes, ...] goes to process i, which has it as part `rank` of `received`."""
        dist.all_to_all_single(received, sent)

    def sum(self, tensor: Any) -> Any:
        """Adds up a tensor over the processes, in place."""
        if self.count > 1:
            dist.all_reduce(tensor)
        return tensor

    def gather(self, tensor: Any) -> Any:
        """The tensors of all processes, one after the other along the first dimension."""
        if self.count == 1:
            return tensor
        result = tensor.new_empty((self.count * len(tensor), *tensor.shape[1:]))
        dist.all_gather_into_tensor(result, tensor.contiguous())
        return result

    def broadcast(self, tensor: Any, source: int) -> Any:
        """The tensor of process `source`, in place."""
        if self.count > 1:
            dist.broadcast(tensor, source)
        return tensor
