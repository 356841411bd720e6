"""task=runs: the runs on this disk in one table, by any metric."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jdrec.config import Config, names
from jdrec.files import write_text
from jdrec.tracking.console import console
from jdrec.tracking.runs import RunFolder, find_runs, flatten, order, select

_METRICS = ("valid.auc", "valid.logloss", "test.auc")


def show(config: Config) -> None:
    """Prints the table, and writes it where `leaderboard.csv` says.

    Raises:
        StageError: a folder, a metric or a key that is not there.
    """
    wanted = config.leaderboard
    runs = find_runs([Path(place) for place in names(config.runs)] or [Path("outputs")])
    runs = order(select(runs, names(wanted.where)), wanted.sort, wanted.ascending)
    shown = list(dict.fromkeys([wanted.sort, *_METRICS, *names(wanted.columns)]))
    differing = differences([run.record["config"] for run in runs])
    if wanted.csv:
        _write_csv(runs, shown, differing, Path(wanted.csv))
    _print(runs[: wanted.limit], len(runs), shown)


def differences(configs: Sequence[Any]) -> list[str]:
    """Keys whose values are not the same in all configurations; what names a run rather than describing it is left out."""
    flat = [flatten(config) for config in configs]
    keys = {key: None for values in flat for key in values}
    silent = ("task", "run", "runs", "request", "cache", "leaderboard")
    return [key for key in keys if key.partition(".")[0] not in silent and any(values.get(key) != flat[0].get(key) for values in flat[1:])]


def _print(runs: Sequence[RunFolder], count: int, shown: Sequence[str]) -> None:
    from rich.table import Table

    more = f", the first {len(runs)}" if count > len(runs) else ""
    table = Table(title=f"{count} runs{more}")
    table.add_column("run", overflow="fold")
    for name in shown:
        table.add_column(name, justify="right")
    table.add_column("status")
    table.add_column("overrides", overflow="fold")
    for run in runs:
        overrides = [item for item in run.record["overrides"] if not item.startswith(("hydra.", "task="))]
        table.add_row(str(run.folder), *(_cell(run.value(name)) for name in shown), run.status, " ".join(overrides))
    console().print(table)


def _write_csv(runs: Sequence[RunFolder], shown: Sequence[str], differing: Sequence[str], file: Path) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    metrics = sorted({name for run in runs for name in run.metrics})
    columns = [*dict.fromkeys([*shown, *metrics, "seconds", "started", "status", *differing])]
    writer.writerow(["run", *columns])
    for run in runs:
        writer.writerow([run.folder, *(run.value(name) for name in columns)])
    write_text(file, text.getvalue())


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
