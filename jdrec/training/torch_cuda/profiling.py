"""Traces of steps by PyTorch's profiler; Perfetto and chrome://tracing open them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile


@contextmanager
def profiler(folder: Path) -> Iterator[None]:
    """Leaves trace.json in `folder`: what CPU and GPU do inside."""
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * torch.cuda.is_available()
    with profile(activities=activities) as trace:
        yield
        if torch.cuda.is_available():
            torch.cuda.synchronize()
    trace.export_chrome_trace(str(folder / "trace.json"))
