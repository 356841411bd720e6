"""Multirun: jobs side by side, studies that go on after a stop, and what a sweep leaves at its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback

if TYPE_CHECKING:
    from jdrec.sweep.jobs import JobError

failed: list[JobError] = []  # of the sweep that has ended, wherever its jobs ran


class Leaderboard(Callback):
    """Hydra callback: the results of all jobs on the terminal, in leaderboard.csv and runs.csv, and as a page."""

    def on_multirun_end(self, config: Any, **kwargs: Any) -> None:
        from jdrec.sweep.end import show

        failed[:] = show(Path(config.hydra.sweep.dir))
