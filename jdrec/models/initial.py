"""Initial weights. They are drawn with NumPy, so that every framework starts from the same ones for a seed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jdrec.models.spec import ModelSpec

EMBEDDING_STD = 1e-4  # the tutorial's
EMBEDDING = "embedding.weight"  # float32 [rows, dim + 1]: a field's vector, then its weight in the linear term


def initial_weights(spec: ModelSpec, shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    """Weights of an untrained model, float32.

    Embeddings are normal(0, 1e-4), matrices Xavier normal (Glorot and Bengio, 2010), biases zero.

    Args:
        spec: the model.
        shapes: parameter name to shape, of all but the embedding.
        seed: of the draw.
    """
    table, *others = np.random.SeedSequence(seed).spawn(1 + len(shapes))
    weights = {EMBEDDING: _normal(table, (spec.rows, spec.embedding_dim + 1), EMBEDDING_STD)}
    for (name, shape), child in zip(shapes.items(), others, strict=True):
        if len(shape) == 1:
            weights[name] = np.zeros(shape, np.float32)
        else:
            weights[name] = _normal(child, shape, np.sqrt(2.0 / sum(shape)))
    return weights


def _normal(seed: np.random.SeedSequence, shape: tuple[int, ...], std: float) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal(shape, np.float32)
    values *= np.float32(std)
    return values
