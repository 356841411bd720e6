"""What the prediction service counts and times, for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

STAGES = ("parse", "features", "encode", "infer", "answer")
_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Metrics:
    """Counters of one service, in a registry of their own."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = Counter("jdrec_requests", "Calls of /predict by HTTP status.", ["status"], registry=self._registry)
        self.errors = Counter("jdrec_errors", "Failed calls of /predict by kind.", ["kind"], registry=self._registry)
        self.rows = Histogram("jdrec_rows", "Rows in a scored call.", buckets=_ROWS, registry=self._registry)
        self.seconds = Histogram("jdrec_request_seconds", "Time of a call, all stages.", buckets=_SECONDS, registry=self._registry)
        stages = Histogram("jdrec_stage_seconds", "Time of a stage of a call.", ["stage"], buckets=_SECONDS, registry=self._registry)
        self._stages = {stage: stages.labels(stage) for stage in STAGES}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times one stage of a call; failed ones count too."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._stages[name].observe(time.perf_counter() - start)

    def text(self) -> bytes:
        """The exposition format, version 0.0.4."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)
