"""What a multirun leaves at its end: its runs by validation AUC, on the terminal and in leaderboard.csv."""

from __future__ import annotations

import csv
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One finished run of a sweep; metrics are None where it failed or stopped before evaluating."""

    folder: Path
    overrides: tuple[str, ...]
    valid_auc: float | None
    valid_logloss: float | None
    test_auc: float | None


class Leaderboard(Callback):
    """Hydra callback: prints the table when the last job has ended."""

    def on_multirun_end(self, config: Any, **kwargs: Any) -> None:
        folder = Path(config.hydra.sweep.dir)
        jobs = read_jobs(folder)
        if not any(job.valid_auc is not None for job in jobs):
            return
        _write_csv(jobs, folder / "leaderboard.csv")
        _print_table(jobs, folder)


def read_jobs(folder: Path) -> list[Job]:
    """The jobs of a sweep folder, best validation AUC first, those without one last."""
    jobs = [_read_job(file.parent.parent) for file in sorted(folder.glob("*/.hydra/overrides.yaml"))]
    return sorted(jobs, key=lambda job: (job.valid_auc is None, -(job.valid_auc or 0.0)))


def _read_job(folder: Path) -> Job:
    from omegaconf import OmegaConf

    overrides = tuple(str(item) for item in OmegaConf.load(folder / ".hydra" / "overrides.yaml"))
    file = folder / "metrics.json"
    metrics = json.loads(file.read_text()) if file.is_file() else {}
    valid, test = metrics.get("valid", {}), metrics.get("test", {})
    return Job(folder, overrides, valid.get("auc"), valid.get("logloss"), test.get("auc"))


def _swept(jobs: list[Job]) -> list[tuple[str, ...]]:
    """Each job's overrides that are not the same in all jobs."""
    common = set(jobs[0].overrides).intersection(*(job.overrides for job in jobs)) if len(jobs) > 1 else set()
    return [tuple(item for item in job.overrides if item not in common) for job in jobs]


def _number(value: float | None) -> str:
    return "failed" if value is None else f"{value:.4f}"


def _print_table(jobs: list[Job], folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{len(jobs)} runs by validation AUC", caption=str(folder))
    for name in ("", "valid AUC", "valid logloss", "test AUC"):
        table.add_column(name, justify="right")
    table.add_column("overrides", overflow="fold")
    table.add_column("run")
    for place, (job, swept) in enumerate(zip(jobs, _swept(jobs), strict=True), 1):
        table.add_row(
            str(place), _number(job.valid_auc), _number(job.valid_logloss), _number(job.test_auc), " ".join(swept), job.folder.name
        )
    Console().print(table)


def _write_csv(jobs: list[Job], file: Path) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["run", "valid_auc", "valid_logloss", "test_auc", "overrides"])
        for job, swept in zip(jobs, _swept(jobs), strict=True):
            writer.writerow([job.folder.name, job.valid_auc, job.valid_logloss, job.test_auc, " ".join(swept)])
