"""Latency by the service's own log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jdrec.config import AccessLogConfig
from jdrec.report.latency import measured


def call(path: str, status: int, ms: float, **more: Any) -> str:
    return json.dumps({"time": 1000.0 + ms, "path": path, "status": status, "ms": ms, **more}) + "\n"


def test_percentiles_over_the_log_and_its_rotated_files(tmp_path: Path) -> None:
    older = "".join(call("/predict", 200, float(ms), rows=1, features_ms=0.25, infer_ms=2.0) for ms in range(1, 51))
    newer = "".join(call("/predict", 200, float(ms), rows=3, features_ms=0.25, infer_ms=4.0) for ms in range(51, 101))
    (tmp_path / "service.jsonl.1").write_text(older)
    (tmp_path / "service.jsonl").write_text(
        newer + call("/predict", 503, 9000.0) + call("/health", 200, 1.0) * 50 + call("/candidates", 200, 7.0)
    )
    with (tmp_path / "service.jsonl").open("a") as log:
        log.write('{"time": 1, "path": "/predi')  # of a killed service
    (about,) = measured(tmp_path, AccessLogConfig())  # /candidates was asked but once
    assert (about["path"], about["calls"], about["failed"], about["rows"]) == ("/predict", 101, 1, 2.0)
    assert (about["p50"], round(about["p99"], 2), about["longest"]) == (50.5, 99.01, 100.0)
    assert about["parts"] == [{"name": "features", "ms": 0.25}, {"name": "inference", "ms": 3.0}]
    assert (about["quantiles"][0], about["quantiles"][-1]) == ({"share": 0.0, "ms": 1.0}, {"share": 1.0, "ms": 100.0})


def test_a_run_that_never_served_has_none(tmp_path: Path) -> None:
    assert measured(tmp_path, AccessLogConfig()) == []
    assert measured(tmp_path, AccessLogConfig(file=None)) == []
