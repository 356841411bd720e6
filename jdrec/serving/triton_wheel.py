"""The pytriton wheel: it has a tritonserver and its Python backend, in a layout that the server does not find by itself."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

from jdrec.errors import MissingExtra, ServingError

_FIRST_PYTHON_WITHOUT = (3, 13)


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


def build_backends(server: Path, target: Path) -> None:
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


def environment(server: Path) -> dict[str, str]:
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
