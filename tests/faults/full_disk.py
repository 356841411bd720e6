"""A file system of a few hundred kilobytes, which really fills up: a tmpfs in a mount namespace of its own, without being root."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest


@cache
def _possible() -> bool:
    command = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return shutil.which("unshare") is not None and subprocess.run(command, capture_output=True).returncode == 0


def on_small_disk(folder: Path, kilobytes: int, script: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a shell script in which `folder` is a file system of so many kilobytes; it is gone afterwards."""
    if not _possible():
        if os.environ.get("CI"):
            pytest.fail("this system gives no mount namespace")
        pytest.skip("this system gives no mount namespace")
    folder.mkdir(parents=True, exist_ok=True)
    whole = f"mount -t tmpfs -o size={kilobytes}k none '{folder}' || exit 99\n{script}"
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", whole]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=180)
