"""What a killed training goes on from: weights, optimizer and the loop's own state, of one moment, in one folder."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from jdrec import files
from jdrec.config import TrainerConfig
from jdrec.dataset.fingerprint import content_hash
from jdrec.errors import StageError
from jdrec.training.checkpoint import DESCRIPTION, WEIGHTS

log = logging.getLogger(__name__)

_ARRAYS, _REST = "state.safetensors", "state.json"
_WEIGHTS, _STATE = "weights.", "state."


@dataclass(frozen=True)
class Snapshot:
    """A moment of a training: `loop` is plain JSON."""

    loop: dict[str, Any]
    weights: dict[str, np.ndarray]
    state: dict[str, np.ndarray]


class SnapshotFolder:
    """Keeps the newest snapshot.

    Args:
        folder: it is there when a snapshot is, whole.
        key: of what is trained; snapshots of another key are not for it.
    """

    def __init__(self, folder: Path, key: str):
        self.folder, self.key = folder, key

    def save(self, loop: dict[str, Any], weights: Mapping[str, np.ndarray], state: Mapping[str, np.ndarray]) -> None:
        from safetensors.numpy import save_file

        arrays = {f"{_WEIGHTS}{name}": array for name, array in weights.items()} | {
            f"{_STATE}{name}": array for name, array in state.items()
        }
        with files.replacing_folder(self.folder) as staged:
            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, staged / _ARRAYS)
            (staged / _REST).write_text(json.dumps({"key": self.key, "loop": loop}), encoding="utf-8")

    def load(self) -> Snapshot | None:
        """The snapshot, if there is one of this training."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        if not (self.folder / _REST).is_file():
            return None
        try:
            rest, arrays = json.loads((self.folder / _REST).read_text(encoding="utf-8")), load_file(self.folder / _ARRAYS)
        except (ValueError, OSError, SafetensorError) as error:
            log.warning("%s cannot be read, training starts anew: %s", self.folder, error)
            return None
        if rest["key"] != self.key:
            log.warning("%s is of another training, this one starts anew", self.folder)
            return None
        parts = [{n.removeprefix(p): a for n, a in arrays.items() if n.startswith(p)} for p in (_WEIGHTS, _STATE)]
        return Snapshot(rest["loop"], *parts)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def with_start_by_content(trainer: TrainerConfig) -> TrainerConfig:
    """The configuration with the content of `start_from`, a hash, in place of its path: what decides a training's result.

    Raises:
        StageError: there is no such checkpoint.
    """
    if trainer.start_from is None:
        return trainer
    folder = require_start(trainer.start_from)
    found = [content_hash(folder / name) for name in (DESCRIPTION, WEIGHTS)]
    return msgspec.structs.replace(trainer, start_from=" ".join(found))


def require_start(checkpoint: str) -> Path:
    """The folder of the checkpoint that `start_from` names.

    Raises:
        StageError: it is none.
    """
    folder = Path(checkpoint)
    for name in (DESCRIPTION, WEIGHTS):
        if not (folder / name).is_file():
            raise StageError(f"{folder} is not a checkpoint: {name} is missing.", where="trainer.start_from")
    return folder


def training_key(*parts: bytes) -> str:
    """A key of what decides a training's result."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:32]
