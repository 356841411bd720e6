"""What the prediction service counts and times, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from jdrec.serving.drift import Drift, metrics_of

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

BATCH_STAGES = ("features", "encode", "infer")
CALL_STAGES = ("parse", "queue", "answer")
_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Metrics:
    """Counters of one service, in a registry of their own.

    Args:
        drifts: the served models' counts: (model, version, counts).
    """

    def __init__(self, drifts: Callable[[], Iterator[tuple[str, int, Drift]]]) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
        from prometheus_client.registry import Collector

        class Models(Collector):
            def collect(self) -> Iterator[Metric]:
                return metrics_of(drifts())

        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(Models())
        requests = Counter("jdrec_requests", "Calls by path and HTTP status.", ["path", "status"], registry=registry)
        seconds = Histogram("jdrec_request_seconds", "Time of a call, all stages.", ["path"], buckets=_SECONDS, registry=registry)
        stages = Histogram("jdrec_stage_seconds", "Time of a stage of a call or batch.", ["stage"], buckets=_SECONDS, registry=registry)
        self.errors = Counter("jdrec_errors", "Failed calls by kind.", ["kind"], registry=registry)
        self.rows = Histogram("jdrec_rows", "Rows in a scored call.", buckets=_ROWS, registry=registry)
        self.batch_rows = Histogram("jdrec_batch_rows", "Rows that went to Triton together.", buckets=_ROWS, registry=registry)
        self.open_calls = Gauge("jdrec_open_calls", "Calls that are being answered.", registry=registry)
        self.queued_rows = Gauge("jdrec_queued_rows", "Rows that wait for their batch.", registry=registry)
        self.log_dropped = Counter(
            "jdrec_request_log_dropped_rows", "Rows left out of the request log, since too many waited to be written.", registry=registry
        )
        self.stages = {stage: stages.labels(stage).observe for stage in (*CALL_STAGES, *BATCH_STAGES)}
        self._requests, self._seconds = requests, seconds
        self._calls: dict[tuple[str, int], Callable[[], None]] = {}
        self._timed: dict[str, Callable[[float], None]] = {}

    def call(self, path: str, status: int, seconds: float) -> None:
        """Counts an answered call."""
        key = (path, status)
        if key not in self._calls:
            self._calls[key] = self._requests.labels(path, str(status)).inc
            self._timed[path] = self._seconds.labels(path).observe
        self._calls[key]()
        self._timed[path](seconds)

    def text(self) -> bytes:
        """The exposition format, version 0.0.4."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)
