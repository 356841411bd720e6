"""run.json: written from the start of a run to its end, however it ends."""

from __future__ import annotations

import json
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from jdrec import pipeline
from jdrec.errors import JdrecError
from jdrec.tracking.environment import git_state, versions
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


def test_versions_are_those_that_the_packages_themselves_tell() -> None:
    found = versions()
    assert {"jdrec", "numpy", "hydra-core"} <= set(found)
    assert found == {name: metadata.version(name) for name in found}


def test_the_commit_and_changes_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state() is None
    (tmp_path / "file").write_text("one")
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "file"], [*who, "commit", "-qm", "one"]):
        subprocess.run(["git", *command], check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert git_state() == {"commit": head, "dirty": False}
    (tmp_path / "new").write_text("not known to git")
    assert git_state() == {"commit": head, "dirty": False}
    (tmp_path / "file").write_text("two")
    assert git_state() == {"commit": head, "dirty": True}


def test_a_failed_run_keeps_what_it_had_done_and_why_it_failed(tmp_path: Path) -> None:
    config = composed("+experiment=jd_deepfm", "task=extract", f"dataset.root={tmp_path / 'nowhere'}")
    with pytest.raises(JdrecError):
        pipeline.run(config, tmp_path / "run")
    record = read(tmp_path / "run")
    assert record["status"] == "failed" and "nowhere" in record["error"]
    assert [stage["stage"] for stage in record["stages"]] == ["render", "check"]
