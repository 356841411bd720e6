"""jdrec in a notebook: the stages as plain functions, the same that the command line calls.

    from jdrec import api

    run = api.start("+experiment=jd_demo", "model.dropout=0.2")
    api.extract(run).to_pandas()
    api.train(run)
    api.evaluate(run)["test"]["auc"]

Each function runs what has to come before it and reuses what is up to date.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdrec.composition import compose
from jdrec.display import Metrics
from jdrec.errors import JdrecError, StageError
from jdrec.stages import Run

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from jdrec.training.loop import TrainReport

__all__ = [
    "JdrecError",
    "Run",
    "compose",
    "evaluate",
    "extract",
    "features",
    "open_run",
    "predict",
    "preprocess",
    "render",
    "start",
    "train",
]


def start(*overrides: str, folder: str | Path | None = None, config_dir: str | Path | None = None) -> Run:
    """A new run; nothing is computed yet.

    Args:
        overrides: as on the command line, e.g. "+experiment=jd_demo".
        folder: where its results go; a new one below outputs/runs by default.
        config_dir: a folder of your own configuration.

    Raises:
        ConfigError: with the path of every mistake.
    """
    place = Path(folder) if folder is not None else Path("outputs/runs") / datetime.now().strftime("%Y-%m-%d/%H-%M-%S-%f")
    return Run(compose(overrides, config_dir), place)


def open_run(folder: str | Path) -> Run:
    """An earlier run, with its own configuration.

    Raises:
        StageError: it is not the folder of a run.
    """
    from jdrec.tracking.earlier import earlier_config
    from jdrec.tracking.runs import read_run

    done = {stage["stage"] for stage in read_run(Path(folder)).record["stages"]}
    return Run(earlier_config(Path(folder)), Path(folder), done=done)


def render(run: Run) -> dict[str, str]:
    """OpenMLDB's statements: file name to text. Also in the run's folder, sql/."""
    _until(run, "render")
    return {file.name: file.read_text(encoding="utf-8") for file in sorted((run.folder / "sql").glob("*.sql"))}


def extract(run: Run) -> pa.Table:
    """The features of every request, in the request table's order; `.to_pandas()` makes a data frame."""
    import pyarrow.parquet as pq

    _until(run, "extract")
    return pq.read_table(run.folder / "features.parquet")


def preprocess(run: Run) -> dict[str, pa.Table]:
    """The samples: train, valid and test, with the label (float32) and a column a field (int64 ids, or floats)."""
    import pyarrow.parquet as pq

    _until(run, "preprocess")
    return {split: pq.read_table(run.samples / f"{split}.parquet") for split in ("train", "valid", "test")}


def train(run: Run) -> TrainReport:
    """Trains the network; the report has the history of its evaluations."""
    from jdrec.training.loop import TrainReport

    _until(run, "train")
    place = run.folder / "checkpoints"
    return TrainReport.from_json(json.loads((place / "training.json").read_text()), place)


def evaluate(run: Run) -> dict[str, Any]:
    """Metrics of whole splits, as in metrics.json."""
    _until(run, "evaluate")
    return Metrics(json.loads((run.folder / "metrics.json").read_text()))


def features(run: Run, requests: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """Features of requests as if they came now, over the tables; each a mapping of all columns of the request table."""
    return _session(run).compute([dict(request) for request in requests])


def predict(run: Run, requests: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Probabilities float32 [requests] by the trained network, without a server: the service's own features, encoding and weights."""
    from jdrec.preprocess.encoder import Encoder
    from jdrec.training.scoring import Scorer

    _until(run, "train")
    encoder = Encoder.from_json((run.samples / "encoder.json").read_text())
    return Scorer(run.checkpoint).scores(encoder.encode(features(run, requests)))[:, 0]


def _session(run: Run) -> Any:
    """The run's online path, loaded once: tables in memory."""
    from jdrec.online.session import RequestSession

    kept = run.__dict__.get("_session")
    if kept is None:
        kept = run.__dict__["_session"] = RequestSession(run.feature_set, run.tables, progress=run.progress)
    return kept


def _until(run: Run, stage: str) -> None:
    from jdrec import pipeline
    from jdrec.config import STAGES

    if stage not in STAGES:
        raise StageError(f"there is no stage {stage!r}.")
    pipeline.run_until(run, stage)
