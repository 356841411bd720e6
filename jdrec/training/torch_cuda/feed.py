"""Batches on their way to the GPU: threads gather the next ones into pinned memory while the current ones are being trained on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from jdrec.training.torch_cuda.inputs import Inputs, Pack, Shape

if TYPE_CHECKING:
    from jdrec.training.adapter import Stream
    from jdrec.training.data import Split


class Feed:
    """Filled packs, one after the other.

    Args:
        fill: (inputs, batch number): fills one batch of a pack; called in threads.
        shape: of a batch.
        first: number of the first batch.
        threads: how many packs are filled at a time.
        device: where packs lie, "pinned" or "cpu".
    """

    def __init__(self, fill: Callable[[Inputs, int], None], shape: Shape, first: int, threads: int, device: str = "pinned"):
        self._fill, self._next = fill, first
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="feed")
        self._ready: deque[Future[Pack]] = deque()
        for _ in range(threads + 2):
            self._start(Pack(shape, shape.pack, device), None)

    def take(self) -> Pack:
        """The next pack. `give_back` it, or it is gone."""
        return self._ready.popleft().result()

    def give_back(self, pack: Pack, free: Any) -> None:
        """Lets a pack be filled with later batches, once the event `free` has happened; None: it has."""
        self._start(pack, free)

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _start(self, pack: Pack, free: Any) -> None:
        self._ready.append(self._pool.submit(self._work, pack, free, self._next))
        self._next += len(pack.batches)

    def _work(self, pack: Pack, free: Any, first: int) -> Pack:
        if free is not None:
            free.synchronize()
        for k, inputs in enumerate(pack.batches, first):
            self._fill(inputs, k)
        return pack


def filler(stream: Stream, rank: int, processes: int) -> Callable[[Inputs, int], None]:
    """What fills a batch from a stream of samples in memory: this process's share of them, the rank-th of `processes` equal ones."""

    def fill(inputs: Inputs, k: int) -> None:
        count = inputs.shape.batch
        copy_samples(stream.split, stream.index(k)[rank * count : (rank + 1) * count], inputs)

    return fill


def copy_samples(split: Split, index: np.ndarray, inputs: Inputs) -> None:
    """Copies the samples at `index`: what `Inputs.fill` does with `split.batch(index)`, in place and without holding the interpreter's lock.

    Args:
        split: of fields of one column each; in memory, or mapped from disk.

    Raises:
        IndexError: compiled code would read or write beyond the arrays.
    """
    if len(index) != inputs.shape.batch or index.min() < 0 or index.max() >= len(split.labels):
        raise IndexError(f"{len(index)} samples up to number {index.max()}, for a batch of {inputs.shape.batch} of {len(split.labels)}")
    labels = np.asarray(split.labels)
    gather_rows(np.asarray(split.rows), index, inputs.rows.numpy())
    gather_values(labels, index, inputs.labels.numpy())
    if inputs.scale is not None:
        gather_scale(np.asarray(split.values), index, np.array(split.numeric), inputs.scale.numpy())
    if inputs.weights is not None:
        weigh(inputs.labels.numpy(), split.positive_weight, inputs.weights.numpy())


@numba.njit(nogil=True, cache=True)
def gather_rows(source: Any, index: Any, out: Any) -> None:
    """out[i] = source[index[i]]. source: [samples, n]; out: [batch, n]."""
    for i in range(len(index)):
        row = index[i]
        for j in range(out.shape[1]):
            out[i, j] = source[row, j]


@numba.njit(nogil=True, cache=True)
def gather_values(source: Any, index: Any, out: Any) -> None:
    """out[i] = source[index[i]]. source: [samples]; out: [batch]."""
    for i in range(len(index)):
        out[i] = source[index[i]]


@numba.njit(nogil=True, cache=True)
def gather_scale(values: Any, index: Any, columns: Any, out: Any) -> None:
    """out[i, columns] = values[index[i]], and 1 in other columns. values: [samples, numeric fields]; out: [batch, fields]."""
    out[...] = 1
    for i in range(len(index)):
        row = index[i]
        for j in range(len(columns)):
            out[i, columns[j]] = values[row, j]


@numba.njit(nogil=True, cache=True)
def weigh(labels: Any, positive: Any, out: Any) -> None:
    """out[i] = positive for a positive label, 1 for others."""
    for i in range(len(labels)):
        out[i] = positive if labels[i] > 0.5 else 1
