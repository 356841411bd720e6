"""task=serve as a process of its own: it serves, survives its Triton, and leaves nothing behind however it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jdrec.errors import ServingError
from jdrec.serving.run import demo, serve
from jdrec.serving.server import listen
from jdrec.serving.triton import TritonServer
from tests.conftest import REPO
from tests.serving.api_server import ApiServer, ok
from tests.serving.service_parts import call
from tests.serving.small_definitions import COLUMNS, ROW, every_type, with_fields
from tests.serving.small_models import configuration, export_run, run_folder, serving_configuration
from tests.serving.test_triton_process import group_members, shared_memory, wait_for

pytestmark = pytest.mark.triton

FEATURES = every_type()
SERVE = """
import sys
from pathlib import Path
from jdrec.serving.run import serve
from tests.serving.small_definitions import every_type
from tests.serving.small_models import serving_configuration
serve(serving_configuration(sys.argv[2]), Path(sys.argv[1]), every_type())
print("the end", flush=True)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = run_folder(tmp_path_factory.mktemp("a run"), FEATURES)
    export_run(folder, FEATURES, configuration())
    return folder


@pytest.fixture(scope="module")
def api() -> Iterator[ApiServer]:
    """An APIServer whose deployment answers the request's own columns."""
    with ApiServer(
        "db", "demo", "requests", len(COLUMNS), lambda rows: ok({"data": {"data": [[row[0], *row, 1] for row in rows]}})
    ) as server:
        yield server


@contextmanager
def serving(run: Path, api: ApiServer) -> Iterator[tuple[subprocess.Popen, str, str]]:
    """The process, its URL and what it has announced; it is killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(run), api.endpoint], cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        announced = ""
        while "Ctrl-C" not in announced:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            announced += line
        yield process, re.search(r"Prediction service +(\S+)", announced)[1], announced
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def triton_group(process: subprocess.Popen) -> int:
    """The process group of the Triton that this process has started."""
    for thread in Path(f"/proc/{process.pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text().strip() == "tritonserver":
                return int(child)
    raise AssertionError("it has no tritonserver")


def assert_gone(process: subprocess.Popen, group: int, url: str) -> None:
    wait_for(lambda: not group_members(group))
    wait_for(lambda: not shared_memory(process.pid))
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=1)


def test_it_announces_what_it_serves_and_ctrl_c_stops_everything(run, api):
    with serving(run, api) as (process, url, announced):
        assert re.search(r"^Triton +http://127\.0\.0\.1:\d+ +model embedding, version 1$", announced, re.MULTILINE)
        assert f"documentation: {url}/docs" in announced
        assert "docker run" in announced
        command = re.search(r"^Try it +(curl .*)$", announced, re.MULTILINE)[1]
        assert f"{url}/predict" in command and f"@'{run}/request.json'" in command
        assert call(f"{url}/predict", (run / "request.json").read_bytes()).status == 200
        group = triton_group(process)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, "the end\n"), errors
    assert group_members(group) == []  # at once, not some time later
    assert_gone(process, group, url)


def test_it_brings_back_a_triton_that_dies_and_sigterm_stops_everything(run, api):
    with serving(run, api) as (process, url, _):
        before = call(f"{url}/predict", ROW).json
        first = triton_group(process)
        os.killpg(first, signal.SIGKILL)
        seen = []

        def answered() -> bool:
            seen.append(call(f"{url}/predict", ROW).status)
            return seen[-1] == 200 and 503 in seen

        wait_for(answered)
        assert set(seen) <= {200, 503}
        assert call(f"{url}/predict", ROW).json == before
        second = triton_group(process)
        process.terminate()
        rest, errors = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, "the end\n"), errors
    assert group_members(first) == group_members(second) == []
    assert_gone(process, second, url)


def test_a_kill_leaves_no_triton(run, api):
    with serving(run, api) as (process, url, _):
        group = triton_group(process)
        process.kill()
    assert_gone(process, group, url)


def test_ctrl_c_while_triton_starts(run, api):
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(run), api.endpoint], cwd=REPO, stdout=subprocess.PIPE, text=True)
    group = 0

    def started() -> bool:
        nonlocal group
        try:
            group = triton_group(process)
            return True
        except (AssertionError, OSError):
            return False

    wait_for(started)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[0] == "the end\n"
    assert group_members(group) == []


def test_the_demo_prints_one_prediction_and_stops(run, api):
    regions = shared_memory(os.getpid())  # others of this process may run
    text = demo(serving_configuration(api.endpoint), run, FEATURES)
    request = json.loads((run / "request.json").read_text())
    assert text.splitlines()[1].startswith(f"[{request['id']!r} {request['id']!r} {request['at']} ")
    assert 0 <= float(text.splitlines()[-1]) <= 1
    assert shared_memory(os.getpid()) == regions


def test_a_triton_of_ones_own_is_used_and_left_alone(run, api):
    with TritonServer(run / "triton", model="embedding", version=1, log_file=run / "own.log") as server:
        text = demo(serving_configuration(api.endpoint, url=server.url), run, FEATURES)
        assert 0 <= float(text.splitlines()[-1]) <= 1
        assert server.running


def test_a_port_in_use_is_told_before_anything_starts(run, api):
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServingError, match=rf"can't listen on 127\.0\.0\.1:{port}: .*serving\.port=0"):
            serve(serving_configuration(api.endpoint, port=port), run, FEATURES)


def test_other_features_than_the_models_are_refused(run, api):
    with pytest.raises(ServingError, match="trained on other features"):
        serve(serving_configuration(api.endpoint), run, with_fields(1, 1))


def test_the_oneflow_backend_needs_a_triton_of_ones_own(tmp_path, api):
    options = {"backend": "oneflow", "instance_kind": "KIND_GPU", "gpus": [0]}
    folder = run_folder(tmp_path, FEATURES)
    export_run(folder, FEATURES, configuration(**options))
    with pytest.raises(ServingError, match=r"no oneflow backend.*serving=triton_python.*serving\.triton\.url"):
        serve(serving_configuration(api.endpoint, **options), folder, FEATURES)
