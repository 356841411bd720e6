"""What several models share."""

from __future__ import annotations

from typing import Any

from jdrec.models.spec import ModelSpec


def hidden(nn: Any, width: int, units: tuple[int, ...], dropout: float) -> list[Any]:
    """Hidden layers as a list of modules, three a layer: the linear map, ReLU, dropout (at rate 0, too, so that names do not depend on it)."""
    layers = []
    for count in units:
        layers += nn.hidden(width, count, dropout)
        width = count
    return layers


def dnn(nn: Any, spec: ModelSpec) -> Any:
    """The usual network over all vectors: [n, fields * dim] -> [n, 1]."""
    last = spec.dnn[-1] if spec.dnn else spec.width
    return nn.Sequential(*hidden(nn, spec.width, spec.dnn, spec.dropout), nn.Linear(last, 1))


def pairwise(nn: Any, vectors: Any) -> Any:
    """The sum over all pairs of fields of their vectors' dot products, [n], in time linear in the number of fields.

    Rendle, "Factorization Machines", ICDM 2010, equation 5. A namespace may have it as one operation.
    """
    if hasattr(nn, "pairwise"):
        return nn.pairwise(vectors)
    total = vectors.sum(1)
    return (total * total - (vectors * vectors).sum(1)).sum(1) * 0.5
