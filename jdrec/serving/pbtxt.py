"""Renders config.pbtxt, Triton's description of the model, from the number of fields and `serving.triton`.

The contract is the tutorial's: INPUT_0, INT64 [fields], and OUTPUT_0, FP32 [1]. Source: Triton's ModelConfig message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jdrec import templating
from jdrec.config import TritonConfig
from jdrec.errors import ConfigError
from jdrec.paths import TEMPLATES

if TYPE_CHECKING:
    from jdrec.features.spec import FeatureSet

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quote(text: str) -> str:
    """A string of protobuf's text format; whatever is in it stays inside the quotes."""
    characters = (_ESCAPES.get(c, c if c >= " " and c != "\x7f" else f"\\{ord(c):03o}") for c in text)
    return f'"{"".join(characters)}"'


def render(feature_set: FeatureSet, triton: TritonConfig) -> str:
    """The text of config.pbtxt.

    Raises:
        ConfigError: the model has no field, or values of `serving.triton` contradict each other.
    """
    fields = sum(feature.slots for feature in feature_set.fields)
    _check(fields, triton)
    values = {name: getattr(triton, name) for name in triton.__struct_fields__}
    return templating.render(TEMPLATES / "triton", "config.pbtxt.j2", {**values, "fields": fields}, {"quote": quote})


def _check(fields: int, triton: TritonConfig) -> None:
    where = "serving.triton"
    if not fields:
        raise ConfigError(
            "No feature is a field of the model.", where="features.features", hint="Give some a kind: numeric or categorical."
        )
    if triton.gpus and triton.instance_kind != "KIND_GPU":
        raise ConfigError(
            f"gpus {triton.gpus} make no sense with {triton.instance_kind}.", where=f"{where}.gpus", hint="Empty it, or use KIND_GPU."
        )
    if triton.persistent_table_path is not None and triton.backend != "oneflow":
        raise ConfigError(
            f"The {triton.backend} backend has no OneEmbedding table.",
            where=f"{where}.persistent_table_path",
            hint="Leave it out, or use serving=triton_oneflow.",
        )
    batching = triton.dynamic_batching
    too_large = [size for size in batching.preferred_batch_sizes if not 1 <= size <= triton.max_batch_size] if batching else []
    if too_large:
        raise ConfigError(
            f"{too_large[0]} is not between 1 and max_batch_size={triton.max_batch_size}.",
            where=f"{where}.dynamic_batching.preferred_batch_sizes",
        )
