"""Where Hydra looks for launchers and sweepers: it takes none from elsewhere. They are written in jdrec.sweep."""

from __future__ import annotations

from jdrec.sweep import optuna, parallel


class ParallelLauncher(parallel.ParallelLauncher):
    """hydra/launcher=parallel"""


class OptunaSweeper(optuna.OptunaSweeper):
    """hydra/sweeper=optuna"""
