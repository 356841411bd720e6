"""Runs as they lie on the disk: found, read, ordered."""

from __future__ import annotations

import json
import logging
import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from jdrec.errors import StageError, nearest
from jdrec.tracking.record import FILE

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunFolder:
    """An earlier run.

    Attributes:
        record: run.json.
        metrics: numbers of metrics.json by dotted name, such as valid.auc; empty where the run did not evaluate.
    """

    folder: Path
    record: Mapping[str, Any]
    metrics: Mapping[str, float]

    @property
    def status(self) -> str:
        """finished, failed, interrupted, running, or killed: it says running, but its process is gone."""
        status = str(self.record.get("status", "finished"))
        return "killed" if status == "running" and not _is_alive(self.record["process"]) else status

    def value(self, name: str) -> Any:
        """A metric, a key of the configuration, or one of seconds, started, task and status; None if it has none."""
        if name in self.metrics:
            return self.metrics[name]
        if name in ("seconds", "started", "task", "status"):
            return self.status if name == "status" else self.record.get(name)
        place: Any = self.record["config"]
        for part in name.split("."):
            if not isinstance(place, Mapping) or part not in place:
                return None
            place = place[part]
        return place


def read_run(folder: Path, where: str = "runs") -> RunFolder:
    """Reads a run's folder.

    Args:
        where: the key that names it, for the message.

    Raises:
        StageError: it is not the folder of a run.
    """
    try:
        record = json.loads((folder / FILE).read_text(encoding="utf-8"))
        record["config"], record["task"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StageError(f"{folder} is not the folder of a run ({FILE}: {error}).", where=where) from None
    return RunFolder(folder, record, dict(_numbers("", _metrics(folder))))


def find_runs(places: Iterable[Path]) -> list[RunFolder]:
    """All runs in and below some folders, the cache left out.

    Raises:
        StageError: a folder is not there.
    """
    runs = []
    for place in places:
        if not place.is_dir():
            raise StageError(f"there is no folder {place}.", where="runs")
        for folder, inside, files in os.walk(place):
            inside[:] = sorted(name for name in inside if not name.startswith("."))
            if FILE in files:
                inside.clear()
                try:
                    runs.append(read_run(Path(folder)))
                except StageError as error:
                    log.warning("left out: %s", error)
    return runs


def select(runs: Sequence[RunFolder], where: Sequence[str]) -> list[RunFolder]:
    """The runs whose configuration fits all of the patterns `key=value`; both sides take * and ?.

    Raises:
        StageError: a pattern without "=", or one whose key no run has.
    """
    chosen = list(runs)
    for pattern in where:
        key, equals, value = pattern.partition("=")
        if not equals:
            raise StageError(f"{pattern!r} is not of the form key=value.", where="leaderboard.where")
        flat = {run.folder: flatten(run.record["config"]) for run in runs}
        known = {name for values in flat.values() for name in values}
        if runs and not any(fnmatchcase(name, key) for name in known):
            raise StageError(f"no run has a key {key!r}.", where="leaderboard.where", hint=nearest(key, sorted(known)))
        chosen = [run for run in chosen if any(fnmatchcase(name, key) and _fits(found, value) for name, found in flat[run.folder].items())]
    return chosen


def order(runs: Sequence[RunFolder], by: str, ascending: bool | None = None) -> list[RunFolder]:
    """The runs by a metric or key, the better ones first; those without it last, in the order in which they started.

    Args:
        ascending: smallest first; None: as it is better, so small for logloss, ece and seconds.

    Raises:
        StageError: none of the runs has it.
    """
    having = [run for run in runs if run.value(by) is not None]
    if runs and not having:
        known = sorted({name for run in runs for name in run.metrics} | {"seconds", "started"})
        raise StageError(f"no run has {by!r}.", where="leaderboard.sort", hint=nearest(by, known) or f"There are {', '.join(known)}.")
    if ascending is None:
        ascending = by.rpartition(".")[2] in ("logloss", "ece", "seconds")
    rest = [run for run in runs if run.value(by) is None]
    try:
        having.sort(key=lambda run: run.value(by), reverse=not ascending)
    except TypeError:  # a key that is a text in one run and a number in another
        having.sort(key=lambda run: _text(run.value(by)), reverse=not ascending)
    return having + sorted(rest, key=lambda run: str(run.record.get("started", "")))


def flatten(value: Any, path: str = "") -> dict[str, Any]:
    """Leaves of nested mappings by their dotted path; lists and empty mappings are leaves."""
    if not isinstance(value, Mapping) or not value:
        return {path: value}
    return {name: leaf for key, inner in value.items() for name, leaf in flatten(inner, f"{path}.{key}" if path else str(key)).items()}


def _metrics(folder: Path) -> Any:
    try:
        return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def interval_ends(folder: Path) -> dict[str, float]:
    """Ends of the intervals in metrics.json, as test.auc.low and test.auc.high."""
    return {
        f"{name.replace('.interval', '')}.{end}": value
        for name, interval in flatten(_metrics(folder)).items()
        if "interval" in name.split(".") and isinstance(interval, list)
        for end, value in zip(("low", "high"), interval, strict=False)
        if value is not None
    }


def _numbers(path: str, value: Any) -> Iterator[tuple[str, float]]:
    for name, leaf in flatten(value, path).items():
        if isinstance(leaf, int | float) and not isinstance(leaf, bool):
            yield name, leaf


def _fits(found: Any, pattern: str) -> bool:
    """Whether a value fits a pattern: as text, or as the same number otherwise written (1e-3 is 0.001)."""
    if fnmatchcase(_text(found), pattern):
        return True
    try:
        return isinstance(found, int | float) and not isinstance(found, bool) and float(pattern) == found
    except ValueError:
        return False


def _text(value: Any) -> str:
    """As it would be written on the command line."""
    return value if isinstance(value, str) else json.dumps(value)


def _is_alive(process: Mapping[str, Any]) -> bool:
    if process["host"] != platform.node():  # nobody here can tell
        return True
    try:
        os.kill(process["id"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
