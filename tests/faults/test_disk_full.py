"""The disk is full, really: what is there stays whole, the message is clear, and work goes on when there is room."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from jdrec.stages import Run
from tests.conftest import REPO
from tests.faults.full_disk import on_small_disk
from tests.verify.small_run import REQUESTS, make_run

CHUNK_KB = 4  # a part of one row takes a page of memory


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("run"))


def test_scoring_stops_with_one_message_and_goes_on(run: Run, tmp_path: Path) -> None:
    score = (
        f"{sys.executable} -m jdrec task=score run={run.folder} score.user=reader score.product=ad score.chunk_rows=1 score.out=disk/out"
    )
    script = f"""
{score}; echo "first $?"
find disk -name 'part-*' | wc -l | sed 's/^/parts /'
find disk -name '.part-*' -o -name 'by_*' | sed 's/^/left /'
mount -o remount,size=4096k disk
{score}; echo "second $?"
find disk -name 'part-*' | wc -l | sed 's/^/parts /'
"""
    done = on_small_disk(tmp_path / "disk", 30 * CHUNK_KB, script, tmp_path)
    said = done.stdout.splitlines()
    assert said[0] == "first 1", done
    message = r"^error: score\.out: disk/out cannot be written: No space left on device\. What is scored stays: call it again\.$"
    assert re.search(message, done.stderr, re.MULTILINE), done.stderr
    assert "Traceback" not in done.stderr
    kept = int(said[1].split()[1])
    assert 10 < kept <= 30  # whole files alone, no half list
    assert not [line for line in said if line.startswith("left")]
    assert f"{kept} of {REQUESTS} chunks were there from an earlier call" in done.stderr
    assert said[-2:] == ["second 0", f"parts {REQUESTS}"]


def test_the_request_log_leaves_rows_out_and_goes_on(run: Run, tmp_path: Path) -> None:
    script = f"exec {sys.executable} -m tests.faults.fill_log '{tmp_path / 'disk'}' {run.folder}"
    done = on_small_disk(tmp_path / "disk", 300, script, REPO)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "whole files when full: True True 50",
        "after room was made: 50 0",
        "half-written files: 0",
    ]
    assert "the request log can't be written; 1 calls are left out" in done.stderr
