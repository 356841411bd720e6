"""task=score is killed, really, and goes on; the command line's mistakes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jdrec.stages import Run
from tests.verify.small_run import REQUESTS, make_run

COMMAND = [sys.executable, "-m", "jdrec", "task=score", "score.user=reader", "score.product=ad"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("run"))


def start(run: Run, cwd: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, f"run={run.folder}", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(run: Run, cwd: Path, *arguments: str) -> tuple[int, str, str]:
    process = start(run, cwd, *arguments)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def parts(out: Path) -> set[Path]:
    return {file for file in out.rglob("part-*.parquet") if not file.name.startswith(".")}


def kill_after(process: subprocess.Popen[str], out: Path, count: int) -> bool:
    """Kills it as soon as so many chunks are there; whether it was still running."""
    while process.poll() is None:
        if len(parts(out)) >= count:
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.0005)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def test_a_killed_run_goes_on_and_gives_what_an_undisturbed_one_gives(run: Run, tmp_path: Path) -> None:
    code, out, err = finish(run, tmp_path, "score.out=whole", "score.chunk_rows=1")
    assert code == 0, err
    assert out.splitlines()[-1].startswith(f"{REQUESTS} rows scored")
    killed, kept = 0, set()
    for count in (5, 30, 31, 90):
        if kill_after(start(run, tmp_path, "score.out=killed", "score.chunk_rows=1"), tmp_path / "killed", count):
            killed += 1
            now = {(file, file.stat().st_mtime_ns) for file in parts(tmp_path / "killed")}
            assert kept <= now and len(now) >= count  # what was there is not made again
            assert not (tmp_path / "killed" / "by_user.parquet").exists()
            assert all(pq.read_metadata(file).num_rows == 1 for file, _ in now)
            kept = now
    assert killed >= 3
    code, _, err = finish(run, tmp_path, "score.out=killed", "score.chunk_rows=1")
    assert code == 0 and f"of {REQUESTS} chunks were there from an earlier call" in err, err
    for name in ("by_user.parquet", "by_product.parquet"):
        assert pq.read_table(tmp_path / "killed" / name).equals(pq.read_table(tmp_path / "whole" / name))
    names = [sorted(str(file.relative_to(tmp_path / out)) for file in parts(tmp_path / out)) for out in ("killed", "whole")]
    assert names[0] == names[1] and len(names[0]) == REQUESTS
    assert all(pq.read_table(tmp_path / "killed" / name).equals(pq.read_table(tmp_path / "whole" / name)) for name in names[0])
    assert not list((tmp_path / "killed").rglob(".part*"))


def test_the_lock_of_a_killed_process_is_gone(run: Run, tmp_path: Path) -> None:
    first = start(run, tmp_path, "score.out=out", "score.chunk_rows=1")
    assert kill_after(first, tmp_path / "out", 3)
    assert finish(run, tmp_path, "score.out=out", "score.chunk_rows=1")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run=nowhere"], "error: run: nowhere is not the folder of a run"),
        (["score.user=reder"], "error: score.user: the request table 'request' has no column 'reder'. Did you mean 'reader'?"),
        (["score.uses=reader"], "error: score.uses: unknown key 'uses'. Did you mean 'user'?"),
        (["score.chunk_rows=0"], "error: score.chunk_rows: 0 does not fit"),
        (["score.requests=no.csv"], "error: score.requests: table 'request': there is no no.csv."),
        (["model.embedding_dim=4"], "error: model.embedding_dim: is fixed by the earlier run."),
    ],
)
def test_a_mistake_is_one_message(arguments: list[str], message: str, run: Run, tmp_path: Path) -> None:
    code, out, err = finish(run, tmp_path, *arguments)
    assert code == 1
    assert err.splitlines()[-1].startswith(message), err
    assert "Traceback" not in out + err


def test_a_run_without_a_model_is_one_message(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (run.checkpoint / "checkpoint.json").unlink()
    code, _, err = finish(run, tmp_path)
    assert code == 1
    assert f"error: run: {run.folder} is not a finished run: checkpoints/best/checkpoint.json is missing." in err
