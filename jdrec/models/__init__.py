"""Models, each written once: `build(nn, spec)` takes the framework's modules as an argument."""

from __future__ import annotations

from typing import Any

from jdrec.models import deepfm
from jdrec.models.spec import FieldSpec, ModelSpec

__all__ = ["BUILDERS", "FieldSpec", "ModelSpec", "build"]

BUILDERS = {"deepfm": deepfm.build}


def build(nn: Any, spec: ModelSpec, **parts: Any) -> Any:
    """The model that `spec` names, made of the modules in `nn`."""
    return BUILDERS[spec.name](nn, spec, **parts)
