"""What the training loop needs from a framework."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, SupportsFloat

import numpy as np

from jdrec.training.data import Batch, Split


class Stream(Protocol):
    """Numbered batches of a split; batch k is the same whenever it is asked for. `index` says which samples it has."""

    split: Split
    batch_size: int

    def batch(self, k: int) -> Batch: ...

    def index(self, k: int) -> np.ndarray: ...


class Adapter(Protocol):
    """A model in a framework, with its table and its optimizer.

    Dropout of batch k depends on the seed and k alone, so there is no random state to save.
    """

    framework: str  # name and version
    device: str  # "cpu" or "cuda"
    is_main: bool  # whether this process writes files and logs; the others only compute

    def batches(self, stream: Stream) -> Stream:
        """The batches of `stream`, for `train_batch` in order: the stream itself, or one that fetches ahead."""

    def train_batch(self, batch: Batch, learning_rate: float) -> SupportsFloat:
        """One step of the optimizer. Returns the batch's weighted logloss before it, which may be fetched only when it is asked for."""

    def logits(self, batch: Batch) -> np.ndarray:
        """Logits float32 [n] with dropout off."""

    def weights(self) -> dict[str, np.ndarray]:
        """All parameters by name, float32: those of `jdrec.models.initial`."""

    def state(self) -> dict[str, np.ndarray]:
        """What else the next step depends on: steps done, the optimizer's averages."""

    def load(self, weights: Mapping[str, np.ndarray], state: Mapping[str, np.ndarray] | None = None) -> None:
        """Takes weights, and a state that `state` gave; without one the optimizer starts anew."""

    def profiler(self, folder: Path) -> AbstractContextManager:
        """Records the steps inside and leaves traces in `folder`."""

    def save_graph(self, folder: Path) -> bool:
        """Saves what a Triton backend of the framework's own runs; False if there is no such thing."""
