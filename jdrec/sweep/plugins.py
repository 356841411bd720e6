"""jdrec's own launcher and sweeper, made known to Hydra where its scan of packages does not find them: in an editable installation."""

from __future__ import annotations

import sys


def register() -> None:
    """Lets hydra/launcher=parallel and hydra/sweeper=optuna find their classes; only -m needs them."""
    if not {"-m", "--multirun"} & set(sys.argv[1:]):
        return
    from hydra.core.plugins import Plugins

    from hydra_plugins import jdrec

    for plugin in (jdrec.ParallelLauncher, jdrec.OptunaSweeper):
        Plugins.instance().register(plugin)
