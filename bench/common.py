"""What every bench script shares: `--json FILE`, and a description of the machine beside the figures."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any


def parser(description: str) -> argparse.ArgumentParser:
    """An argument parser that already knows `--json FILE`."""
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, with the machine's description")
    return result


def environment(**more: str) -> dict[str, str]:
    """The environment for a process that is measured: Python keeps the bytecode of what it imports, whatever this shell says."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | more


def machine() -> dict[str, Any]:
    """Processor, cores, memory (GiB), Python and library versions."""
    cpu = next((line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), platform.processor())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = {}
    for name in ("numpy", "numba", "pyarrow", "hydra-core", "oneflow", "torch", "tritonclient", "pyspark", "lightgbm"):
        try:
            libraries[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0))
    return {"cpu": cpu, "cores": cores, "memory_gib": round(memory, 1), "python": platform.python_version(), "libraries": libraries}


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def report(name: str, figures: dict[str, Any], json_file: Path | None) -> None:
    """Prints the figures, one a line, and writes them to `json_file` if given."""
    width = max(map(len, figures), default=0)
    for key, value in figures.items():
        print(f"{key:{width}}  {value:,.4g}" if isinstance(value, float) else f"{key:{width}}  {value}")
    if json_file:
        write(name, figures, json_file)


def write(name: str, figures: dict[str, Any], json_file: Path) -> None:
    """Writes figures with the machine's description."""
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    result = {"bench": name, "time": when, "command": " ".join(sys.argv), "machine": machine(), "figures": figures}
    json_file.parent.mkdir(parents=True, exist_ok=True)
    json_file.write_text(json.dumps(result, indent=2) + "\n")
