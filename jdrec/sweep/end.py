"""What a sweep leaves: its configurations on the terminal and in leaderboard.csv, its jobs in runs.csv, and sweep.html."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jdrec.files import write_text
from jdrec.sweep.configurations import Configuration, configurations
from jdrec.sweep.jobs import METRIC, Job, JobError, read_jobs, swept

log = logging.getLogger(__name__)

_SHOWN = (METRIC, "valid.logloss", "test.auc")


def show(folder: Path) -> list[JobError]:
    """Reads the jobs and writes all of it; a sweep none of whose jobs evaluated leaves nothing. Returns what failed."""
    jobs = read_jobs(folder)
    found = configurations(jobs)
    failed = [JobError(job.folder.name, job.error, job.log) for job in jobs if job.status != "finished"]
    if not any(job.value is not None for job in jobs):
        return failed
    _write_configurations(found, folder / "leaderboard.csv")
    _write_jobs(jobs, folder / "runs.csv")
    _print(found, jobs, folder)
    _write_page(folder, jobs, found)
    return failed


def _write_page(folder: Path, jobs: Sequence[Job], found: Sequence[Configuration]) -> None:
    from jdrec.report import missing

    first = next(job.run.record["config"] for job in jobs if job.run is not None)
    if not first["report"]["enabled"]:
        return
    if reason := missing():
        log.info("%-10s skipped: %s", "sweep", reason)
        return
    from jdrec.report.sweep import write_page

    log.info("%-10s %s", "sweep", write_page(folder, jobs, found, Path(first["cache"]["dir"])))


def _print(found: Sequence[Configuration], jobs: Sequence[Job], folder: Path) -> None:
    from rich.table import Table

    from jdrec.tracking.console import console

    seeds = any(len(c.jobs) > 1 for c in found)
    what = f"{len(found)} configurations, {len(jobs)} jobs" if seeds else f"{len(jobs)} jobs"
    table = Table(title=f"{what} by {METRIC}", caption=str(folder))
    table.add_column("", justify="right")
    for name in _SHOWN:
        table.add_column(name, justify="right")
    if seeds:
        table.add_column("jobs", justify="right")
        table.add_column("p", justify="right")
    table.add_column("overrides", overflow="fold")
    table.add_column("run", overflow="fold")
    for place, c in enumerate(found, 1):
        cells = [_with_spread(c, name) for name in _SHOWN]
        more = [f"{len(c.finished)} of {len(c.jobs)}", "" if c.p is None else f"{c.p:.3f}"] if seeds else []
        table.add_row(str(place), *cells, *more, " ".join(c.overrides), " ".join(job.folder.name for job in c.jobs))
    console().print(table)
    if seeds and len(found) > 1:
        log.info("p: chance of such a difference to the best by the seeds alone, adjusted for the number of comparisons")
    for job in jobs:
        if job.value is None:
            log.error("job %s %s: %s", job.folder.name, job.status, job.error or f"see {job.log}")


def _with_spread(configuration: Configuration, metric: str) -> str:
    mean, spread = configuration.mean(metric), configuration.spread(metric)
    if mean is None:
        return "failed" if metric == METRIC else ""
    return f"{mean:.4f}" + (f" ± {spread:.4f}" if spread is not None else "")


def _write_configurations(found: Sequence[Configuration], file: Path) -> None:
    """Columns: place, overrides, jobs, finished, p, and of every metric its mean and, as metric.sd, its standard deviation over seeds."""
    metrics = list(dict.fromkeys(name for c in found for name in c.metrics))
    rows: list[list[Any]] = [
        ["place", "overrides", "jobs", "finished", "p", *(column for name in metrics for column in (name, f"{name}.sd"))]
    ]
    for place, c in enumerate(found, 1):
        numbers = [value for name in metrics for value in (c.mean(name), c.spread(name))]
        rows.append([place, " ".join(c.overrides), len(c.jobs), len(c.finished), c.p, *numbers])
    _write(rows, file)


def _write_jobs(jobs: Sequence[Job], file: Path) -> None:
    metrics = list(dict.fromkeys(name for job in jobs for name in job.metrics))
    rows: list[list[Any]] = [["run", "status", "overrides", *metrics, "error"]]
    for job, overrides in zip(jobs, swept(jobs), strict=True):
        rows.append([job.folder.name, job.status, " ".join(overrides), *(job.metrics.get(name) for name in metrics), job.error])
    _write(rows, file)


def _write(rows: Sequence[Sequence[Any]], file: Path) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(file, text.getvalue())
