"""Factorization machine: Rendle, "Factorization Machines", ICDM 2010."""

from __future__ import annotations

from typing import Any

from jdrec.models.layers import pairwise
from jdrec.models.spec import ModelSpec


def build(nn: Any, spec: ModelSpec) -> Any:
    """logits = sum of the fields' weights + dot products of all pairs of fields + bias."""

    class FM(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.output = nn.Bias()

        def forward(self, vectors: Any, weights: Any) -> Any:
            return self.output((weights.sum(1) + pairwise(nn, vectors)).reshape(-1, 1))

    return FM()
