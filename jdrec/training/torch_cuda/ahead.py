"""A stream whose batches are gathered ahead of their use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jdrec.training.torch_cuda.feed import Feed, filler
from jdrec.training.torch_cuda.inputs import Pack, Shape
from jdrec.training.torch_cuda.processes import Processes

if TYPE_CHECKING:
    from jdrec.training.adapter import Stream

_THREADS = 8  # that gather batches; they wait for memory, not for each other


class Upcoming(NamedTuple):
    """A batch in a pack; the feed wants the pack back after its last batch."""

    pack: Pack
    position: int
    feed: Feed

    @property
    def is_last(self) -> bool:
        """Whether the pack has no later one."""
        return self.position + 1 == len(self.pack.batches)


class FetchedAhead:
    """A `Stream` for `FastAdapter.train_batch`: this process's share of each batch.

    Args:
        stream: samples in memory, and their order.
        batch: samples a step, of this process.
        processes: who takes part.
    """

    def __init__(self, stream: Stream, batch: int, processes: Processes):
        split = self.split = stream.split
        self.batch_size = stream.batch_size
        scaled = split.values is not None
        self._shape = Shape(batch, split.rows.shape[1], scaled, split.positive_weight != 1)
        self._stream, self._group = stream, processes
        self._feed: Feed | None = None
        self._first = self._next = -1

    def index(self, k: int) -> np.ndarray:
        """Samples of batch k, of all processes."""
        return self._stream.index(k)

    def batch(self, k: int) -> Any:
        """Batch k, an `Upcoming`. To be asked for in order, though the first may be any."""
        if self._feed is None or k != self._next:
            self._restart(k)
        assert self._feed is not None
        position = (k - self._first) % self._shape.pack
        if position == 0:
            self._pack = self._feed.take()
        self._next = k + 1
        return Upcoming(self._pack, position, self._feed)

    def _restart(self, k: int) -> None:
        if self._feed is not None:
            self._feed.close()
        where = "pinned" if self._group.device.type == "cuda" else "cpu"
        self._feed = Feed(filler(self._stream, self._group.rank, self._group.count), self._shape, k, _THREADS, where)
        self._first = k
