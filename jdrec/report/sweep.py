"""sweep.html: the configurations of a sweep, how its parameters go together, and what each of them does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdrec.report import filters
from jdrec.report.charts import Chart
from jdrec.report.charts import sweep as sweep_charts
from jdrec.report.html import write

if TYPE_CHECKING:
    from jdrec.sweep.configurations import Configuration
    from jdrec.sweep.jobs import Job

PAGE = "sweep.html"
_SHOWN = ("valid.auc", "valid.logloss", "test.auc", "test.logloss")
_LOG_LINES = 12


def write_page(folder: Path, jobs: Sequence[Job], found: Sequence[Configuration], cache: Path) -> str:
    """Writes sweep.html into the sweep's folder and returns a summary."""
    size = write(folder / PAGE, "sweep.html.j2", contents(folder, jobs, found), cache)
    return f"{folder / PAGE}, {size / 2**20:.1f} MiB"


def contents(folder: Path, jobs: Sequence[Job], found: Sequence[Configuration]) -> dict[str, Any]:
    """What the template shows."""
    common = set(jobs[0].overrides).intersection(*(job.overrides for job in jobs)) if len(jobs) > 1 else set()
    seeds = any(len(c.jobs) > 1 for c in found)
    metrics = [name for name in _SHOWN if any(name in c.metrics for c in found)]
    return {
        "folder": folder.name,
        "title": _title(jobs),
        "overrides": [item for item in jobs[0].overrides if item in common and not item.startswith(("task=", "cache.", "report."))],
        "facts": _facts(jobs, found, seeds),
        "metrics": metrics,
        "seeds": seeds,
        "rows": [_row(place, c, metrics) for place, c in enumerate(found, 1)],
        "failed": [_failed(job) for job in jobs if job.value is None],
        "charts": _charts(jobs, found),
    }


def _title(jobs: Sequence[Job]) -> str:
    experiment = jobs[0].setting("experiment")
    sweep = jobs[0].setting("sweep")
    return f"{experiment or 'sweep'}: {sweep}" if sweep else f"{experiment or 'sweep'}: sweep"


def _facts(jobs: Sequence[Job], found: Sequence[Configuration], seeds: bool) -> list[dict[str, str]]:
    best = found[0]
    spread = best.spread()
    seconds = sum(job.run.record["seconds"] for job in jobs if job.run is not None)
    finished = sum(job.value is not None for job in jobs)
    about = " ".join(best.overrides) or "as configured"
    facts = [
        {
            "label": "Best valid AUC",
            "value": filters.number(best.mean()),
            "about": (f"± {spread:.4f}, " if spread is not None else "") + about,
        }
    ]
    test = best.mean("test.auc")
    if test is not None:
        facts.append({"label": "Its test AUC", "value": filters.number(test), "about": "not used to choose it"})
    if seeds:
        facts.append({"label": "Configurations", "value": str(len(found)), "about": f"{len({job.seed for job in jobs} - {None})} seeds"})
    facts.append(
        {"label": "Jobs finished", "value": f"{finished} of {len(jobs)}", "about": "" if finished == len(jobs) else "the others are below"}
    )
    facts.append({"label": "Time of all jobs", "value": filters.duration(seconds), "about": "what was reused not counted"})
    return facts


def _row(place: int, c: Configuration, metrics: Sequence[str]) -> dict[str, Any]:
    cells = [{"mean": c.mean(name), "spread": c.spread(name)} for name in metrics]
    pages = [(job.folder.name, f"{job.folder.name}/report.html" if (job.folder / "report.html").is_file() else None) for job in c.jobs]
    return {
        "place": place,
        "overrides": c.overrides,
        "cells": cells,
        "p": c.p,
        "finished": len(c.finished),
        "jobs": len(c.jobs),
        "pages": pages,
    }


def _failed(job: Job) -> dict[str, Any]:
    lines = job.log.read_text(errors="replace").rstrip().splitlines()[-_LOG_LINES:] if job.log.is_file() else []
    return {"name": job.folder.name, "status": job.status, "error": job.error or "it left no word", "log": "\n".join(lines)}


def _charts(jobs: Sequence[Job], found: Sequence[Configuration]) -> dict[str, list[Chart]]:
    names = sweep_charts.parameters(found)
    together = [sweep_charts.parallel_coordinates(jobs, names)] if names and sum(job.value is not None for job in jobs) > 1 else []
    return {"together": together, "effects": [sweep_charts.effect(name, jobs, found) for name in names]}
