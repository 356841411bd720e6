"""Scores from a checkpoint with NumPy alone: what Triton's Python backend runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jdrec.models import build, numpy_nn
from jdrec.models.initial import EMBEDDING
from jdrec.training.checkpoint import Checkpoint
from jdrec.training.sigmoid import sigmoid


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
        self._table, self._logit_shift = loaded.weights[EMBEDDING], np.float32(loaded.training.logit_shift)
        self._starts = np.flatnonzero(np.diff(self.spec.field_of_column, prepend=-1))  # first column of each field
        self._model = build(numpy_nn, self.spec)
        self._model.load_state_dict(loaded.weights)

    def scores(self, ids: np.ndarray) -> np.ndarray:
        """Probabilities of a positive label.

        Args:
            ids: int64 [rows, columns] as the encoder makes them: 64-bit ids; a numeric field is the bit pattern of its standardised
                float64; a multi-valued field has several columns.

        Returns:
            float32 [rows, 1].
        """
        ids = np.ascontiguousarray(ids, np.int64)
        if ids.ndim != 2 or ids.shape[1] != self.spec.columns:
            raise ValueError(f"ids have shape {ids.shape}, the model needs [rows, {self.spec.columns}]")
        columns = self.vocabulary.columns_of(ids)
        shares = self.vocabulary.shares(columns)
        scale = None
        if self.spec.numeric or shares:
            scale = np.ones(ids.shape, np.float32)
            numeric = list(self.spec.numeric)
            scale[:, numeric] = ids[:, numeric].view(np.float64)
            for first, share in shares:
                scale[:, first : first + share.shape[1]] = share
        return sigmoid(self.logits(self.vocabulary.rows_of(columns), scale))

    def logits(self, rows: np.ndarray, scale: np.ndarray | None = None) -> np.ndarray:
        """Logits float32 [n, 1] of rows of the embedding table [n, columns], each multiplied by its scale [n, columns]."""
        embedded = self._table[rows]
        if scale is not None:
            embedded *= scale[..., None]
        if len(self._starts) < embedded.shape[1]:
            embedded = np.add.reduceat(embedded, self._starts, axis=1)
        return self._model(embedded[..., :-1], embedded[..., -1]) + self._logit_shift
