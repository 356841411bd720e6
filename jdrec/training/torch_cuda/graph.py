"""Steps as CUDA graphs: at 1000 samples a step, launching its fifty kernels one by one takes four times as long as running them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from jdrec.training.torch_cuda.inputs import Inputs, Pack, Shape

_WARM_UP = 3  # steps before the capture, in which kernels are compiled and libraries make their workspaces


class DeviceQueue:
    """Copies packs of batches to the GPU, each beside the steps on the one before, and runs a graph a batch.

    There is a graph for each place in a pack, and for each of the two blocks on the GPU that packs are copied to in turn.

    Args:
        step: trains on the inputs that it is given.
        shape: of the inputs.
        state: what an empty batch (all rows 0) changes: it is put back after compiling and capturing, which run such steps.
        device: the GPU.
    """

    def __init__(self, step: Callable[[Inputs], None], shape: Shape, state: list[Any], device: torch.device):
        self.stream = torch.cuda.Stream(device)  # of the steps
        self._device, self._copies = device, torch.cuda.Stream(device)
        self._packs = [Pack(shape, shape.pack, device) for _ in range(2)]
        self._graphs = self._capture(step, state)
        self._used = [torch.cuda.Event() for _ in self._packs]
        self._copied = [torch.cuda.Event() for _ in self._packs]
        self._current, self._next, self._end = 0, 0, 0

    def load(self, pack: Pack, count: int) -> Any:
        """Starts to copy a pack, of whose batches the first `count` are used.

        Returns:
            An event after which `pack` may be filled anew.
        """
        if self._next < self._end:  # the pack before is not needed to its end
            self._used[self._current].record(self.stream)
        self._current, self._next, self._end = 1 - self._current, 0, count
        with torch.cuda.stream(self._copies):
            self._copies.wait_event(self._used[self._current])
            self._packs[self._current].block.copy_(pack.block, non_blocking=True)
            self._copied[self._current].record()
            freed = torch.cuda.Event()
            freed.record()
        return freed

    def step(self) -> None:
        """Starts a step on the next batch of the pack, and returns at once."""
        with torch.cuda.stream(self.stream):
            if self._next == 0:
                self.stream.wait_event(self._copied[self._current])
            self._graphs[self._current][self._next].replay()
            self._next += 1
            if self._next == self._end:
                self._used[self._current].record()

    def _capture(self, step: Callable[[Inputs], None], state: list[Any]) -> list[list[Any]]:
        before = [tensor.clone() for tensor in state]
        self.stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self.stream):
            for _ in range(_WARM_UP):
                step(self._packs[0].batches[0])
        torch.cuda.synchronize(self._device)
        pool = torch.cuda.graph_pool_handle()
        graphs = [[self._graph(step, inputs, pool) for inputs in pack.batches] for pack in self._packs]
        for tensor, value in zip(state, before, strict=True):
            tensor.copy_(value)
        torch.cuda.synchronize(self._device)
        return graphs

    def _graph(self, step: Callable[[Inputs], None], inputs: Inputs, pool: Any) -> Any:
        graph = torch.cuda.CUDAGraph()
        # Other threads may go on using CUDA meanwhile: NCCL's watchdog does.
        with torch.cuda.graph(graph, stream=self.stream, pool=pool, capture_error_mode="thread_local"):
            step(inputs)
        return graph
