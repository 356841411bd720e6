"""Multirun: jobs side by side, studies that go on after a stop, and what a sweep leaves at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback

failed: list[Path] = []  # jobs of the sweep that has ended, wherever they ran


class Leaderboard(Callback):
    """Hydra callback: the results of all jobs on the terminal, in leaderboard.csv and runs.csv, and as a page."""

    def on_multirun_end(self, config: Any, **kwargs: Any) -> None:
        from jdrec.sweep.end import show

        failed[:] = show(Path(config.hydra.sweep.dir))
