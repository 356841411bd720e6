"""Steps as CUDA graphs: at 1000 samples a step, launching its fifty kernels one by one takes four times as long as running them.

There are two input blocks and a graph for each, so that one is being filled while the other is being used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from jdrec.training.torch_cuda.inputs import Inputs

_WARM_UP = 3  # steps before the capture, in which kernels are compiled and libraries make their workspaces


class DeviceQueue:
    """Takes pinned blocks in turn, copies them to the GPU beside the running step, and starts a step on each.

    Args:
        step: trains on the inputs that it is given.
        make: makes an input block on a device.
        state: tensors that training changes. Compiling and capturing run the step on an empty batch; afterwards they are put back.
        device: the GPU.
    """

    def __init__(self, step: Callable[[Inputs], None], make: Callable[[Any], Inputs], state: list[Any], device: torch.device):
        self._device = device
        self._main, self._copies = torch.cuda.Stream(device), torch.cuda.Stream(device)
        self._blocks = [make(device) for _ in range(2)]
        self._graphs = self._capture(step, state)
        self._used = [torch.cuda.Event() for _ in self._blocks]
        self._count = 0

    @property
    def stream(self) -> Any:
        """The stream of the steps."""
        return self._main

    def push(self, block: Inputs) -> Any:
        """Starts a step and returns at once, with an event after which `block` may be filled anew."""
        place = self._count % len(self._blocks)
        self._count += 1
        copied = torch.cuda.Event()
        with torch.cuda.stream(self._copies):
            self._copies.wait_event(self._used[place])
            self._blocks[place].block.copy_(block.block, non_blocking=True)
            copied.record()
        with torch.cuda.stream(self._main):
            self._main.wait_event(copied)
            self._graphs[place].replay()
            self._used[place].record()
        return copied

    def _capture(self, step: Callable[[Inputs], None], state: list[Any]) -> list[Any]:
        before = [tensor.clone() for tensor in state]
        self._main.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._main):
            for _ in range(_WARM_UP):
                step(self._blocks[0])
        torch.cuda.synchronize(self._device)
        graphs: list[Any] = []
        for block in self._blocks:
            graph = torch.cuda.CUDAGraph()
            # Other threads may go on using CUDA meanwhile: NCCL's watchdog does.
            with torch.cuda.graph(graph, stream=self._main, pool=graphs[0].pool() if graphs else None, capture_error_mode="thread_local"):
                step(block)
            graphs.append(graph)
        for tensor, value in zip(state, before, strict=True):
            tensor.copy_(value)
        torch.cuda.synchronize(self._device)
        return graphs
