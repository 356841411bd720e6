"""DeepFM: Guo et al., "DeepFM: A Factorization-Machine based Neural Network for CTR Prediction", arXiv 1703.04247."""

from __future__ import annotations

from typing import Any

from jdrec.models.spec import ModelSpec


def build(nn: Any, spec: ModelSpec, dnn: Any = None) -> Any:
    """A DeepFM made of the modules in `nn`: oneflow.nn, torch.nn or jdrec.models.numpy_nn.

    The module maps one embedding a field to logits; where the embedding table lives is the business of who calls it.

    Args:
        nn: namespace with Module, Linear, ReLU, Dropout and Sequential.
        spec: sizes of the model.
        dnn: a module [batch, fields * dim] -> [batch, 1] in place of the plain stack of layers, e.g. a fused one.

    Returns:
        A module: (vectors float32 [batch, fields, dim], weights float32 [batch, fields], scale float32 [batch, fields] or None)
        -> logits float32 [batch, 1]. `weights` are the linear term's. `scale` multiplies a numeric field's embedding by its value
        (and an id's by one); None when every field is an id.
    """
    fields, dim = len(spec.fields), spec.embedding_dim

    class DeepFM(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dnn = _dnn(nn, fields * dim, spec.dnn, spec.dropout) if dnn is None else dnn

        def forward(self, vectors: Any, weights: Any, scale: Any = None) -> Any:
            if scale is not None:
                vectors = vectors * scale.reshape(-1, fields, 1)
                weights = weights * scale
            linear = weights.sum(1)
            total = vectors.sum(1)
            # The sum over all pairs of dot products, in time linear in the number of fields (equation 2 of the FM paper).
            pairwise = (total * total - (vectors * vectors).sum(1)).sum(1) * 0.5
            return (linear + pairwise).reshape(-1, 1) + self.dnn(vectors.reshape(-1, fields * dim))

    return DeepFM()


def _dnn(nn: Any, width: int, hidden: tuple[int, ...], dropout: float) -> Any:
    layers = []
    for units in hidden:
        # Dropout is there even at rate 0, so that a layer's name does not depend on it.
        layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(dropout)]
        width = units
    return nn.Sequential(*layers, nn.Linear(width, 1))
