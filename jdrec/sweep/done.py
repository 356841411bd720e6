"""A sweep that is started again in its folder runs only what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from jdrec.config import Config
from jdrec.errors import StageError
from jdrec.sweep.jobs import METRIC
from jdrec.tracking.runs import read_run


def finished_before(config: Config, folder: Path) -> float | None:
    """The result of an earlier job in `folder` that had the same configuration and came to its end; None: there is none."""
    try:
        earlier = read_run(folder)
    except StageError:
        return None
    wanted = json.loads(msgspec.json.encode(config))
    wanted["dataset"]["root"] = str(Path(config.dataset.root).resolve())  # as the record has it
    same = earlier.record["config"] == wanted and earlier.status == "finished"
    return earlier.metrics.get(METRIC) if same else None
