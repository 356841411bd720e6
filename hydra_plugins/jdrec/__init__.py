"""Where Hydra looks for launchers and sweepers: it takes none from elsewhere.

They are written in jdrec.sweep and imported when a sweep makes one: Hydra imports this file for every command.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper


class ParallelLauncher(Launcher):
    """hydra/launcher=parallel"""

    def __init__(self, **settings: Any):
        from jdrec.sweep.parallel import ParallelLauncher as Own

        self._own = Own(**settings)

    def setup(self, **parts: Any) -> None:
        self._own.setup(**parts)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        return self._own.launch(job_overrides, initial_job_idx)


class OptunaSweeper(Sweeper):
    """hydra/sweeper=optuna"""

    def __init__(self, **settings: Any):
        from jdrec.sweep.optuna import OptunaSweeper as Own

        self._own = Own(**settings)

    def setup(self, **parts: Any) -> None:
        self._own.setup(**parts)

    def sweep(self, arguments: list[str]) -> Any:
        return self._own.sweep(arguments)
