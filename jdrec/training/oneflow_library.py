"""Importing OneFlow, which needs some arranging.

Its wheel links cuDNN 8 and cuBLAS 11 even for work on the CPU and does not bring them along, so the libraries of NVIDIA's wheels are
loaded first. It holds GPU code for compute capability 6.0 to 8.6 only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from jdrec.errors import MissingExtra, TrainingError

_LIBRARIES = (("cublas", "libcublasLt.so.11"), ("cublas", "libcublas.so.11"), ("cudnn", "libcudnn.so.8"))
_OLDEST, _NEWEST = (6, 0), (8, 6)


@cache
def load_oneflow() -> Any:
    """The oneflow package.

    Raises:
        MissingExtra: it, or a library that it links, is not installed.
    """
    from importlib.util import find_spec

    if find_spec("oneflow") is None:
        raise MissingExtra("OneFlow (Python 3.10 at most)", "oneflow", where="trainer.framework")
    site = Path(sysconfig.get_paths()["purelib"])
    for package, name in _LIBRARIES:
        file = site / "nvidia" / package / "lib" / name
        if not file.is_file():
            raise MissingExtra(f"{name}, which OneFlow links,", "oneflow", where="trainer.framework")
        ctypes.CDLL(str(file), mode=ctypes.RTLD_GLOBAL)
    # cuDNN opens its parts by name when a GPU is used.
    folders = [str(folder) for folder in sorted(site.glob("nvidia/*/lib"))]
    os.environ["LD_LIBRARY_PATH"] = ":".join([*folders, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])])
    # The OpenBLAS inside the wheel takes processors newer than itself for one of 2007 without AVX: matrix products at half the speed.
    if _has_avx2():
        os.environ.setdefault("OPENBLAS_CORETYPE", "Haswell")
    os.environ.setdefault("GLOG_minloglevel", "2")  # no warning about a missing GPU driver
    on_interrupt = signal.getsignal(signal.SIGINT)
    with _stderr_without(b"libibverbs not available"):  # InfiniBand is for clusters
        import oneflow

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, on_interrupt)  # OneFlow's own handler ends the process at once, or never
    return oneflow


@contextmanager
def _stderr_without(phrase: bytes) -> Iterator[None]:
    """Holds back what C++ code writes to standard error, then passes on all but the lines that contain `phrase`."""
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)
            held.seek(0)
            os.write(2, b"".join(line for line in held if phrase not in line))


def _has_avx2() -> bool:
    try:
        return " avx2 " in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def choose_device(wanted: str, flow: Any) -> str:
    """ "cuda" or "cpu" for trainer.device.

    Args:
        wanted: auto, cpu or cuda.
        flow: the oneflow package.

    Raises:
        TrainingError: cuda is asked for and there is no GPU that OneFlow supports.
    """
    if wanted == "cpu":
        return "cpu"
    reason = _why_no_gpu(flow)
    if reason is None:
        return "cuda"
    if wanted == "auto":
        return "cpu"
    raise TrainingError(reason, where="trainer.device", hint="Use trainer.device=cpu, or auto.")


def _why_no_gpu(flow: Any) -> str | None:
    if not flow.cuda.is_available():
        return "OneFlow finds no CUDA GPU."
    capability = tuple(flow.cuda.get_device_capability())
    if _OLDEST <= capability <= _NEWEST:
        return None
    return f"OneFlow 0.9 has no code for this GPU: compute capability {capability[0]}.{capability[1]}, supported 6.0 to 8.6."
