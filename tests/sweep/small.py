"""A sweep's folder, written by hand."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

COMMON = ["+experiment=small", "+sweep=seeds"]


def a_job(folder: Path, number: int, overrides: list[str], auc: float | None, *, seed: int = 1, error: str | None = None) -> Path:
    """A job as it lies on the disk: finished with this validation AUC, or failed with this error."""
    job = folder / str(number)
    (job / ".hydra").mkdir(parents=True)
    (job / ".hydra" / "overrides.yaml").write_text("".join(f"- {json.dumps(item)}\n" for item in [*COMMON, *overrides]))
    record: dict[str, Any] = {
        "task": "report",
        "status": "finished" if auc is not None else "failed",
        "started": "2026-01-01T00:00:00+00:00",
        "seconds": 2.5,
        "process": {"id": os.getpid(), "host": platform.node()},
        "overrides": [*COMMON, *overrides],
        "error": error,
        "stages": [],
        "config": {"seed": seed, "task": "report", "report": {"enabled": True}, "cache": {"dir": str(folder / "cache")}},
    }
    (job / "run.json").write_text(json.dumps(record))
    (job / "jdrec.log").write_text(f"some lines\nerror: {error}\n" if error else "all is well\n")
    if auc is not None:
        metrics = {split: {"auc": auc - place * 0.01, "logloss": 0.5 - auc / 10} for place, split in enumerate(("valid", "test"))}
        (job / "metrics.json").write_text(json.dumps(metrics))
    return job


AUC = {"4": [0.81, 0.83, 0.82, 0.85], "8": [0.80, 0.79, 0.82, 0.81], "16": [0.70, 0.71, 0.72, 0.69]}


def a_sweep(folder: Path) -> Path:
    """Three configurations with four seeds each, and one that failed."""
    number = 0
    for dim, values in AUC.items():
        for seed, auc in enumerate(values, 1):
            a_job(folder, number, [f"seed={seed}", f"model.embedding_dim={dim}"], auc, seed=seed)
            number += 1
    a_job(folder, number, ["seed=1", "model.embedding_dim=0"], None, error="ConfigError: <b>0</b> does not fit")
    return folder
