"""A run as TensorBoard's event files: scalars over the batches of its training, its final metrics, and its parameters for the HParams page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdrec.tracking.results import Results

if TYPE_CHECKING:
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

_FINAL = ("valid.auc", "valid.logloss", "test.auc", "test.logloss")  # of the HParams page


def write(results: Results, folder: Path) -> Path:
    """Writes one event file into the folder, in place of those of an earlier run there, and returns the folder."""
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    folder.mkdir(parents=True, exist_ok=True)
    for earlier in folder.glob("events.out.tfevents.*.jdrec"):
        earlier.unlink()
    writer = EventFileWriter(str(folder), filename_suffix=".jdrec")
    try:
        for point in results.history:
            for name, value in point.values.items():
                _scalar(writer, f"training/{name}", value, point.step, point.at)
        last = results.history[-1].step if results.history else 0
        for name, value in results.metrics.items():
            _scalar(writer, name.replace(".", "/", 1), value, last, results.ended)
        _parameters(writer, results)
    finally:
        writer.close()
    return folder


def _scalar(writer: EventFileWriter, tag: str, value: float, step: int, at: float) -> None:
    from tensorboard.compat.proto.summary_pb2 import Summary

    _add(writer, Summary(value=[Summary.Value(tag=tag, simple_value=value)]), step, at)


def _parameters(writer: EventFileWriter, results: Results) -> None:
    """A run is a row of the HParams page: its parameters, and the final metrics by the tags of their scalars."""
    from tensorboard.plugins.hparams import summary_v2  # its api module asks for TensorFlow

    values = {name: value if isinstance(value, bool | int | float | str) else str(value) for name, value in results.params.items()}
    metrics = [summary_v2.Metric(name.replace(".", "/", 1), display_name=name) for name in _FINAL if name in results.metrics]
    parameters = [summary_v2.HParam(name) for name in values]
    _add(writer, summary_v2.hparams_config_pb(hparams=parameters, metrics=metrics), 0, results.started)
    _add(writer, summary_v2.hparams_pb(values, trial_id=str(results.folder), start_time_secs=results.started), 0, results.started)


def _add(writer: EventFileWriter, summary: Any, step: int, at: float) -> None:
    from tensorboard.compat.proto.event_pb2 import Event

    writer.add_event(Event(wall_time=at, step=step, summary=summary))
