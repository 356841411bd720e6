"""A real tritonserver: started, asked, killed, stopped, with nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jdrec.errors import MissingExtra, ServingError
from jdrec.serving import triton, triton_wheel
from jdrec.serving.supervisor import Supervisor
from jdrec.serving.triton import TritonServer, free_port
from jdrec.training.scoring import Scorer
from tests.serving.small_definitions import with_fields
from tests.serving.small_models import configuration, export_run, random_ids, run_folder

pytestmark = pytest.mark.triton

START = """
import sys, time
from pathlib import Path
from jdrec.serving.triton import TritonServer
run = Path(sys.argv[1])
with TritonServer(run / "triton", model="embedding", version=1, port=int(sys.argv[2]), log_file=run / "log") as server:
    print(server.process.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = run_folder(tmp_path_factory.mktemp("run"), with_fields(2, 3), numeric=2)
    export_run(folder, with_fields(2, 3), configuration())
    return folder


def server_of(run: Path, **options) -> TritonServer:
    return TritonServer(run / "triton", model="embedding", version=1, log_file=run / "triton.log", **options)


def scores(server: TritonServer, ids: np.ndarray) -> np.ndarray:
    import tritonclient.http as client

    tensor = client.InferInput("INPUT_0", list(ids.shape), "INT64")
    tensor.set_data_from_numpy(ids)
    with client.InferenceServerClient(server.url) as connection:
        return connection.infer("embedding", [tensor]).as_numpy("OUTPUT_0")


def group_members(group: int) -> list[str]:
    """Command names of the live processes of a process group."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name, fields = (entry / "stat").read_text().split(" (", 1)[1].rsplit(") ", 1)
            except (OSError, ValueError):
                continue
            state, _, process_group = fields.split()[:3]
            if int(process_group) == group and state != "Z":
                members.append(name)
    return members


def shared_memory(pid: int) -> list[str]:
    return [name for name in os.listdir("/dev/shm") if name.startswith(f"jdrec_triton_{pid}_")]


def wait_for(condition, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_scores_are_the_trainers_and_nothing_is_left(run):
    before, regions = set(os.listdir("/tmp")), shared_memory(os.getpid())  # others of this process may run
    with server_of(run) as server:
        ids = random_ids(200, 5, numeric=2)
        np.testing.assert_allclose(scores(server, ids), Scorer(run / "checkpoints" / "best").scores(ids), rtol=0, atol=1e-5)
        group = server.process.pid
        assert "tritonserver" in group_members(group)
    assert group_members(group) == []
    assert shared_memory(os.getpid()) == regions
    assert not [name for name in set(os.listdir("/tmp")) - before if name.startswith("jdrec-triton-")]
    assert not list((run / "triton").rglob("__pycache__"))


def test_an_error_while_scoring_is_the_requests_and_the_server_lives_on(tmp_path):
    """A checkpoint with fewer fields than config.pbtxt says: every call fails inside the model."""
    from tritonclient.utils import InferenceServerException

    folder = run_folder(tmp_path, with_fields(1, 1))
    export_run(folder, with_fields(2, 3), configuration())
    with server_of(folder) as server:
        for _ in range(2):
            with pytest.raises(InferenceServerException, match="ids have shape"):
                scores(server, np.zeros((1, 5), np.int64))
        assert triton._answers(f"http://{server.url}/v2/health/ready")


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_the_process_that_started_it(run, end):
    parent = subprocess.Popen([sys.executable, "-c", START, str(run), "0"], stdout=subprocess.PIPE, text=True)
    group = int(parent.stdout.readline())
    parent.send_signal(end)
    parent.wait()
    wait_for(lambda: not group_members(group))
    wait_for(lambda: not shared_memory(parent.pid))


def test_the_supervisor_brings_it_back(run):
    with Supervisor(server_of(run)) as supervisor:
        supervisor.wait_until_ready()
        server, ids = supervisor.server, random_ids(3, 5)
        expected, first = scores(server, ids), server.process.pid
        os.killpg(first, signal.SIGKILL)
        wait_for(
            lambda: server.process is not None and server.process.pid != first and triton._answers(f"http://{server.url}/v2/health/ready")
        )
        np.testing.assert_array_equal(scores(server, ids), expected)
        second = server.process.pid
    assert group_members(first) == group_members(second) == []


def test_a_port_in_use_is_a_clear_error(run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServingError, match=f"Port {port} .* can't be used.*serving.triton.http_port=0"):
            server_of(run, port=port).start()


def test_a_broken_model_fails_with_the_logs_tail(tmp_path):
    folder = run_folder(tmp_path, with_fields(1, 1))
    export_run(folder, with_fields(1, 1), configuration())
    (folder / "triton" / "embedding" / "1" / "model" / "checkpoint.json").write_text("{")
    server = server_of(folder)
    with pytest.raises(ServingError, match=r"Triton can't load model 'embedding' version 1: .*cannot be read as a checkpoint"):
        server.start()
    assert not server.running


def test_a_model_that_is_not_there_runs_into_the_timeout(run):
    server = TritonServer(run / "triton", model="other", version=1, log_file=run / "other.log", timeout_s=1.0)
    with pytest.raises(ServingError, match="was not ready within 1 s"):
        server.start()
    assert not server.running


def test_a_missing_wheel_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setattr(triton_wheel, "_site_packages", lambda: [tmp_path])
    with pytest.raises(MissingExtra, match=r"jdrec\[serving\]"):
        triton_wheel.find_tritonserver()


def test_a_system_without_a_wheel_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(triton_wheel, "_site_packages", lambda: [tmp_path])
    monkeypatch.setattr(triton_wheel, "_FIRST_PYTHON_WITHOUT", (3, 0))
    with pytest.raises(ServingError, match=r"no pytriton wheel for Python .*serving\.triton\.url"):
        triton_wheel.find_tritonserver()


def test_a_python_without_a_stub_is_told_which_have_one(monkeypatch):
    monkeypatch.setattr(triton_wheel, "_python_version", lambda: "3.99")
    with pytest.raises(ServingError, match=r"no Python backend for Python 3\.99.*3\.8 to 3\.12"):
        triton_wheel.find_tritonserver()


def test_a_numpy_that_the_backend_cannot_use_is_told(monkeypatch):
    monkeypatch.setattr(triton_wheel, "_numpy_version", lambda: "2.0.1")
    with pytest.raises(ServingError, match=r"with NumPy 2\.0\.1.*numpy<2"):
        triton_wheel.find_tritonserver()


def test_a_free_port_can_be_bound():
    triton.require_free_port(free_port(), "serving.port")
