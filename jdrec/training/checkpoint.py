"""A checkpoint: a folder with model.safetensors (weights and known ids) and checkpoint.json (what they are).

It is written beside its place and renamed into it, so a checkpoint that exists is whole. Nothing in it is executed when it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from jdrec import files
from jdrec.errors import StageError
from jdrec.models.spec import ModelSpec
from jdrec.training.vocabulary import Vocabulary

FORMAT = 1
WEIGHTS, DESCRIPTION = "model.safetensors", "checkpoint.json"
KNOWN_IDS = "vocabulary.ids"  # int64, all fields one after the other


class TrainingState(msgspec.Struct, frozen=True):
    """Where training stood."""

    step: int  # batches done
    epoch: float  # passes over the training split
    seed: int
    framework: str
    device: str
    metrics: Mapping[str, float | None]  # of the validation split; empty before the first evaluation; NaN is null in the file
    versions: dict[str, str]
    logit_shift: float = 0.0  # to add to the network's logits: what class weights and left out negatives took from probabilities


class _Description(msgspec.Struct, frozen=True):
    format: int
    model: ModelSpec
    training: TrainingState


@dataclass(frozen=True)
class Checkpoint:
    """A model with its weights (float32 by parameter name), its vocabulary and where it comes from."""

    model: ModelSpec
    vocabulary: Vocabulary
    weights: dict[str, np.ndarray]
    training: TrainingState

    def save(self, folder: Path, extra: Callable[[Path], object] | None = None) -> None:
        """Writes the checkpoint, replacing one of that name; `extra` may add files to its folder."""
        from safetensors.numpy import save_file

        with files.replacing_folder(folder) as staged:
            save_file({**self.weights, KNOWN_IDS: self.vocabulary.flat()}, staged / WEIGHTS)
            description = msgspec.json.encode(_Description(FORMAT, self.model, self.training))
            (staged / DESCRIPTION).write_bytes(msgspec.json.format(description) + b"\n")
            if extra is not None:
                extra(staged)

    @classmethod
    def load(cls, folder: Path) -> Checkpoint:
        """Reads a checkpoint.

        Raises:
            StageError: it is missing, damaged, or of another version of the format.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        if not (folder / DESCRIPTION).is_file():
            raise StageError(f"{folder} is not a checkpoint: {DESCRIPTION} is missing.", hint="Run task=train first.")
        try:
            description = msgspec.json.decode((folder / DESCRIPTION).read_bytes(), type=_Description)
            weights = load_file(folder / WEIGHTS)
        except (msgspec.DecodeError, SafetensorError, OSError) as error:
            raise StageError(f"{folder} cannot be read as a checkpoint: {error}") from None
        if description.format != FORMAT:
            raise StageError(f"{folder} has checkpoint format {description.format}; this version reads {FORMAT}.", hint="Train again.")
        model, known = description.model, weights.pop(KNOWN_IDS)
        vocabulary = Vocabulary.from_flat(
            tuple(field.name for field in model.fields),
            tuple(field.encoding for field in model.fields),
            [field.rows - 1 for field in model.fields],
            known,
            tuple(field.slots for field in model.fields),
        )
        return cls(model, vocabulary, weights, description.training)
