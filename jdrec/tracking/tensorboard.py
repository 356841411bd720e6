"""A run as TensorBoard's event files: scalars over the batches of its training, its final metrics, and its parameters for the HParams page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdrec.tracking.results import Point, Results

if TYPE_CHECKING:
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

_FINAL = ("valid.auc", "valid.logloss", "test.auc", "test.logloss")  # of the HParams page


class EventFile:
    """One event file, as `trackers.Tracker`; it takes the place of those of an earlier run in the folder."""

    name = "TensorBoard"

    def __init__(self, folder: Path):
        self._folder = folder
        self._last = 0

    def begin(self, results: Results) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._folder.mkdir(parents=True, exist_ok=True)
        for earlier in self._folder.glob("events.out.tfevents.*.jdrec"):
            earlier.unlink()
        self._writer = EventFileWriter(str(self._folder), filename_suffix=".jdrec")
        _parameters(self._writer, results)
        self._writer.flush()

    def add(self, point: Point) -> None:
        for name, value in point.values.items():
            _scalar(self._writer, f"training/{name}", value, point.step, point.at)
        self._writer.flush()
        self._last = point.step

    def end(self, results: Results) -> str:
        try:
            for name, value in results.metrics.items():
                _scalar(self._writer, name.replace(".", "/", 1), value, self._last, results.ended)
        finally:
            self._writer.close()
        return f"tensorboard --logdir {self._folder}"


def _scalar(writer: EventFileWriter, tag: str, value: float, step: int, at: float) -> None:
    from tensorboard.compat.proto.summary_pb2 import Summary

    _add(writer, Summary(value=[Summary.Value(tag=tag, simple_value=value)]), step, at)


def _parameters(writer: EventFileWriter, results: Results) -> None:
    """A run is a row of the HParams page: its parameters, and the final metrics by the tags of their scalars."""
    from tensorboard.plugins.hparams import summary_v2  # its api module asks for TensorFlow

    values = {name: value if isinstance(value, bool | int | float | str) else str(value) for name, value in results.params.items()}
    metrics = [summary_v2.Metric(name.replace(".", "/", 1), display_name=name) for name in _FINAL]
    parameters = [summary_v2.HParam(name) for name in values]
    _add(writer, summary_v2.hparams_config_pb(hparams=parameters, metrics=metrics), 0, results.started)
    _add(writer, summary_v2.hparams_pb(values, trial_id=str(results.folder), start_time_secs=results.started), 0, results.started)


def _add(writer: EventFileWriter, summary: Any, step: int, at: float) -> None:
    from tensorboard.compat.proto.event_pb2 import Event

    writer.add_event(Event(wall_time=at, step=step, summary=summary))
