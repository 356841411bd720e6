"""Logistic regression: Richardson et al., "Predicting Clicks: Estimating the Click-Through Rate for New Ads", WWW 2007."""

from __future__ import annotations

from typing import Any

from jdrec.models.spec import ModelSpec


def build(nn: Any, spec: ModelSpec) -> Any:
    """logits = sum of the fields' weights + bias. It has no vectors: its `embedding_dim` is 0."""

    class LR(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.output = nn.Bias()

        def forward(self, vectors: Any, weights: Any) -> Any:
            return self.output(weights.sum(1).reshape(-1, 1))

    return LR()
