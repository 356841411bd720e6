"""How long the prediction service of a run took to answer: what its access log says."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jdrec.config import AccessLogConfig

_PATHS = ("/predict", "/candidates")
_MOST_CALLS = 200_000  # the newest
_FEWEST_CALLS = 20  # a percentile of fewer says nothing
_PARTS = {"features_ms": "features", "encode_ms": "encoding", "infer_ms": "inference"}
_SHARES = (0.0, *(k / 40 for k in range(1, 38)), 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)


def measured(folder: Path, config: AccessLogConfig) -> list[dict[str, Any]]:
    """For each path that was asked often enough: path, calls, failed, p50, p95, p99 and longest ms of the calls that were answered,
    quantiles (ms, share), parts (name, median ms), first and last moment in seconds since 1970.

    Args:
        folder: the run's.
    """
    calls: dict[str, deque[dict[str, Any]]] = {path: deque(maxlen=_MOST_CALLS) for path in _PATHS}
    for call in _calls(folder, config):
        if call.get("path") in calls:
            calls[call["path"]].append(call)
    found = (_summary(path, list(those)) for path, those in calls.items())
    return [about for about in found if about is not None]


def _calls(folder: Path, config: AccessLogConfig) -> Iterator[dict[str, Any]]:
    """The log's lines, oldest file first."""
    if config.file is None or config.file == "-":
        return
    file = folder / config.file
    for place in [*(file.with_name(f"{file.name}.{number}") for number in range(config.backups, 0, -1)), file]:
        if not place.is_file():
            continue
        with place.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    yield json.loads(line)
                except ValueError:  # the last line of a killed service
                    continue


def _summary(path: str, calls: list[dict[str, Any]]) -> dict[str, Any] | None:
    answered = [call for call in calls if call["status"] == 200]
    if len(answered) < _FEWEST_CALLS:
        return None
    times = np.array([call["ms"] for call in answered])
    p50, p95, p99 = (float(np.quantile(times, share)) for share in (0.5, 0.95, 0.99))
    return {
        "path": path,
        "calls": len(calls),
        "failed": sum(call["status"] >= 500 for call in calls),
        "rows": sum(call.get("rows", 0) for call in answered) / len(answered),
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "longest": float(times.max()),
        "quantiles": [{"share": share, "ms": float(np.quantile(times, share))} for share in _SHARES],
        "parts": [
            {"name": title, "ms": float(np.median([call[name] for call in answered if name in call]))}
            for name, title in _PARTS.items()
            if any(name in call for call in answered)
        ],
        "first": calls[0]["time"],
        "last": calls[-1]["time"],
    }
