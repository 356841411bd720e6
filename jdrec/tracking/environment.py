"""Where a run ran: versions, the machine, the state of the working folder's git repository. Every run asks, so it has to be quick."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from typing import Any

from jdrec.system import cores

# What can change a result. Absent ones are left out.
_PACKAGES = ("jdrec", "hydra-core", "numpy", "numba", "pyarrow", "pandas", "xxhash", "oneflow", "torch", "openmldb", "pyspark", "lightgbm")
_GIT_PATIENCE_S = 2.0


def environment() -> dict[str, Any]:
    """Plain values for run.json: python, packages, machine, git (None outside a repository)."""
    return {
        "python": platform.python_version(),
        "packages": versions(),
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cores": cores()},
        "git": git_state(),
    }


def versions() -> dict[str, str]:
    """Installed versions by the names of their folders: reading each package's metadata would take longer than rendering all SQL."""
    found: dict[str, str] = {}
    for place in sys.path:
        try:
            names = os.listdir(place or ".")
        except OSError:
            continue
        for name in names:
            if match := re.fullmatch(r"(.+?)-(\d[^-]*)\.dist-info", name):
                found.setdefault(re.sub(r"[-_.]+", "-", match[1]).lower(), match[2])
    return {name: found[name] for name in _PACKAGES if name in found}


def git_state() -> dict[str, Any] | None:
    """The commit that the working folder is at, and whether files that git knows have changed since."""
    command = ["git", "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.splitlines()
    commit = next((line.split()[2] for line in lines if line.startswith("# branch.oid ")), None)
    return {"commit": commit, "dirty": any(not line.startswith("#") for line in lines)} if done.returncode == 0 else None
