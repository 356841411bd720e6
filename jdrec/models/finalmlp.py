"""FinalMLP: Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction", AAAI 2023, arXiv 2304.00902."""

from __future__ import annotations

from typing import Any

from jdrec.models.layers import hidden
from jdrec.models.spec import ModelSpec


def build(nn: Any, spec: ModelSpec) -> Any:
    """Two streams of hidden layers over all vectors, fused: logits = w1 o1 + w2 o2 + sum over heads of o1_h' W_h o2_h + bias.

    A stream whose gate names fields sees the vectors times 2 sigmoid(network over those fields' vectors): the paper's
    stream-specific feature selection.
    """
    first, second = spec.dnn, spec.second_dnn or spec.dnn
    left, right = (units[-1] if units else spec.width for units in (first, second))
    heads = spec.heads
    if left % heads or right % heads:
        raise ValueError(f"{heads} heads do not divide streams of {left} and {right} units")

    def gate(fields: tuple[int, ...]) -> Any:
        context = len(fields) * spec.embedding_dim
        return nn.Sequential(nn.Linear(context, spec.width), nn.ReLU(), nn.Linear(spec.width, spec.width), nn.Sigmoid())

    class FinalMLP(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Sequential(*hidden(nn, spec.width, first, spec.dropout))
            self.second = nn.Sequential(*hidden(nn, spec.width, second, spec.dropout))
            self.first_output, self.second_output = nn.Linear(left, 1), nn.Linear(right, 1, bias=False)
            self.fusion = nn.Sequential(*(nn.Linear(left // heads, right // heads, bias=False) for _ in range(heads)))
            self.gates = nn.Sequential(*(gate(fields) for fields in spec.gates if fields))

        def forward(self, vectors: Any, weights: Any) -> Any:
            flat = vectors.reshape(-1, spec.width)
            gates = iter(self.gates)
            inputs = []
            for fields in spec.gates:
                if fields:
                    context = vectors[:, list(fields)].reshape(-1, len(fields) * spec.embedding_dim)
                    inputs.append(flat * next(gates)(context) * 2.0)
                else:
                    inputs.append(flat)
            one, two = self.first(inputs[0]), self.second(inputs[1])
            logits = self.first_output(one) + self.second_output(two)
            a, b = left // heads, right // heads
            for h, bilinear in enumerate(self.fusion):
                product = bilinear(one[:, h * a : (h + 1) * a]) * two[:, h * b : (h + 1) * b]
                logits = logits + product.sum(1).reshape(-1, 1)
            return logits

    return FinalMLP()
