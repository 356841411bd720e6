"""MLflow and TensorBoard, by their own libraries: what a run came to can be read back from them, and nothing leaves this machine unasked."""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from jdrec import pipeline
from jdrec.config import MlflowConfig, TensorboardConfig, TrackingConfig
from jdrec.errors import MissingExtra
from jdrec.tracking import trackers
from jdrec.tracking.results import Point, Results, read_results
from jdrec.training.loop import Evaluation
from tests.composing import composed
from tests.conftest import needs_module

START = 1_767_225_600  # 2026-01-01 UTC
HISTORY = [(3, 1.0, 0.66, 0.70, 2.5), (6, 2.0, 0.57, 0.75, 4.0)]  # step, epoch, train loss, AUC, seconds


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that trained, evaluated and reused its extraction."""
    folder = tmp_path_factory.mktemp("sweep") / "7"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "sql").mkdir()
    (folder / "sql" / "deploy.sql").write_text("DEPLOY demo;\n")
    (folder.parent / "multirun.yaml").write_text("")
    stages = [("extract", True, 0.1), ("train", False, 5.0)]
    record = {
        "task": "evaluate",
        "status": "finished",
        "started": "2026-01-01T00:00:00+00:00",
        "seconds": 6.5,
        "error": None,
        "overrides": ["+experiment=jd_demo", "seed=7"],
        "stages": [{"stage": name, "reused": reused, "seconds": s, "peak_memory_bytes": 2**27} for name, reused, s in stages],
        "environment": {"python": "3.10.1", "packages": {"numpy": "1.26.4"}, "git": {"commit": "abc", "dirty": True}},
        "config": msgspec.to_builtins(composed("+experiment=jd_demo", "seed=7")),
    }
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "metrics.json").write_text(
        json.dumps({"valid": {"auc": 0.75, "rows": 10}, "test": {"auc": 0.5, "interval": {"auc": [0.4, 0.6]}}})
    )
    history = [
        {"step": step, "epoch": epoch, "train_loss": loss, "auc": auc, "learning_rate": 1e-3, "seconds": at}
        | {"metrics": {"auc": auc, "rows": 10.0, "gauc": None}, "interval": {"auc": [0.5, 0.875], "gauc": [math.nan, math.nan]}}
        for step, epoch, loss, auc, at in HISTORY
    ]
    (folder / "checkpoints" / "training.json").write_text(json.dumps({"history": history}))
    return folder


def test_what_trackers_are_told(run: Path) -> None:
    results = read_results(run)
    assert (results.experiment, results.name, results.started, results.ended) == ("jd_demo", f"{run.parent.name}/7", START, START + 6.5)
    assert results.metrics == {
        "valid.auc": 0.75,
        "valid.rows": 10,
        "test.auc": 0.5,
        "test.auc.low": 0.4,
        "test.auc.high": 0.6,
        "seconds.train": 5.0,
        "peak_memory_mib.train": 128.0,
    }
    assert [(point.step, point.at) for point in results.history] == [(3, START + 2.5), (6, START + 4)]
    assert results.history[0].values == {
        "train_loss": 0.66,
        "learning_rate": 1e-3,
        "epoch": 1.0,
        "valid.auc": 0.70,
        "valid.auc.low": 0.5,
        "valid.auc.high": 0.875,
    }
    assert (results.params["seed"], results.params["model.name"]) == (7, "deepfm")
    assert not [name for name in results.params if name.startswith(("features.features", "dataset.tables", "serving", "tracking"))]
    assert results.tags["git.commit"] == "abc" and results.tags["git.dirty"] == "true" and results.tags["sweep"] == str(run.parent)


def test_tensorboard_reads_the_run_back(run: Path, tmp_path: Path) -> None:
    needs_module("tensorboard", "tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import plugin_data_pb2

    config = TrackingConfig(tensorboard=TensorboardConfig(enabled=True, dir=str(tmp_path / "board")))
    for _ in range(2):  # a second time in the same folder replaces the first
        trackers.start(config, run).end()
    assert len(list((tmp_path / "board").iterdir())) == 1
    found = EventAccumulator(str(tmp_path / "board")).Reload()
    assert [(e.step, e.wall_time, e.value) for e in found.Scalars("training/valid.auc")] == [
        (3, START + 2.5, pytest.approx(0.70)),
        (6, START + 4.0, pytest.approx(0.75)),
    ]
    assert [(e.step, e.value) for e in found.Scalars("test/auc")] == [(6, 0.5)]
    content = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    parameters = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert parameters["seed"].number_value == 7 and parameters["model.name"].string_value == "deepfm"


_LOG_AND_WATCH = """
import sys
asked = []
sys.addaudithook(lambda event, args: asked.append((event, args[1:3])) if event in ("socket.connect", "socket.getaddrinfo") else None)
import json, time
from pathlib import Path
from jdrec.config import MlflowConfig, TrackingConfig
from jdrec.tracking import trackers
config = TrackingConfig(mlflow=MlflowConfig(enabled=True, uri=f"sqlite:///{sys.argv[2]}/of/its/own/mlflow.db"))
trackers.start(config, Path(sys.argv[1])).end()
time.sleep(0.5)  # for threads of the library's own
print(json.dumps([str(one) for one in asked]))
"""


def test_mlflow_keeps_the_run_in_a_local_database_and_asks_no_network(run: Path, tmp_path: Path) -> None:
    needs_module("mlflow", "mlflow")
    done = subprocess.run([sys.executable, "-c", _LOG_AND_WATCH, run, tmp_path], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
    assert [item.name for item in tmp_path.iterdir()] == ["of"]  # nothing beside the database
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/of/its/own/mlflow.db")
    experiment = client.get_experiment_by_name("jd_demo")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.status, found.info.start_time, found.info.end_time) == ("FINISHED", START * 1000, START * 1000 + 6500)
    assert (found.data.params["seed"], found.data.params["model.dnn"]) == ("7", "[64, 32]")
    assert (found.data.metrics["test.auc"], found.data.metrics["seconds.train"]) == (0.5, 5.0)
    points = client.get_metric_history(found.info.run_id, "training.valid.auc")
    assert [(point.step, point.value, point.timestamp) for point in points] == [
        (3, 0.7, START * 1000 + 2500),
        (6, 0.75, START * 1000 + 4000),
    ]
    assert found.data.tags["sweep"] == str(run.parent)
    assert sorted(item.path for item in client.list_artifacts(found.info.run_id)) == ["metrics.json", "run.json", "sql"]
    assert [item.path for item in client.list_artifacts(found.info.run_id, "sql")] == ["sql/deploy.sql"]


def test_a_tracker_that_cannot_be_reached_is_a_warning(
    run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    needs_module("mlflow", "mlflow")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    told = trackers.start(TrackingConfig(mlflow=MlflowConfig(enabled=True, uri="http://127.0.0.1:9")), run)
    for step in (1, 2, 3):
        told.evaluation(evaluation(step, 0.7))
    told.end()
    assert [record.message.split(": ")[0] for record in caplog.records if record.levelname == "WARNING" and "MLflow" in record.message] == [
        "MLflow (http://127.0.0.1:9) cannot be told while the run goes on, its end is tried again",
        "MLflow (http://127.0.0.1:9) did not take the run",
    ]


_TRAIN_FOR_EVER = """
import sys, time
from pathlib import Path
from jdrec.config import MlflowConfig, TensorboardConfig, TrackingConfig
from jdrec.tracking import trackers
from tests.tracking.test_trackers import evaluation
run, out = map(Path, sys.argv[1:])
mlflow, board = MlflowConfig(enabled=True, uri=f"sqlite:///{out}/mlflow.db"), TensorboardConfig(enabled=True, dir=str(out / "board"))
told = trackers.start(TrackingConfig(mlflow=mlflow, tensorboard=board), run)
for step in (64, 128):
    told.evaluation(evaluation(step, 0.7 + step / 1000))
time.sleep(600)
"""


def evaluation(step: int, auc: float) -> Evaluation:
    metrics = {"auc": auc, "logloss": 0.5, "gauc": math.nan, "rows": 10}
    return Evaluation(step, step / 64, auc, 0.5, 0.6, 1e-3, 1.0, True, metrics, {"auc": [auc - 0.125, auc + 0.125], "gauc": [math.nan] * 2})


def test_a_killed_run_has_its_history(run: Path, tmp_path: Path) -> None:
    needs_module("mlflow", "mlflow")
    needs_module("tensorboard", "tensorboard")
    from mlflow.tracking import MlflowClient
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    process = subprocess.Popen([sys.executable, "-c", _TRAIN_FOR_EVER, run, tmp_path], cwd=Path(__file__).parents[2])
    try:
        until = time.monotonic() + 120
        while not _is_told(tmp_path / "mlflow.db") and time.monotonic() < until and process.poll() is None:
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("jd_demo")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(found[0].info.run_id, "training.valid.auc.low")
    assert [(point.step, point.value) for point in history] == [(64, pytest.approx(0.639)), (128, pytest.approx(0.703))]
    assert found[0].info.status == "RUNNING" and found[0].data.params["seed"] == "7" and "training.valid.gauc" not in found[0].data.metrics
    board = EventAccumulator(str(tmp_path / "board")).Reload()
    assert [(e.step, e.value) for e in board.Scalars("training/valid.auc")] == [(64, pytest.approx(0.764)), (128, pytest.approx(0.828))]
    assert board.SummaryMetadata("_hparams_/session_start_info").plugin_data.content


def _is_told(database: Path) -> bool:
    """Whether both evaluations are there; MLflow's client would make the tables itself."""
    if not database.is_file():
        return False
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute("SELECT count(*) FROM metrics WHERE key = 'training.valid.auc.low'").fetchone()[0] == 2
        except sqlite3.OperationalError:  # no such table yet
            return False


def test_what_a_tracker_missed_is_told_at_the_end(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Flaky:
        name = "Flaky"
        calls: ClassVar[list[Any]] = []

        def begin(self, results: Results) -> None:
            self.calls.append(results.params["seed"])

        def add(self, point: Point) -> None:
            if point.step == 6 and "end is near" not in self.calls:
                self.calls.append("end is near")
                raise RuntimeError("not now")
            self.calls.append(point.step)

        def end(self, results: Results) -> str:
            self.calls.append(results.status)
            return "there"

    told = trackers.Trackers([Flaky()], run)
    for step in (3, 6):  # as in training.json
        told.evaluation(evaluation(step, 0.7))
    told.end()
    assert Flaky.calls == [7, 3, "end is near", 6, "finished"]
    assert "Flaky cannot be told while the run goes on, its end is tried again: not now" in caplog.text


def test_a_run_that_waits_for_a_tracker_says_so(run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    said = threading.Event()

    class Slow:
        name = "Slow"

        def begin(self, results: Results) -> None:
            assert said.wait(60)

        def add(self, point: Point) -> None:
            pass

        def end(self, results: Results) -> str:
            return "there"

    monkeypatch.setattr(trackers, "_SOON_S", 0.0)
    caplog.set_level("INFO", "jdrec.tracking.trackers")
    monkeypatch.setattr(trackers.log, "filters", [lambda record: "waiting" not in record.getMessage() or said.set() is None])
    trackers.Trackers([Slow()], run).end()
    assert caplog.messages == ["tracking   waiting for Slow", "tracking   there"]


@pytest.mark.parametrize("name", ["mlflow", "tensorboard"])
def test_a_missing_library_is_told_before_anything_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_there(module: str) -> Any:
        return None

    monkeypatch.setattr(trackers, "find_spec", not_there)
    config = composed("+experiment=jd_demo", f"tracking.{name}.enabled=true", f"dataset.root={tmp_path / 'tables'}")
    with pytest.raises(MissingExtra, match=rf"^tracking\.{name}: .* is not installed\. Install it with: pip install 'jdrec\[{name}\]'$"):
        pipeline.run(config, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_without_trackers_nothing_of_them_is_imported() -> None:
    code = "import sys; import jdrec.pipeline; print(sorted({'mlflow', 'tensorboard', 'optuna', 'vl_convert'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
