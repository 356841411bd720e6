"""What the training loop needs from a framework."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, SupportsFloat

import numpy as np

from jdrec.training.data import Batch


class Adapter(Protocol):
    """A model in a framework, with its optimizer."""

    framework: str  # name and version
    device: str  # "cpu" or "cuda"
    is_main: bool  # whether this process writes files and logs; the others only compute

    def train_batch(self, batch: Batch, learning_rate: float) -> SupportsFloat:
        """One step of the optimizer. Returns the batch's mean logloss before it, which may be fetched only when it is asked for."""

    def logits(self, batch: Batch) -> np.ndarray:
        """Logits float32 [n] with dropout off."""

    def weights(self) -> dict[str, np.ndarray]:
        """All parameters by name, float32: those of `jdrec.models.initial`."""

    def save_graph(self, folder: Path) -> bool:
        """Saves what a Triton backend of the framework's own runs; False if there is no such thing."""
