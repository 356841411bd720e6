"""task=verify on the command line: one clear line and the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jdrec.stages import Run
from tests.verify.small_run import REQUESTS, change, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("run"))


def verify(run: Run, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jdrec", "task=verify", f"run={run.folder}", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def test_equality_is_exit_code_0(run: Run, tmp_path: Path) -> None:
    done = verify(run, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{REQUESTS} requests, 13 features, 8 ids, {REQUESTS} scores: 0 differ"


def test_a_difference_is_exit_code_1(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    change(run.folder / "features.parquet", "brand", 2, "other")
    done = verify(run, tmp_path)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].endswith(": 1 differ (1 values)")
    assert done.stderr.splitlines()[-1] == "error: offline and online are not the same: brand."
    (found,) = json.loads((run.folder / "verify.json").read_text())
    assert found["features"]["differing"] == {"brand": 1}
    assert found["features"]["examples"][0]["offline"] == "other"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run=nowhere"], "error: run: nowhere is not the folder of a run"),
        (["verify.feature=embedded"], "error: verify.feature: unknown key 'feature'. Did you mean 'features'?"),
        (["verify.insert=some"], "error: verify.insert: 'some' is not a valid value."),
        (["verify.service=127.0.0.1:8887"], "error: verify.service: '127.0.0.1:8887' does not fit"),
        (["verify.requests=no/log"], "error: verify.requests: there is no folder no/log."),
        (["verify.service=http://127.0.0.1:9"], "error: verify.service: The prediction service at http://127.0.0.1:9 does not answer"),
        (
            ["verify.features=openmldb", "openmldb.endpoint=http://127.0.0.1:9"],
            "error: openmldb.endpoint: There is no such deployment at http://127.0.0.1:9",
        ),
    ],
)
def test_a_mistake_is_one_message(arguments: list[str], message: str, run: Run, tmp_path: Path) -> None:
    done = verify(run, tmp_path, *arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(message), done.stderr
    assert "Traceback" not in done.stdout + done.stderr
