"""What a run came to, read from its folder, in the words that trackers share: parameters, metrics, metrics over time, tags."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jdrec.tracking.runs import flatten, interval_ends, read_run

_SECTIONS = ("seed", "dataset", "features", "engine", "preprocess", "model", "trainer", "evaluate")  # that make a run what it is
_DEFINITIONS = ("dataset.tables.", "features.features.", "features.windows.", "features.joins.", "features.derived")  # run.json has them
_OF_AN_EVALUATION = ("train_loss", "learning_rate", "epoch")
_CONSTANT = ("rows", "positives", "base_rate")  # of a split, whatever was trained


@dataclass(frozen=True)
class Point:
    """The metrics of an evaluation during training.

    Attributes:
        step: batches trained.
        at: seconds since 1970.
        values: train_loss, learning_rate, epoch, and those of the validation split as valid.NAME, valid.NAME.low and valid.NAME.high.
    """

    step: int
    at: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class Results:
    """A run, as far as it has come.

    Attributes:
        started, ended: seconds since 1970.
        metrics: metrics.json by dotted name, ends of intervals as NAME.low and NAME.high, and what each stage cost: seconds.STAGE,
            peak_memory_mib.STAGE.
    """

    folder: Path
    experiment: str
    status: str
    started: float
    ended: float
    params: Mapping[str, Any]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    history: Sequence[Point]

    @property
    def name(self) -> str:
        """As runs/2026-01-31/12-00-00 is called: 2026-01-31/12-00-00."""
        return "/".join(self.folder.parts[-2:])


def read_results(folder: Path) -> Results:
    """Reads a run's folder.

    Raises:
        StageError: it is not the folder of a run.
    """
    run = read_run(folder)
    record = run.record
    started = datetime.fromisoformat(record["started"]).timestamp()
    flat = flatten(record["config"])
    params = {key: value for key, value in flat.items() if key.split(".")[0] in _SECTIONS and not key.startswith(_DEFINITIONS)}
    return Results(
        folder=folder,
        experiment=_experiment(record),
        status=run.status,
        started=started,
        ended=started + record["seconds"],
        params=params,
        tags=_tags(record, folder),
        metrics={**run.metrics, **interval_ends(folder), **_costs(record["stages"])},
        history=_history(folder / "checkpoints" / "training.json", started),
    )


def _experiment(record: Mapping[str, Any]) -> str:
    """The name in +experiment=NAME; without one, that of the database."""
    named = [item.partition("=")[2] for item in record["overrides"] if item.lstrip("+").startswith("experiment=")]
    return named[-1] if named else str(record["config"]["dataset"]["database"])


def _tags(record: Mapping[str, Any], folder: Path) -> dict[str, str]:
    environment = record.get("environment") or {}
    git, packages = environment.get("git") or {}, environment.get("packages") or {}
    tags = {
        "folder": str(folder.resolve()),
        "task": record["task"],
        "overrides": " ".join(record["overrides"]),
        "error": record["error"],
        "git.commit": git.get("commit"),
        "git.dirty": json.dumps(git["dirty"]) if "dirty" in git else None,
        "python": environment.get("python"),
        **{f"version.{name}": version for name, version in packages.items()},
    }
    if (folder.parent / "multirun.yaml").is_file():
        tags["sweep"] = str(folder.parent.resolve())
    return {name: value for name, value in tags.items() if value}


def _costs(stages: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Of the stages that this run computed itself."""
    costs: dict[str, float] = {}
    for stage in stages:
        if not stage["reused"]:
            costs[f"seconds.{stage['stage']}"] = stage["seconds"]
            costs[f"peak_memory_mib.{stage['stage']}"] = round(stage["peak_memory_bytes"] / 2**20, 1)
    return costs


def _history(file: Path, started: float) -> list[Point]:
    if not file.is_file():
        return []
    history = json.loads(file.read_text(encoding="utf-8"))["history"]
    return [point(evaluation, started + evaluation["seconds"]) for evaluation in history]


def point(evaluation: Mapping[str, Any], at: float) -> Point:
    """An evaluation as training.json has it. at: seconds since 1970."""
    values = {name: evaluation[name] for name in _OF_AN_EVALUATION}
    values |= {f"valid.{name}": value for name, value in evaluation["metrics"].items() if name not in _CONSTANT}
    for name, ends in evaluation.get("interval", {}).items():
        values |= {f"valid.{name}.low": ends[0], f"valid.{name}.high": ends[1]}
    return Point(evaluation["step"], at, {name: value for name, value in values.items() if value is not None and not math.isnan(value)})
