"""A run in MLflow: parameters, metrics over time, tags and files, by MLflow's client; into a local database unless its address says otherwise."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdrec.config import MlflowConfig, names
from jdrec.files import locked
from jdrec.tracking.results import Point, Results

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_SQLITE = "sqlite:///"
_LONGEST_PARAM, _LONGEST_TAG = 6000, 5000  # characters; MLflow refuses longer ones
_PARAMS, _METRICS, _TAGS = 100, 1000, 100  # MLflow takes no more at once
_STATUS = {"finished": "FINISHED", "interrupted": "KILLED", "killed": "KILLED", "failed": "FAILED"}


class Failure(Exception):
    """MLflow refused something, or cannot be reached."""


class MlflowRun:
    """One run in MLflow, as `trackers.Tracker`: it is there from the run's start."""

    def __init__(self, config: MlflowConfig):
        self.name = f"MLflow ({config.uri})"
        self._config = config
        self._id = ""

    def begin(self, results: Results) -> None:
        """
        Raises:
            Failure: the store cannot be opened, or does not take the run.
        """
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # it would ask a server of its makers as soon as it is imported
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # minutes of patience with a dead server by default
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        from mlflow.entities import Param

        with _failures():
            self._client, experiment = _open(self._config, self._config.experiment or results.experiment)
            if not self._id:  # else it was begun before, and what follows failed
                run = self._client.create_run(experiment, start_time=_ms(results.started), run_name=results.name)
                self._id = str(run.info.run_id)
            for params in _parts(results.params.items(), _PARAMS):
                self._client.log_batch(self._id, params=[Param(name, _text(value)[:_LONGEST_PARAM]) for name, value in params])
            self._tag(results)

    def add(self, point: Point) -> None:
        """As training.NAME, so that the final ones of metrics.json keep their names."""
        self._log({f"training.{name}": value for name, value in point.values.items()}, point.at, point.step)

    def end(self, results: Results) -> str:
        self._log(results.metrics, results.ended, 0)
        with _failures():
            self._tag(results)  # again: how it ended is one
            for name in names(self._config.artifacts):
                place = results.folder / name
                inside = Path(name).parent.as_posix()
                if place.is_dir():
                    self._client.log_artifacts(self._id, str(place), name)
                elif place.is_file():
                    self._client.log_artifact(self._id, str(place), None if inside == "." else inside)
            self._client.set_terminated(self._id, _STATUS.get(results.status, "FAILED"), _ms(results.ended))
        return f"MLflow run {self._id} in {self._config.uri}"

    def _log(self, metrics: Mapping[str, float], at: float, step: int) -> None:
        from mlflow.entities import Metric

        with _failures():
            for part in _parts(metrics.items(), _METRICS):
                self._client.log_batch(self._id, metrics=[Metric(name, value, _ms(at), step) for name, value in part])

    def _tag(self, results: Results) -> None:
        from mlflow.entities import RunTag

        for tags in _parts(results.tags.items(), _TAGS):
            self._client.log_batch(self._id, tags=[RunTag(name, value[:_LONGEST_TAG]) for name, value in tags])


@contextmanager
def _failures() -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise Failure(str(error).splitlines()[0]) from error


def _open(config: MlflowConfig, experiment: str) -> tuple[MlflowClient, str]:
    """A client, and the experiment's id; jobs of a sweep that are the first to come make neither the tables nor the experiment twice."""
    from mlflow.tracking import MlflowClient

    for chatty in ("mlflow", "alembic"):  # about the tables that they make
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if not config.uri.startswith(_SQLITE):
        client = MlflowClient(config.uri)
        return client, _experiment(client, experiment, None)
    database = Path(config.uri.removeprefix(_SQLITE)).resolve()
    with locked(database.with_name(f"{database.name}.lock")):
        client = MlflowClient(f"{_SQLITE}{database}")
        return client, _experiment(client, experiment, (database.parent / "mlflow-artifacts" / experiment).as_uri())


def _experiment(client: MlflowClient, name: str, artifacts: str | None) -> str:
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name, artifact_location=artifacts))


def _parts(items: Any, size: int) -> Iterator[list[Any]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
