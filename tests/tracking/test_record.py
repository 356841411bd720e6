"""run.json: written from the start of a run to its end, however it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jdrec import pipeline
from jdrec.errors import JdrecError
from tests.composing import composed


def read(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def test_a_finished_run_tells_what_ran_where(tmp_path: Path) -> None:
    pipeline.run(composed("+experiment=jd_tutorial", "task=render"), tmp_path, ["task=render"])
    record = read(tmp_path)
    assert (record["status"], record["error"], record["overrides"]) == ("finished", None, ["task=render"])
    assert [stage["stage"] for stage in record["stages"]] == ["render"]
    assert record["stages"][0]["peak_memory_bytes"] > 2**20
    assert record["environment"]["packages"]["numpy"]
    assert record["config"]["features"]["request"]["table"] == "flattenRequest"


def test_a_failed_run_keeps_what_it_had_done_and_why_it_failed(tmp_path: Path) -> None:
    config = composed("+experiment=jd_deepfm", "task=extract", f"dataset.root={tmp_path / 'nowhere'}")
    with pytest.raises(JdrecError):
        pipeline.run(config, tmp_path / "run")
    record = read(tmp_path / "run")
    assert record["status"] == "failed" and "nowhere" in record["error"]
    assert [stage["stage"] for stage in record["stages"]] == ["render", "check"]
