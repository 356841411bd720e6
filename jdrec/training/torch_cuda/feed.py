"""Batches on their way to the GPU: threads gather the next ones into pinned memory while the current one is being trained on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numba

from jdrec.training.torch_cuda.inputs import Inputs


class Feed:
    """Filled blocks, one batch after the other.

    Args:
        fill: (block, batch number): fills a block; called in threads.
        make: makes a block in pinned memory.
        first: number of the first batch.
        threads: how many blocks are filled at a time.
    """

    def __init__(self, fill: Callable[[Inputs, int], None], make: Callable[[], Inputs], first: int, threads: int):
        self._fill, self._next = fill, first
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="feed")
        self._ready: deque[Future[Inputs]] = deque()
        for _ in range(2 * threads):
            self._start(make(), None)

    def take(self) -> Inputs:
        """The next block. `give_back` it, or it is gone."""
        return self._ready.popleft().result()

    def give_back(self, block: Inputs, free: Any) -> None:
        """Lets a block be filled with a later batch, once the event `free` has happened."""
        self._start(block, free)

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _start(self, block: Inputs, free: Any) -> None:
        self._ready.append(self._pool.submit(self._work, block, free, self._next))
        self._next += 1

    def _work(self, block: Inputs, free: Any, k: int) -> Inputs:
        if free is not None:
            free.synchronize()
        self._fill(block, k)
        return block


@numba.njit(nogil=True, cache=True)
def gather_rows(source: Any, index: Any, out: Any) -> None:
    """out[i] = source[index[i]], without holding the interpreter's lock. source: [samples, n]; out: [batch, n]."""
    for i in range(len(index)):
        row = index[i]
        for j in range(out.shape[1]):
            out[i, j] = source[row, j]


@numba.njit(nogil=True, cache=True)
def gather_values(source: Any, index: Any, out: Any) -> None:
    """out[i] = source[index[i]]. source: [samples]; out: [batch]."""
    for i in range(len(index)):
        out[i] = source[index[i]]
