"""A sweep that is started again in its folder runs only what is missing."""

from __future__ import annotations

from pathlib import Path

import msgspec

from jdrec.config import Config, load
from jdrec.errors import ConfigError, StageError
from jdrec.sweep.jobs import METRIC
from jdrec.tracking.runs import read_run


def finished_before(config: Config, folder: Path) -> float | None:
    """The result of an earlier job in `folder` that had the same configuration and came to its end; None: there is none."""
    try:
        earlier = read_run(folder)
        before = load(dict(earlier.record["config"]))  # a key that came later has its default
    except (StageError, ConfigError):
        return None
    root = str(Path(config.dataset.root).resolve())  # as the record has it
    wanted = msgspec.structs.replace(config, dataset=msgspec.structs.replace(config.dataset, root=root))
    return earlier.metrics.get(METRIC) if before == wanted and earlier.status == "finished" else None
