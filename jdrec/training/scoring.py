"""Scores from a checkpoint with NumPy alone: what Triton's Python backend runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jdrec.models import build, numpy_nn
from jdrec.models.initial import EMBEDDING
from jdrec.training.checkpoint import Checkpoint
from jdrec.training.metrics import sigmoid


class Scorer:
    """A trained model, ready to score. Safe to use from several threads.

    Args:
        checkpoint: folder of the checkpoint.

    Raises:
        StageError: it cannot be read.
    """

    def __init__(self, checkpoint: Path | Checkpoint):
        loaded = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint.load(Path(checkpoint))
        self.spec, self.vocabulary = loaded.model, loaded.vocabulary
        self._table = loaded.weights[EMBEDDING]
        self._model = build(numpy_nn, self.spec)
        self._model.load_state_dict(loaded.weights)

    def scores(self, ids: np.ndarray) -> np.ndarray:
        """Probabilities of a positive label.

        Args:
            ids: int64 [rows, fields] as the encoder makes them: 64-bit ids; a numeric field is the bit pattern of its standardised
                float64.

        Returns:
            float32 [rows, 1].
        """
        ids = np.ascontiguousarray(ids, np.int64)
        if ids.ndim != 2 or ids.shape[1] != len(self.spec.fields):
            raise ValueError(f"ids have shape {ids.shape}, the model needs [rows, {len(self.spec.fields)}]")
        scale = None
        if self.spec.numeric:
            columns = list(self.spec.numeric)
            scale = np.ones(ids.shape, np.float32)
            scale[:, columns] = ids[:, columns].view(np.float64)
        return sigmoid(self.logits(self.vocabulary.rows_of(tuple(ids.T)), scale))

    def logits(self, rows: np.ndarray, scale: np.ndarray | None = None) -> np.ndarray:
        """Logits float32 [n, 1] of rows of the embedding table [n, fields], with values of numeric fields in scale [n, fields]."""
        embedded = self._table[rows]
        return self._model(embedded[..., :-1], embedded[..., -1], scale)
