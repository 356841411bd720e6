"""A tritonserver of our own: found in the pytriton wheel, started on loopback, watched, and stopped with nothing left behind.

The wheel has the server and its Python backend, and keeps them in a layout that the server does not find by itself.
"""

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
import sysconfig
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from types import TracebackType

from jdrec.errors import MissingExtra, ServingError
from jdrec.serving.repository import versions_in

log = logging.getLogger(__name__)

_WORK = "jdrec-triton-"

_STOP_S = 10  # a server that takes longer to stop is killed
_SHARED_MEMORY = Path("/dev/shm")
_LOG_LINES = 15
_POLL_S = 0.05
_PR_SET_PDEATHSIG = 1
_FIRST_PYTHON_WITHOUT = (3, 13)


# --- the wheel -------------------------------------------------------------------------------------------------------------


def find_tritonserver() -> Path:
    """The wheel's folder `tritonserver/`, which holds bin, backends and a stub for each Python version.

    Raises:
        MissingExtra: the wheel is not installed.
        ServingError: there is no wheel for this system, or it has no stub for this Python, or cannot use this NumPy.
    """
    for site in _site_packages():
        server = site / "pytriton" / "tritonserver"
        if (server / "bin" / "tritonserver").is_file():
            break
    else:
        if sys.version_info >= _FIRST_PYTHON_WITHOUT or not sys.platform.startswith("linux"):
            raise ServingError(
                f"There is no pytriton wheel for Python {_python_version()} on {sys.platform}.",
                hint="Serve on Linux with Python 3.10 to 3.12, or name a Triton that runs elsewhere: serving.triton.url=HOST:PORT.",
            )
        raise MissingExtra("Triton (the nvidia-pytriton wheel)", "serving")
    if not _stub(server).is_file():
        versions = sorted((p.name for p in (server / "python_backend_stubs").iterdir()), key=lambda v: [int(n) for n in v.split(".")])
        raise ServingError(
            f"The pytriton wheel has no Python backend for Python {_python_version()}.",
            hint=f"Serve with Python {versions[0]} to {versions[-1]}, or name a Triton that runs elsewhere: serving.triton.url=HOST:PORT.",
        )
    if int(_numpy_version().split(".")[0]) >= 2:
        raise ServingError(
            f"The pytriton wheel's Python backend answers empty tensors with NumPy {_numpy_version()}.",
            hint="Install another: pip install 'numpy<2'",
        )
    return server


def _numpy_version() -> str:
    return metadata.version("numpy")


def _site_packages() -> list[Path]:
    paths = sysconfig.get_paths()
    return [Path(paths[name]) for name in ("purelib", "platlib")]


def _python_version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _stub(server: Path) -> Path:
    return server / "python_backend_stubs" / _python_version() / "triton_python_backend_stub"


def _build_backends(server: Path, target: Path) -> None:
    """Lays the Python backend out as tritonserver expects it; the wheel keeps the stubs apart and without their run bit."""
    python = target / "python"
    python.mkdir(parents=True)
    for name in ("libtriton_python.so", "triton_python_backend_utils.py"):
        (python / name).symlink_to(server / "backends" / "python" / name)
    stub = shutil.copy(_stub(server), python)
    os.chmod(stub, 0o755)


def _libpython_folder() -> Path | None:
    """Where the shared library of this Python lies; None if only the system's loader can know."""
    name = f"libpython{_python_version()}.so.1.0"
    folders = [sysconfig.get_config_var("LIBDIR"), os.path.join(sys.base_prefix, "lib")]
    for folder in folders:
        if folder and (Path(folder) / name).is_file():
            return Path(folder)
    try:
        ctypes.CDLL(name)
    except OSError:
        raise ServingError(
            f"Triton's Python backend needs {name}, and this Python ({sys.base_prefix}) was built without it.",
            hint="Use a Python with its shared library: one that uv installs, the system's libpython package, "
            "or pyenv with PYTHON_CONFIGURE_OPTS=--enable-shared.",
        ) from None
    return None


def _environment(server: Path) -> dict[str, str]:
    """What the server and the Python of its backend need to find libraries, the standard library and numpy."""
    sites = list(dict.fromkeys(str(site) for site in _site_packages()))
    libraries = [_libpython_folder(), server / "external_libs", server / "lib"]
    for site in sites:
        libraries += [Path(site) / "nvidia_pytriton.libs", *sorted(Path(site).glob("nvidia/*/lib"))]
    present = [str(folder) for folder in libraries if folder is not None and folder.is_dir()]
    inherited = [path for path in os.environ.get("LD_LIBRARY_PATH", "").split(":") if path]
    return {
        **os.environ,
        "LD_LIBRARY_PATH": ":".join([*present, *inherited]),
        # The Python inside the backend looks for its library and packages by these two up to 3.10, and ignores them from 3.11 on,
        # where it takes those of the first python3 on the PATH.
        "PYTHONPATH": ":".join(sites),
        "PYTHONHOME": sys.base_prefix,
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)]),
        "OPENBLAS_NUM_THREADS": "1",  # model.py spreads rows over the cores
        "PYTHONDONTWRITEBYTECODE": "1",  # the model repository stays as it was exported
    }


# --- the process -----------------------------------------------------------------------------------------------------------


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
        environment = _environment(server)
        self.port = self.port or free_port()
        require_free_port(self.port, "serving.triton.http_port")
        if self._work is None:
            _remove_stale_work()
            self._work = tempfile.TemporaryDirectory(prefix=f"{_WORK}{os.getpid()}-", dir=_plain_temporary_folder())
            _build_backends(server, Path(self._work.name) / "backends")
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
                env={**environment, "TMPDIR": self._work.name},  # the backend unpacks there, and leaves it
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
