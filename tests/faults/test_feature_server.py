"""The feature server is killed, really, while requests are replayed against it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from jdrec.dataset.rows import StoredRows
from jdrec.progress import Progress
from jdrec.serving.features import OpenMLDBSource
from jdrec.stages import Run
from jdrec.verify.arrivals import in_order, sources
from jdrec.verify.offline import Offline
from jdrec.verify.replay import Replay
from jdrec.verify.report import Report
from jdrec.verify.targets import ApiServerTarget
from tests.verify.small_run import REQUESTS, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("run"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def feature_server(run: Run, cwd: Path, *, port: int, preload: str = "[]", durable: bool = True) -> Iterator[subprocess.Popen[str]]:
    arguments = ["task=feature_server", f"run={run.folder}", f"online.server.port={port}", f"online.preload={preload}"]
    arguments += ["online.dir=store"] if durable else []
    command = [sys.executable, "-m", "jdrec", *arguments]
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("Ctrl-C"):
            break
    else:
        pytest.fail("".join(said))
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        process.wait()


def test_verification_of_a_server_that_dies_is_one_message_and_exit_code_1(run: Run, tmp_path: Path) -> None:
    port = free_port()
    with feature_server(run, tmp_path, port=port, durable=False) as server:
        command = [sys.executable, "-m", "jdrec", "task=verify", f"run={run.folder}", "verify.features=openmldb", "verify.batch=1"]
        command.append(f"openmldb.endpoint=http://127.0.0.1:{port}")
        verify = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=kill_at_half, args=(port, server), daemon=True).start()
        out, err = verify.communicate(timeout=120)
    assert verify.returncode == 1
    last = err.splitlines()[-1]
    assert last.startswith("error: Stopped after ") and f"The OpenMLDB APIServer at http://127.0.0.1:{port} does not answer" in last, err
    assert 0 < int(last.split()[3]) < REQUESTS
    assert "Traceback" not in out + err and "0 differ" not in out


def kill_at_half(port: int, server: subprocess.Popen[str]) -> None:
    """Kills the server as soon as half of the requests are stored, which it says itself."""
    import httpx

    with httpx.Client(trust_env=False) as client:
        while True:
            state = client.get(f"http://127.0.0.1:{port}/health", timeout=20).json()
            if stored_requests(state) >= REQUESTS // 2:
                os.killpg(server.pid, signal.SIGKILL)
                return


def stored_requests(state: dict) -> int:
    return next(store["rows"] for store in state["data"]["stores"] if store["tables"] == ["request"])


def test_a_replay_goes_on_after_kills_and_every_request_sees_what_offline_saw(run: Run, tmp_path: Path) -> None:
    """Acknowledged rows, each sent once, are all that is needed: none is lost, none is there twice."""
    plan = sources(run.feature_set)
    tables = {name: StoredRows(run.tables[name]) for name in ("request", *plan.streamed, *plan.first)}
    times = {name: tables[name].times(columns) for name, columns in plan.streamed.items()}
    times["request"] = tables["request"].times(["at"])
    steps = list(in_order("request", times))
    offline = Offline.of_run(run)
    report = Report("server", "bought", 0.0, 1e-6, 3)
    thirds = np.array_split(np.arange(len(steps)), 3)
    port = free_port()
    for number, third in enumerate(thirds):
        with feature_server(run, tmp_path, port=port) as server:
            asyncio.run(replay(run, tables, plan.first if number == 0 else (), [steps[i] for i in third], port, offline, report))
            os.killpg(server.pid, signal.SIGKILL)
    assert report.lines()[-1] == f"{REQUESTS} requests, 13 features, 8 ids, {REQUESTS} scores: 0 differ"


async def replay(run, tables, first, steps, port, offline, report) -> None:  # type: ignore[no-untyped-def]
    from jdrec.verify.offline import scores

    endpoint = f"http://127.0.0.1:{port}"
    target = ApiServerTarget(OpenMLDBSource(run.feature_set, endpoint=endpoint, deployment="demo", timeout_s=20), endpoint)
    replay = Replay(run.feature_set, target, tables, "all", 1)
    await target.open()
    with Progress.silent().task("replay") as task:
        await replay.store(first, task)
        async for block in replay.blocks(steps, task):
            assert block.features is not None and not block.unanswered
            ids = offline.encoder.encode(block.features)
            report.add(offline, block.numbers, block.numbers, block.features)
            report.add_model(offline, block.numbers, block.numbers, ids, scores(offline.scorer, ids))
    await target.close()
