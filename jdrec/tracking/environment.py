"""Where a run ran: versions, the machine, the state of the working folder's git repository."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from typing import Any

from jdrec.system import cores

# What can change a result. Absent ones are left out.
_PACKAGES = ("jdrec", "hydra-core", "numpy", "numba", "pyarrow", "pandas", "xxhash", "oneflow", "torch", "openmldb", "pyspark", "lightgbm")
_GIT_PATIENCE_S = 2.0


def environment() -> dict[str, Any]:
    """Plain values for run.json: python, packages, machine, git (None outside a repository)."""
    return {
        "python": platform.python_version(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name)) is not None},
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cores": cores()},
        "git": git_state(),
    }


def git_state() -> dict[str, Any] | None:
    """The commit that the working folder is at, and whether files that git knows have changed since."""
    found = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--untracked-files=no")
    return None if found[0] is None else {"commit": found[0], "dirty": bool(found[1]) if found[1] is not None else None}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=_GIT_PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
