"""task=diff: what two runs do not share, in configuration, data, code and metrics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jdrec.config import Config, names
from jdrec.errors import ConfigError
from jdrec.tracking.console import console
from jdrec.tracking.leaderboard import differences
from jdrec.tracking.runs import RunFolder, flatten, read_run


def show(config: Config) -> None:
    """Prints the differences of the two runs that `runs` names.

    Raises:
        ConfigError: not two of them.
        StageError: one is not the folder of a run.
    """
    folders = names(config.runs)
    if len(folders) != 2:
        raise ConfigError(f"task=diff compares two runs, not {len(folders)}.", where="runs", hint="Write runs=[FOLDER,FOLDER].")
    left, right = (read_run(Path(folder)) for folder in folders)
    _print(left, right)


def config_differences(left: RunFolder, right: RunFolder) -> list[tuple[str, Any, Any]]:
    """Key, left value, right value; None for a key that a run does not have."""
    pair = [run.record["config"] for run in (left, right)]
    flat = [flatten(config) for config in pair]
    return [(key, flat[0].get(key), flat[1].get(key)) for key in differences(pair)]


def surroundings(left: RunFolder, right: RunFolder) -> list[tuple[str, Any, Any]]:
    """The same for code, packages, machine and the tables read."""
    flat = [flatten({"environment": run.record.get("environment"), "data": run.record.get("data")}) for run in (left, right)]
    keys = dict.fromkeys([*flat[0], *flat[1]])
    return [(key, flat[0].get(key), flat[1].get(key)) for key in keys if flat[0].get(key) != flat[1].get(key)]


def _print(left: RunFolder, right: RunFolder) -> None:
    from rich.table import Table

    out = console()
    names = sorted({*left.metrics, *right.metrics})
    metrics = Table(title="metrics")
    for title in ("", str(left.folder), str(right.folder), "difference"):
        metrics.add_column(title, justify="left" if not title else "right", overflow="fold")
    for name in names:
        a, b = left.metrics.get(name), right.metrics.get(name)
        whole = all(value is None or float(value).is_integer() for value in (a, b))  # counts
        digits = ",.0f" if whole else ".4f"
        change = f"{b - a:+{digits}}" if a is not None and b is not None and a != b else ""
        metrics.add_row(name, *("" if value is None else f"{value:{digits}}" for value in (a, b)), change)
    for title, rows in (("configuration", config_differences(left, right)), ("code, machine, data", surroundings(left, right))):
        table = Table(title=title)
        for heading in ("", str(left.folder), str(right.folder)):
            table.add_column(heading, overflow="fold")
        for name, a, b in rows:
            table.add_row(name, *("" if value is None else json.dumps(value, ensure_ascii=False) for value in (a, b)))
        out.print(table if rows else f"{title}: no difference")
    out.print(metrics if names else "metrics: none")
