"""A tritonserver of our own: found in the pytriton wheel, started on loopback, watched, and stopped with nothing left behind."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from jdrec.errors import ServingError
from jdrec.serving.repository import versions_in
from jdrec.serving.triton_wheel import build_backends, environment, find_tritonserver

log = logging.getLogger(__name__)

_WORK = "jdrec-triton-"

_STOP_S = 10  # a server that takes longer to stop is killed
_SHARED_MEMORY = Path("/dev/shm")
_LOG_LINES = 15
_POLL_S = 0.05
_PR_SET_PDEATHSIG = 1


class TritonServer:
    """One tritonserver on 127.0.0.1, as a context manager: ready on entry, gone on exit.

    Args:
        repository: the model repository.
        model: the model that must be ready, and its version.
        port: its HTTP port; 0 picks a free one.
        log_file: what it says goes there.
        timeout_s: longest wait for the model to be ready.
    """

    def __init__(self, repository: Path, *, model: str, version: int, port: int = 0, log_file: Path, timeout_s: float = 60.0):
        self.repository, self.model, self.version = repository.resolve(), model, version
        self.port, self.log_file, self.timeout_s = port, log_file, timeout_s
        self.process: subprocess.Popen[bytes] | None = None
        self._work: tempfile.TemporaryDirectory[str] | None = None
        self._shared_memory = ""
        self._cancelled = threading.Event()

    @property
    def url(self) -> str:
        """host:port of its HTTP endpoint."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> TritonServer:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Starts the server and waits until the model is ready.

        The thread that calls this must live as long as the server: when it ends, the kernel ends the server too.

        Raises:
            MissingExtra, ServingError: no server, port in use, or the model does not load; the message has the log's tail.
        """
        try:
            self._launch()
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def _launch(self) -> None:
        server = find_tritonserver()
        variables = environment(server)
        self.port = self.port or free_port()
        require_free_port(self.port, "serving.triton.http_port")
        if self._work is None:
            _remove_stale_work()
            self._work = tempfile.TemporaryDirectory(prefix=f"{_WORK}{os.getpid()}-", dir=_plain_temporary_folder())
            build_backends(server, Path(self._work.name) / "backends")
            # The Python backend starts its stub by a command line, in which a path with a space falls apart.
            (Path(self._work.name) / "models").symlink_to(self.repository)
        self._shared_memory = f"jdrec_triton_{os.getpid()}_{self.port}_"
        command = [
            str(server / "bin" / "tritonserver"),
            *("--model-repository", f"{self._work.name}/models"),
            *("--backend-directory", f"{self._work.name}/backends"),
            *("--backend-config", f"python,shm-region-prefix-name={self._shared_memory}"),
            *("--http-address", "127.0.0.1", "--http-port", str(self.port)),
            *("--model-control-mode", "explicit"),
            *(f"--load-model={name}" for name in sorted({name for name, _ in versions_in(self.repository)} | {self.model})),
            *("--exit-on-error", "false"),  # a version that does not load must not take the others with it
            *("--allow-grpc", "false", "--allow-metrics", "false"),
            *("--disable-auto-complete-config",),
            *("--exit-timeout-secs", "5"),
        ]
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log_file, "wb") as output:
            self.process = subprocess.Popen(
                command,
                env={**variables, "TMPDIR": self._work.name},  # the backend unpacks there, and leaves it
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C of the terminal reaches only us, and we stop it in order
                preexec_fn=_die_with_parent(),
            )

    def _wait_until_ready(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + self.timeout_s
        address = f"http://{self.url}/v2/models/{self.model}/versions/{self.version}/ready"
        while True:
            if self.process.poll() is not None:
                raise ServingError(f"Triton stopped while it started (exit code {self.process.returncode}).{self._log_tail()}")
            if _answers(address):
                return
            if reason := _failure(self.url, self.model, self.version):
                raise ServingError(
                    f"Triton can't load model {self.model!r} version {self.version}: {reason.splitlines()[0]}{self._log_tail()}"
                )
            if time.monotonic() > deadline:
                raise ServingError(
                    f"Triton's model {self.model!r} was not ready within {self.timeout_s:g} s.{self._log_tail()}",
                    where="serving.triton.start_timeout_s",
                )
            if self._cancelled.wait(_POLL_S):
                raise ServingError("Triton was stopped while it started.")

    def cancel(self) -> None:
        """Makes a `start` that waits in another thread give up; the server can't be started again."""
        self._cancelled.set()

    def stop(self) -> None:
        """Stops the server and all it started, and removes what it used; does nothing when it is not running."""
        try:
            if self.process is not None:
                self._stop_process(self.process)
                self.process = None
        finally:
            self._clean()

    def _stop_process(self, process: subprocess.Popen[bytes]) -> None:
        try:
            if process.poll() is None:
                process.terminate()
                process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            log.warning("Triton did not stop within %d s and is killed", _STOP_S)
        finally:  # also on a second Ctrl-C
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # the server, and stubs of the Python backend that outlived it
            process.wait()

    def _clean(self) -> None:
        if self._shared_memory and _SHARED_MEMORY.is_dir():  # a killed server leaves its regions
            for region in _SHARED_MEMORY.glob(f"{self._shared_memory}*"):
                with suppress(OSError):
                    region.unlink()
        if self._work is not None:
            self._work.cleanup()
            self._work = None

    def _log_tail(self) -> str:
        with suppress(OSError):
            lines = self.log_file.read_text(errors="replace").splitlines()
            lines = [line for line in lines if line[:1] not in ("|", "+")]  # tables of what it has loaded and how it is set
            problems = [line for line in lines if line[:1] == "E" or "rror" in line]
            shown = [line for line in lines[-_LOG_LINES:] if line not in problems[-_LOG_LINES:]]
            return "\n  " + "\n  ".join([*problems[-_LOG_LINES:], *shown]) + f"\n  (all of it: {self.log_file})"
        return ""


def _plain_temporary_folder() -> str:
    """A folder for temporary files whose path has no character that a shell would take for its own."""
    folder = tempfile.gettempdir()
    return folder if re.fullmatch(r"[\w./-]+", folder, re.ASCII) else "/tmp"


def _remove_stale_work() -> None:
    """Removes the work folders of processes that were killed; a folder's name has the number of its process."""
    for folder in Path(_plain_temporary_folder()).glob(f"{_WORK}*"):
        owner = folder.name.removeprefix(_WORK).partition("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def require_free_port(port: int, key: str, host: str = "127.0.0.1") -> None:
    """Checks that `port`, configured as `key`, can be bound.

    Raises:
        ServingError: something else uses it, with what to do.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            return
        except OSError as error:
            reason = error.strerror
    raise ServingError(
        f"Port {port} of {host} can't be used: {reason}.",
        where=key,
        hint=f"Stop what uses it, or choose another: {key}=0 picks a free one.",
    )


def _answers(address: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=2) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


def _failure(url: str, model: str, version: int) -> str | None:
    """Why a running server could not load a version; None while it may yet."""
    request = urllib.request.Request(f"http://{url}/v2/repository/index", b"{}", method="POST")
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=2) as answer:
            listed = json.load(answer)
    except (OSError, ValueError):
        return None
    for item in listed:
        if item.get("name") == model and item.get("state") == "UNAVAILABLE" and item.get("version", str(version)) == str(version):
            return item.get("reason") or "it does not say why"
    return None


def _die_with_parent() -> Callable[[], None] | None:
    """Run in the child before exec: the kernel sends it SIGTERM when the thread that started it ends, however that happens.

    SIGTERM and not SIGKILL, so that the server removes its shared memory and ends its stubs.
    """
    if not sys.platform.startswith("linux"):
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended between fork and prctl
            os._exit(1)

    return prepare
