"""A small run with all the files that its page shows."""

from __future__ import annotations

import json
from pathlib import Path

from jdrec import training
from jdrec.report.collect import collect
from jdrec.report.importance import run_importance
from jdrec.report.page import write_page
from jdrec.stages import Run, render
from jdrec.tracking.record import Record
from tests.verify import small_run

OVERRIDES = ["+experiment=small", "task=report", "seed=2016", "model.dnn=[16,8]<script>alert(1)</script>"]
HISTORY = [
    {"step": 10, "epoch": 1.0, "auc": 0.61, "logloss": 0.63, "train_loss": 0.69, "learning_rate": 1e-3, "seconds": 1.5, "best": True},
    {"step": 20, "epoch": 2.0, "auc": 0.66, "logloss": 0.61, "train_loss": 0.6, "learning_rate": 1e-3, "seconds": 3.1, "best": True},
    {"step": 30, "epoch": 3.0, "auc": 0.65, "logloss": 0.62, "train_loss": 0.55, "learning_rate": 1e-4, "seconds": 4.6, "best": False},
]


def make_finished_run(folder: Path, requests: int = 2000) -> Run:
    """A run whose model has random weights, in `folder`, its report.html written."""
    made = small_run.make_run(folder, small_run.rows(requests))
    run = small_run.with_config(
        made,
        cache={"dir": str(folder / "cache")},
        preprocess={"split": {"by": "time", "train": 0.6, "test": 0.2}},
        importance={"repeats": 3},
        evaluate={"bootstrap": 20},
    )
    from jdrec import preprocess

    features = folder / "features.parquet"
    preprocess.run(
        run.feature_set, run.config.preprocess, features, run.samples, seed=run.config.seed, observed_until_ms=None, progress=run.progress
    )
    render(run)
    metrics = {split: training.evaluate(run.checkpoint, run.samples, split, run.config.evaluate) for split in ("train", "valid", "test")}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    history = [{**e, "interval": {"auc": [e["auc"] - 0.05, e["auc"] + 0.05], "logloss": [0.5, 0.7]}} for e in HISTORY]
    report = {"history": history, "step": 30, "epoch": 3.0, "seconds": 4.9, "samples_per_second": 8123.4, "device": "cpu"}
    (folder / "checkpoints" / "training.json").write_text(json.dumps({**report, "end": "early stop", "parameters": 1234}))
    run.record = Record(folder, run.config, OVERRIDES)
    run.record.stage(stage="extract", reused=True, seconds=0.25, summary="2,000 rows", key="k", peak_memory_bytes=100 * 2**20)
    run.record.stage(stage="train", reused=False, seconds=4.75, summary="30 batches", key="k", peak_memory_bytes=300 * 2**20)
    run.record.end("finished")
    (folder / "report.json").write_text(json.dumps(collect(run)))
    run_importance(run)
    write_page(run)
    return run
