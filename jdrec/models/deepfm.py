"""DeepFM: Guo et al., "DeepFM: A Factorization-Machine based Neural Network for CTR Prediction", arXiv 1703.04247."""

from __future__ import annotations

from typing import Any

from jdrec.models import layers
from jdrec.models.spec import ModelSpec


def build(nn: Any, spec: ModelSpec, dnn: Any = None) -> Any:
    """logits = sum of the fields' weights + dot products of all pairs of fields + network over the vectors."""

    class DeepFM(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dnn = layers.dnn(nn, spec) if dnn is None else dnn

        def forward(self, vectors: Any, weights: Any) -> Any:
            factorized = weights.sum(1) + layers.pairwise(nn, vectors)
            return factorized.reshape(-1, 1) + self.dnn(vectors.reshape(-1, spec.width))

    return DeepFM()
