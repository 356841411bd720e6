"""Runs for other people's eyes: MLflow and TensorBoard, by their own libraries, when a run has ended."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path

from jdrec.config import TrackingConfig
from jdrec.errors import MissingExtra

log = logging.getLogger(__name__)


def require(config: TrackingConfig) -> None:
    """Before a run begins: what it is to be told to has to be there.

    Raises:
        MissingExtra: a library is not installed.
    """
    if config.mlflow.enabled and not all(map(find_spec, ("mlflow", "sqlalchemy"))):  # the light package has no database of its own
        raise MissingExtra("MLflow", "mlflow", where="tracking.mlflow")
    if config.tensorboard.enabled and find_spec("tensorboard") is None:
        raise MissingExtra("TensorBoard", "tensorboard", where="tracking.tensorboard")


def publish(config: TrackingConfig, folder: Path) -> None:
    """Tells the trackers what a run came to. What they cannot take is a warning: the run itself is done."""
    if not (config.mlflow.enabled or config.tensorboard.enabled):
        return
    from jdrec.tracking.results import read_results

    results = read_results(folder)
    if config.tensorboard.enabled:
        from jdrec.tracking import tensorboard

        try:
            place = tensorboard.write(results, Path(config.tensorboard.dir) if config.tensorboard.dir else folder / "tensorboard")
            log.info("%-10s tensorboard --logdir %s", "tracking", place)
        except OSError as error:
            log.warning("TensorBoard's files were not written: %s", error)
    if config.mlflow.enabled:
        from jdrec.tracking import mlflow

        try:
            log.info("%-10s MLflow run %s in %s", "tracking", mlflow.log_run(results, config.mlflow), config.mlflow.uri)
        except (mlflow.Failure, OSError) as error:
            log.warning("MLflow (%s) did not take the run: %s", config.mlflow.uri, error)
