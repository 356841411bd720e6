"""Every model's formula written out sample by sample and pair by pair, in float64, for three fields of three numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from jdrec.features.spec import Encoding
from jdrec.models import FieldSpec, ModelSpec

FIELDS = (FieldSpec("price", Encoding.NUMERIC, 1), FieldSpec("brand", Encoding.HASH, 5), FieldSpec("age", Encoding.BUCKET, 4))
Parameters = Mapping[str, np.ndarray]


def spec(name: str, dropout: float = 0.2) -> ModelSpec:
    return ModelSpec(
        name, FIELDS, embedding_dim=3, dnn=(8, 6), dropout=dropout, cross_layers=2, second_dnn=(7, 4), heads=2, gates=((0, 2), ())
    )


DNN = {"dnn.0.weight": (8, 9), "dnn.0.bias": (8,), "dnn.3.weight": (6, 8), "dnn.3.bias": (6,), "dnn.6.weight": (1, 6), "dnn.6.bias": (1,)}
SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "lr": {"output.bias": (1,)},
    "fm": {"output.bias": (1,)},
    "wide_deep": DNN,
    "deepfm": DNN,
    "dcn_v2": {
        "cross.0.weight": (9, 9),
        "cross.0.bias": (9,),
        "cross.1.weight": (9, 9),
        "cross.1.bias": (9,),
        "cross_output.weight": (1, 9),
        "cross_output.bias": (1,),
        **DNN,
    },
    "finalmlp": {
        "first.0.weight": (8, 9),
        "first.0.bias": (8,),
        "first.3.weight": (6, 8),
        "first.3.bias": (6,),
        "second.0.weight": (7, 9),
        "second.0.bias": (7,),
        "second.3.weight": (4, 7),
        "second.3.bias": (4,),
        "first_output.weight": (1, 6),
        "first_output.bias": (1,),
        "second_output.weight": (1, 4),
        "fusion.0.weight": (2, 3),
        "fusion.1.weight": (2, 3),
        "gates.0.0.weight": (9, 6),
        "gates.0.0.bias": (9,),
        "gates.0.2.weight": (9, 9),
        "gates.0.2.bias": (9,),
    },
}


def parameters(name: str, dtype: type = np.float32) -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    return {key: random.normal(0, 0.5, shape).astype(dtype) for key, shape in SHAPES[name].items()}


def inputs(rows: int = 7, dtype: type = np.float32) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    return random.normal(size=(rows, 3, 3)).astype(dtype), random.normal(size=(rows, 3)).astype(dtype)


def by_hand(name: str, vectors: np.ndarray, weights: np.ndarray, values: Parameters) -> np.ndarray:
    """Logits float64 [n, 1]."""
    given = {key: value.astype(np.float64) for key, value in values.items()}
    return np.array([[_FORMULAS[name](v, w, given)] for v, w in zip(vectors.astype(np.float64), weights.astype(np.float64), strict=True)])


def _layers(h: np.ndarray, p: Parameters, names: list[str]) -> np.ndarray:
    for name in names:
        h = np.clip(p[f"{name}.weight"] @ h + p[f"{name}.bias"], 0, None)
    return h


def _dnn(v: np.ndarray, p: Parameters) -> float:
    h = _layers(np.concatenate(list(v)), p, ["dnn.0", "dnn.3"])
    return float((p["dnn.6.weight"] @ h + p["dnn.6.bias"])[0])


def _pairs(v: np.ndarray) -> float:
    return float(v[0] @ v[1] + v[0] @ v[2] + v[1] @ v[2])


def _dcn_v2(v: np.ndarray, w: np.ndarray, p: Parameters) -> float:
    first = x = np.concatenate(list(v))
    for name in ("cross.0", "cross.1"):
        x = first * (p[f"{name}.weight"] @ x + p[f"{name}.bias"]) + x
    return float((p["cross_output.weight"] @ x + p["cross_output.bias"])[0]) + _dnn(v, p)


def _finalmlp(v: np.ndarray, w: np.ndarray, p: Parameters) -> float:
    flat, context = np.concatenate(list(v)), np.concatenate([v[0], v[2]])
    h = _layers(context, p, ["gates.0.0"])
    gate = 2 / (1 + np.exp(-(p["gates.0.2.weight"] @ h + p["gates.0.2.bias"])))
    one = _layers(flat * gate, p, ["first.0", "first.3"])
    two = _layers(flat, p, ["second.0", "second.3"])
    y = p["first_output.weight"] @ one + p["first_output.bias"] + p["second_output.weight"] @ two
    return float(y[0] + (p["fusion.0.weight"] @ one[:3]) @ two[:2] + (p["fusion.1.weight"] @ one[3:]) @ two[2:])


_FORMULAS: dict[str, Callable[[np.ndarray, np.ndarray, Parameters], float]] = {
    "lr": lambda v, w, p: float(w[0] + w[1] + w[2] + p["output.bias"][0]),
    "fm": lambda v, w, p: float(w[0] + w[1] + w[2] + _pairs(v) + p["output.bias"][0]),
    "wide_deep": lambda v, w, p: float(w[0] + w[1] + w[2]) + _dnn(v, p),
    "deepfm": lambda v, w, p: float(w[0] + w[1] + w[2]) + _pairs(v) + _dnn(v, p),
    "dcn_v2": _dcn_v2,
    "finalmlp": _finalmlp,
}
