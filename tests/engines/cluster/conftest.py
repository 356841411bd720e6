"""Fixtures of the cluster engine's tests: the stand-in in the place of the SDK, and a clock that only sleeping moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jdrec.engines.openmldb import connection, jobs
from tests.engines.cluster.examples import write_output
from tests.engines.cluster.stand_in import Cluster


class Clock:
    """Time that passes when someone sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.on_sleep: Callable[[], None] = lambda: None

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.on_sleep()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    made = jobs.Patience.__init__

    def init(self: Any, poll_s: float, job_timeout_s: float | None, retries: int) -> None:
        made(self, poll_s, job_timeout_s, retries, clock.now, clock.sleep)

    monkeypatch.setattr(jobs.Patience, "__init__", init)
    return clock


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Cluster:
    cluster = Cluster(output=write_output)
    monkeypatch.setattr(connection, "load_dbapi", lambda: cluster)
    for name in ("OPENMLDB_ZK", "OPENMLDB_ZK_PATH", "OPENMLDB_HOST", "OPENMLDB_USER", "OPENMLDB_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return cluster
