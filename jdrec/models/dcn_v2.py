"""DCN-V2: Wang et al., "DCN V2: Improved Deep & Cross Network", arXiv 2008.13535; full-rank crosses, parallel to the network."""

from __future__ import annotations

from typing import Any

from jdrec.models import layers
from jdrec.models.spec import ModelSpec


def build(nn: Any, spec: ModelSpec, dnn: Any = None) -> Any:
    """x_0 = all vectors; x_{l+1} = x_0 * (W_l x_l + b_l) + x_l; logits = linear in the last x + network over the vectors.

    One output layer over both parts put side by side, as the paper has it, is the sum of an output layer each.
    """

    class DCNV2(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cross = nn.Sequential(*(nn.Linear(spec.width, spec.width) for _ in range(spec.cross_layers)))
            self.cross_output = nn.Linear(spec.width, 1)
            self.dnn = layers.dnn(nn, spec) if dnn is None else dnn

        def forward(self, vectors: Any, weights: Any) -> Any:
            first = crossed = vectors.reshape(-1, spec.width)
            for layer in self.cross:
                crossed = first * layer(crossed) + crossed
            return self.cross_output(crossed) + self.dnn(first)

    return DCNV2()
