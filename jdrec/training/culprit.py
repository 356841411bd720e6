"""When the loss is no longer a number: where it comes from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jdrec.models.initial import EMBEDDING
from jdrec.training.data import Batch


def culprit(weights: Mapping[str, np.ndarray], batch: Batch, fields: tuple[str, ...]) -> str:
    """Names what is not finite in a batch, or else the field with the largest numbers.

    Args:
        weights: the model's, as `Adapter.weights` gives them.
        batch: the one with the bad loss.
        fields: the field that each column of the batch belongs to.
    """
    embedded = np.abs(weights[EMBEDDING][batch.rows]).max(2)
    if batch.scale is not None:
        with np.errstate(over="ignore", invalid="ignore"):
            embedded = embedded * np.abs(batch.scale)
    largest = embedded.max(0)  # of each column
    bad = [name for name, value in zip(fields, largest, strict=True) if not np.isfinite(value)]
    if bad:
        return f"the embeddings of {_named(bad)} are not finite"
    dense = [name for name, array in weights.items() if name != EMBEDDING and not np.isfinite(array).all()]
    if dense:
        return f"the weights {_named(dense)} are not finite"
    worst = int(np.argmax(largest))
    return f"the largest input is of field {fields[worst]}, {largest[worst]:.3g}"


def _named(items: list[str], most: int = 5) -> str:
    names = list(dict.fromkeys(items))
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
