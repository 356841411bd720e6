"""Runs for other people's eyes: MLflow and TensorBoard, by their own libraries, while a run goes on and when it ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from jdrec.config import TrackingConfig
from jdrec.errors import MissingExtra

if TYPE_CHECKING:
    from jdrec.tracking.results import Point, Results
    from jdrec.training.loop import Evaluation

log = logging.getLogger(__name__)

_SOON_S = 5.0  # a run's end that trackers hold up for longer says what it waits for


class Tracker(Protocol):
    """Is told of one run. Every call may fail; it is made again at the run's end."""

    name: str  # for messages

    def begin(self, results: Results) -> None:
        """What is known at the run's start: parameters and tags."""

    def add(self, point: Point) -> None:
        """An evaluation; it is there to see when this returns."""

    def end(self, results: Results) -> str:
        """All that is known at the run's end but for the evaluations. Returns where it is."""


def require(config: TrackingConfig) -> None:
    """Before a run begins: what it is to be told to has to be there.

    Raises:
        MissingExtra: a library is not installed.
    """
    if config.mlflow.enabled and not all(map(find_spec, ("mlflow", "sqlalchemy"))):  # the light package has no database of its own
        raise MissingExtra("MLflow", "mlflow", where="tracking.mlflow")
    if config.tensorboard.enabled and find_spec("tensorboard") is None:
        raise MissingExtra("TensorBoard", "tensorboard", where="tracking.tensorboard")


def start(config: TrackingConfig, folder: Path) -> Trackers:
    """Begins to tell of a run, whose run.json is in its folder."""
    found: list[Tracker] = []
    if config.tensorboard.enabled:
        from jdrec.tracking.tensorboard import EventFile

        found.append(EventFile(Path(config.tensorboard.dir) if config.tensorboard.dir else folder / "tensorboard"))
    if config.mlflow.enabled:
        from jdrec.tracking.mlflow import MlflowRun

        found.append(MlflowRun(config.mlflow))
    return Trackers(found, folder)


@dataclass
class _Told:
    tracker: Tracker
    begun: bool = False
    failed: bool = False
    steps: set[int] = field(default_factory=set)  # of the evaluations it has


class Trackers:
    """Tells all trackers of a run, in a thread of their own: a slow one does not hold up training, and what one cannot take ends nothing."""

    def __init__(self, trackers: Sequence[Tracker], folder: Path):
        self._all = [_Told(tracker) for tracker in trackers]
        self._folder = folder
        if trackers:
            from concurrent.futures import ThreadPoolExecutor

            self._worker = ThreadPoolExecutor(1, "tracking")
            self._worker.submit(self._try, self._all, None)

    def evaluation(self, evaluation: Evaluation) -> None:
        """Returns at once."""
        if self._all:
            from jdrec.tracking.results import point

            self._worker.submit(self._try, self._all, point(asdict(evaluation), time.time()))

    def end(self) -> None:
        """Tells what the run came to, and the evaluations that were not told before; returns when all is told."""
        if not self._all:
            return
        from concurrent.futures import wait

        ending = self._worker.submit(self._end)
        if wait([ending], timeout=_SOON_S).not_done:
            log.info("%-10s waiting for %s", "tracking", " and ".join(told.tracker.name for told in self._all))
        ending.result()
        self._worker.shutdown()

    def _try(self, all_: Sequence[_Told], point: Point | None) -> None:
        for told in all_:
            if told.failed:  # once is enough: the end is tried again
                continue
            try:
                self._begin(told)
                if point is not None:
                    self._add(told, point)
            except Exception as error:
                told.failed = True
                log.warning("%s cannot be told while the run goes on, its end is tried again: %s", told.tracker.name, error)

    def _begin(self, told: _Told) -> None:
        from jdrec.tracking.results import read_results

        if not told.begun:
            told.tracker.begin(read_results(self._folder))
            told.begun = True

    def _add(self, told: _Told, point: Point) -> None:
        if point.step not in told.steps:
            told.tracker.add(point)
            told.steps.add(point.step)

    def _end(self) -> None:
        from jdrec.tracking.results import read_results

        for told in self._all:
            try:
                results = read_results(self._folder)
                self._begin(told)
                for point in results.history:
                    self._add(told, point)
                log.info("%-10s %s", "tracking", told.tracker.end(results))
            except Exception as error:
                log.warning("%s did not take the run: %s", told.tracker.name, error)
                log.debug("tracking", exc_info=True)
