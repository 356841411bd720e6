"""A model a fold: what `preprocess.folds` has split is trained and tested one by one."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np

from jdrec.config import EvaluateConfig, ModelConfig, TrainerConfig
from jdrec.errors import JdrecError
from jdrec.progress import Progress
from jdrec.training.evaluation import evaluate
from jdrec.training.run import finished, train

log = logging.getLogger(__name__)

# 97.5 % quantiles of Student's t of 1, 2, ... degrees of freedom.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093)


def fold_folders(samples: Path) -> list[Path]:
    """The samples folders of the folds, in order; none without preprocess.folds."""
    return sorted((samples / "folds").glob("[0-9]*"), key=lambda folder: int(folder.name))


def train_folds(
    model: ModelConfig, trainer: TrainerConfig, samples: Path, out: Path, *, seed: int, progress: Progress, evaluate: EvaluateConfig
) -> bool:
    """Trains a model on each fold, into `out`/1, 2, ...; one that is there is kept.

    Returns:
        Whether all are done; False after Ctrl-C.

    Raises:
        JdrecError: as `train` does, the fold named.
    """
    folders = fold_folders(samples)
    for folder in folders:
        title, place = f"fold {folder.name} of {len(folders)}", out / folder.name
        if finished(place):
            log.info("%s: kept from before", title)
            continue
        try:
            report = train(model, trainer, folder, place, seed=seed, progress=progress, evaluate=evaluate, title=title)
        except JdrecError as error:
            error.message = f"{title}: {error.message}"
            raise
        log.info("%s: %s", title, report.summary())
        if report.interrupted:
            return False
    return True


def evaluate_folds(checkpoints: Path, samples: Path, config: EvaluateConfig) -> dict[str, Any]:
    """Test metrics over the folds.

    Returns:
        Metric to mean, spread (standard deviation), interval (95 % of the mean, Student's t) and the values of the folds; {} without folds.
    """
    found = [evaluate(checkpoints / folder.name / "best", folder, "test", config) for folder in fold_folders(samples)]
    names = [name for name, value in found[0].items() if isinstance(value, (int, float)) or value is None] if found else []
    return {name: summary([part[name] for part in found]) for name in names}


def summary(values: list[float | None]) -> dict[str, Any]:
    """Mean, spread and interval of the values that are defined, and all of them."""
    known = [value for value in values if value is not None]
    result: dict[str, Any] = {"values": values, "mean": None, "spread": None, "interval": None}
    if known:
        result["mean"] = mean = float(np.mean(known))
    if len(known) > 1:
        result["spread"] = spread = float(np.std(known, ddof=1))
        half = _T[min(len(known) - 1, len(_T)) - 1] * spread / math.sqrt(len(known))
        result["interval"] = [mean - half, mean + half]
    return result
