"""A run in MLflow: parameters, metrics over time, tags and files, by MLflow's client; into a local database unless its address says otherwise."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdrec.config import MlflowConfig, names
from jdrec.files import locked
from jdrec.tracking.results import Results

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

_SQLITE = "sqlite:///"
_LONGEST_PARAM, _LONGEST_TAG = 6000, 5000  # characters; MLflow refuses longer ones
_PARAMS, _METRICS, _TAGS = 100, 1000, 100  # MLflow takes no more at once
_STATUS = {"finished": "FINISHED", "interrupted": "KILLED", "killed": "KILLED", "failed": "FAILED"}


class Failure(Exception):
    """MLflow refused something, or cannot be reached."""


def log_run(results: Results, config: MlflowConfig) -> str:
    """Writes the run and returns MLflow's id of it.

    Raises:
        Failure: the store cannot be opened, or does not take the run.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # it would ask a server of its makers as soon as it is imported
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # minutes of patience with a dead server by default
    from mlflow.exceptions import MlflowException

    try:
        client, experiment = _open(config, config.experiment or results.experiment)
        run = client.create_run(experiment, start_time=_ms(results.started), run_name=results.name)
        _fill(client, run.info.run_id, results, names(config.artifacts))
        client.set_terminated(run.info.run_id, _STATUS.get(results.status, "FAILED"), _ms(results.ended))
    except MlflowException as error:
        raise Failure(str(error).splitlines()[0]) from error
    return str(run.info.run_id)


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


def _fill(client: MlflowClient, run: str, results: Results, artifacts: Sequence[str]) -> None:
    from mlflow.entities import Metric, Param, RunTag

    for params in _parts(results.params.items(), _PARAMS):
        client.log_batch(run, params=[Param(name, _text(value)[:_LONGEST_PARAM]) for name, value in params])
    for tags in _parts(results.tags.items(), _TAGS):
        client.log_batch(run, tags=[RunTag(name, value[:_LONGEST_TAG]) for name, value in tags])
    for metrics in _parts(_metrics(results, Metric), _METRICS):
        client.log_batch(run, metrics=metrics)
    for name in artifacts:
        place = results.folder / name
        inside = Path(name).parent.as_posix()
        if place.is_dir():
            client.log_artifacts(run, str(place), name)
        elif place.is_file():
            client.log_artifact(run, str(place), None if inside == "." else inside)


def _metrics(results: Results, metric: type[Metric]) -> Iterator[Metric]:
    """Those over time as training.NAME, so that the final ones of metrics.json keep their names."""
    for point in results.history:
        for name, value in point.values.items():
            yield metric(f"training.{name}", value, _ms(point.at), point.step)
    for name, value in results.metrics.items():
        yield metric(name, value, _ms(results.ended), 0)


def _parts(items: Any, size: int) -> Iterator[list[Any]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
