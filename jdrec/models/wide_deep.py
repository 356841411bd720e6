"""Wide & Deep: Cheng et al., "Wide & Deep Learning for Recommender Systems", arXiv 1606.07792.

The wide part sees the fields themselves. The paper's crossed columns are features here: a key of several columns is one.
"""

from __future__ import annotations

from typing import Any

from jdrec.models import layers
from jdrec.models.spec import ModelSpec


def build(nn: Any, spec: ModelSpec, dnn: Any = None) -> Any:
    """logits = sum of the fields' weights + network over the vectors."""

    class WideDeep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dnn = layers.dnn(nn, spec) if dnn is None else dnn

        def forward(self, vectors: Any, weights: Any) -> Any:
            return weights.sum(1).reshape(-1, 1) + self.dnn(vectors.reshape(-1, spec.width))

    return WideDeep()
