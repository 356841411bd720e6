"""The order in which samples are trained on: an endless stream of shuffled epochs, of which any part can be asked for.

Samples in memory are permuted as a whole. Samples on disk are cut into blocks of neighbours; blocks in random order make windows, and the samples of a
window are permuted. So a window's samples lie in long pieces, come from all over the split, and every sample is in one window of an epoch. Where
blocks begin, which of them share a window and the order inside are new in every epoch. All of it follows from the seed and the epoch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

BLOCK = 4096  # most neighbouring samples that share a window; they are read in one piece
LEAST_BLOCKS = 64  # of a window


@dataclass(frozen=True)
class Window:
    """Some samples of an epoch, in their shuffled order.

    Attributes:
        first: how many samples of the epoch come before it.
        pieces: int64 [k, 2], begin and end of the runs of samples that it is made of.
        samples: int64 [n].
    """

    first: int
    pieces: np.ndarray
    samples: np.ndarray


class Order:
    """See the module.

    Args:
        count: samples of the split.
        seed: of everything.
        window: samples that mix; None or more than `count`: all.
        coming, going: told the pieces of a window that will be asked for next, and of one that is not any more.
    """

    def __init__(
        self,
        count: int,
        seed: int,
        window: int | None = None,
        coming: Callable[[np.ndarray], None] | None = None,
        going: Callable[[np.ndarray], None] | None = None,
    ):
        self.count, self.seed = count, seed
        self.block = max(1, min(BLOCK, (window or 0) // LEAST_BLOCKS))
        self.per_window = None if window is None or window >= count else window // self.block
        self._coming, self._going = coming, going
        self._windows: dict[tuple[int, int], Future[Window]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, "order")
        self._plan = lru_cache(3)(self._make_plan)

    def index(self, start: int, end: int) -> np.ndarray:
        """int64 [end - start]: the samples at these places of the endless stream. Several threads may ask."""
        parts = []
        while start < end:
            epoch, offset = divmod(start, self.count)
            window = self._window(epoch, offset)
            begin = offset - window.first
            part = window.samples[begin : begin + end - start]
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _window(self, epoch: int, offset: int) -> Window:
        number = int(np.searchsorted(self._plan(epoch)[1], offset, "right")) - 1
        with self._lock:
            wanted = self._get(epoch, number)
            if self.per_window is not None:
                last = number + 1 == len(self._plan(epoch)[1])
                following = (epoch + 1, 0) if last else (epoch, number + 1)
                self._get(*following)
                for key in [key for key in self._windows if key < (epoch, number)][:-1]:  # the one before: threads may be at its end
                    self._forget(key)
            else:
                if 2 * offset > self.count:  # nobody should wait for the next epoch's permutation
                    self._get(epoch + 1, 0)
                for key in [key for key in self._windows if key < (epoch - 1, 0)]:
                    self._forget(key)
        return wanted.result()

    def _get(self, epoch: int, number: int) -> Future[Window]:
        key = (epoch, number)
        if key not in self._windows:
            self._windows[key] = self._pool.submit(self._make, epoch, number)
        return self._windows[key]

    def _forget(self, key: tuple[int, int]) -> None:
        window = self._windows.pop(key)
        if self._going is not None and window.done():
            self._going(window.result().pieces)

    def _make(self, epoch: int, number: int) -> Window:
        pieces, firsts = self._plan(epoch)
        if self.per_window is None:
            return Window(0, pieces, np.random.default_rng((self.seed, epoch)).permutation(self.count))
        chosen = _parts(pieces, self.per_window)[number]
        if self._coming is not None:
            self._coming(chosen)
        samples = np.concatenate([np.arange(begin, end, dtype=np.int64) for begin, end in chosen.tolist()])
        np.random.default_rng((self.seed, epoch, number + 1)).shuffle(samples)
        return Window(int(firsts[number]), chosen, samples)

    def _make_plan(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """(blocks int64 [blocks, 2] in their order, first place of each window in the epoch)."""
        if self.per_window is None:
            return np.array([[0, self.count]]), np.zeros(1, np.int64)
        random = np.random.default_rng((self.seed, epoch))
        bounds = np.arange(int(random.integers(self.block)), self.count, self.block)
        bounds = np.unique(np.concatenate([[0], bounds, [self.count]]))
        pieces = random.permutation(np.stack([bounds[:-1], bounds[1:]], axis=1))
        sizes = [int((part[:, 1] - part[:, 0]).sum()) for part in _parts(pieces, self.per_window)]
        return pieces, np.cumsum([0, *sizes[:-1]])


def _parts(pieces: np.ndarray, most: int) -> list[np.ndarray]:
    """The pieces in as few parts of at most so many as there can be, all of about the same size: a small last one would hardly mix."""
    return np.array_split(pieces, -(-len(pieces) // most))
