"""What a run writes down of itself, from its start to its end: run.json in its folder."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import msgspec

from jdrec.config import Config
from jdrec.files import write_text
from jdrec.tracking.environment import environment

FILE = "run.json"
Status = Literal["running", "finished", "failed", "interrupted"]


class Record:
    """The record of one run; every change is on the disk at once, so that a killed run leaves what it had done.

    Args:
        folder: the run's.
        overrides: what the command line changed.
    """

    def __init__(self, folder: Path, config: Config, overrides: Sequence[str]):
        self._file = folder / FILE
        self._start = time.perf_counter()
        values = msgspec.to_builtins(config)
        values["dataset"]["root"] = str(Path(config.dataset.root).resolve())  # run= may come from another working folder
        self._values: dict[str, Any] = {
            "task": config.task,
            "status": "running",
            "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "seconds": 0.0,
            "process": {"id": os.getpid(), "host": platform.node()},
            "error": None,
            "overrides": list(overrides),
            "stages": [],
            "data": None,
            "environment": environment(),
            "config": values,
        }
        self._write()

    def stage(self, **about: Any) -> None:
        """Adds a stage that is done: stage, reused, seconds, summary, key, peak_memory_bytes."""
        self._values["stages"].append(about)
        self._write()

    def end(self, status: Status, error: str | None = None, data: Any = None) -> None:
        """Closes the record.

        Args:
            error: what stopped the run.
            data: the tables' fingerprint: per file its path, size and time of change.
        """
        self._values |= {"status": status, "error": error, "data": data}
        self._write()

    def _write(self) -> None:
        self._values["seconds"] = round(time.perf_counter() - self._start, 3)
        write_text(self._file, json.dumps(self._values, indent=2, ensure_ascii=False) + "\n")
