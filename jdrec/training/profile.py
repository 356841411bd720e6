"""Where a step's time goes, as a trace that Perfetto and chrome://tracing open."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jdrec import files


class Spans:
    """Named spans of time; nothing is kept until `record` is on."""

    def __init__(self) -> None:
        self.record = False
        self._events: list[tuple[str, float, float]] = []
        self._zero = time.perf_counter()

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Times the block."""
        if not self.record:
            yield
            return
        start = time.perf_counter()
        try:
            yield
        finally:
            self._events.append((name, start, time.perf_counter()))

    def write(self, file: Path) -> None:
        """Writes the Trace Event Format: complete events, in microseconds."""
        thread = threading.get_native_id()
        events = [
            {
                "name": name,
                "ph": "X",
                "pid": 1,
                "tid": thread,
                "ts": round(1e6 * (start - self._zero), 3),
                "dur": round(1e6 * (end - start), 3),
            }
            for name, start, end in self._events
        ]
        files.write_text(file, json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}) + "\n")
