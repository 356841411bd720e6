"""Models, each written once: `build(nn, spec)` takes the framework's modules as an argument.

A model maps one embedding a field to logits: (vectors float32 [n, fields, dim], weights float32 [n, fields]) -> float32 [n, 1]. `weights`
are the linear term's. Where the embedding table lives is the business of who calls it; a multi-valued field is pooled and a numeric one
scaled before.
"""

from __future__ import annotations

from typing import Any

from jdrec.models import dcn_v2, deepfm, finalmlp, fm, lr, wide_deep
from jdrec.models.spec import FieldSpec, ModelSpec

__all__ = ["BUILDERS", "FieldSpec", "ModelSpec", "build"]

BUILDERS = {
    "lr": lr.build,
    "fm": fm.build,
    "wide_deep": wide_deep.build,
    "deepfm": deepfm.build,
    "dcn_v2": dcn_v2.build,
    "finalmlp": finalmlp.build,
}


def build(nn: Any, spec: ModelSpec, **parts: Any) -> Any:
    """The model that `spec` names, made of the modules in `nn`.

    Args:
        nn: `jdrec.models.numpy_nn`, or `jdrec.models.namespace.namespace(framework)`.
        spec: sizes of the model.
        parts: `dnn`, where the model has one: a module [n, fields * dim] -> [n, 1] in place of the plain stack of layers.
    """
    return BUILDERS[spec.name](nn, spec, **parts)
