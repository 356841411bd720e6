"""task=doctor: what is installed, what runs here, and the command for what is missing. Every "ok" was tried, not looked up."""

from __future__ import annotations

import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from jdrec.errors import ConfigError, JdrecError, MissingExtra
from jdrec.system import cores

if TYPE_CHECKING:
    from jdrec.config import Config
    from jdrec.features.spec import FeatureSet

_PATIENCE_S = 60
_CONNECT_S = 3


@dataclass(frozen=True)
class Finding:
    """What became of one component.

    Attributes:
        state: ok; missing: not installed; off: nothing asks for it; broken: there, but it does not run.
        advice: what to do, a command where there is one.
    """

    component: str
    state: Literal["ok", "missing", "off", "broken"]
    detail: str
    advice: str = ""


class _Off(Exception):
    """Nothing asks for the component; the text says how to."""


def show(config: Config, feature_set: FeatureSet) -> None:
    """Prints a table of all components."""
    from rich.table import Table
    from rich.text import Text

    from jdrec.tracking.console import console

    table = Table(title="what runs here")
    for title in ("component", "", "what was found", "what to do"):
        table.add_column(title, overflow="fold")
    colours = {"ok": "green", "missing": "yellow", "off": "dim", "broken": "red"}
    for finding in examine(config, feature_set):
        table.add_row(finding.component, Text(finding.state, style=colours[finding.state]), finding.detail, finding.advice)
    console().print(table)


def examine(config: Config, feature_set: FeatureSet) -> list[Finding]:
    """Tries every component; those that could bring this process down run in one of their own."""
    probes: dict[str, Callable[[], str]] = {
        "Python": _python,
        "machine": _machine,
        "embedded engine": _kernels,
        "OpenMLDB's compiler": lambda: _compiler(feature_set),
        "OneFlow": _oneflow,
        "PyTorch": _torch,
        "GPU": _gpu,
        "Triton": _triton,
        "pages (vl-convert)": _pages,
        "Optuna": lambda: _package("Optuna", "sweep", "optuna"),
        "MLflow": _mlflow,
        "TensorBoard": lambda: _package("TensorBoard", "tensorboard", "tensorboard"),
        "Slurm": _slurm,
        "Spark: Java": lambda: _java(config),
        "Spark: PySpark": _pyspark,
        "Spark: OpenMLDB's jars": lambda: _jars(config),
        "OpenMLDB cluster": lambda: _cluster(config),
        "OpenMLDB APIServer": lambda: _api_server(config),
    }
    with ThreadPoolExecutor(max_workers=4) as pool:
        return list(pool.map(lambda item: _find(*item), probes.items()))


def _find(component: str, probe: Callable[[], str]) -> Finding:
    try:
        return Finding(component, "ok", probe())
    except _Off as off:
        return Finding(component, "off", str(off))
    except MissingExtra as error:
        return Finding(component, "missing", error.message, error.hint or "")
    except JdrecError as error:
        return Finding(component, "broken", error.message, error.hint or "")


def _python() -> str:
    return f"{platform.python_version()} in {sys.prefix}"


def _machine() -> str:
    free = shutil.disk_usage(Path.cwd()).free
    return f"{platform.system()} {platform.machine()}, {cores()} cores, {free / 2**30:,.0f} GiB free on this disk"


def _kernels() -> str:
    from jdrec.engines.embedded.native import evaluate

    evaluate()  # compiles them where that was not done yet
    return f"its kernels are compiled (numba {metadata.version('numba')})"


def _compiler(feature_set: FeatureSet) -> str:
    from jdrec.features import compiler

    compiler.check(feature_set, deployable=False)
    return f"accepts this configuration's features (openmldb {metadata.version('openmldb')})"


def _oneflow() -> str:
    from importlib.util import find_spec

    if find_spec("oneflow") is None:
        raise MissingExtra("OneFlow (Python 3.10 at most)", "oneflow")
    return _child(
        "from jdrec.training.oneflow_library import load_oneflow, choose_device\n"
        "flow = load_oneflow(); flow.ones(2).sum().numpy()\n"
        "print(flow.__version__, 'on', choose_device('auto', flow))"
    )


def _torch() -> str:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise MissingExtra("PyTorch", "torch")
    return _child(
        "import torch\ndevice = 'cuda' if torch.cuda.is_available() else 'cpu'\n"
        "torch.ones(2, device=device).sum().item()\nprint(torch.__version__, 'on', device)"
    )


def _gpu() -> str:
    if shutil.which("nvidia-smi") is None:
        raise _Off("no NVIDIA driver; the CPU trains")
    command = ["nvidia-smi", "--query-gpu=name,memory.total,compute_cap", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise JdrecError(f"nvidia-smi does not answer: {error}.") from None
    if done.returncode != 0:
        raise JdrecError(f"nvidia-smi: {(done.stdout + done.stderr).strip()[:200]}")
    return done.stdout.strip().replace("\n", "; ")


def _triton() -> str:
    from jdrec.serving.triton_wheel import find_tritonserver

    server = find_tritonserver() / "bin" / "tritonserver"
    return f"{server} (nvidia-pytriton {metadata.version('nvidia-pytriton')})"


def _package(component: str, extra: str, *packages: str) -> str:
    """That packages are there and can be imported, and the version of the first."""
    from importlib.util import find_spec

    if any(find_spec(package) is None for package in packages):
        raise MissingExtra(component, extra)
    return _child(f"import {', '.join(packages)}\nprint('{packages[0]}', {packages[0]}.__version__)")


def _pages() -> str:
    return _package("vl-convert, which the pages of runs and sweeps need,", "report", "vl_convert")


def _mlflow() -> str:
    return _package("MLflow", "mlflow", "mlflow", "sqlalchemy", "alembic")  # the light package has no database of its own


def _slurm() -> str:
    from importlib.util import find_spec

    if shutil.which("sbatch") is None:
        raise _Off("no sbatch here; hydra/launcher=slurm asks for it")
    if find_spec("hydra_plugins.hydra_submitit_launcher") is None:
        raise MissingExtra("hydra-submitit-launcher", "slurm")
    return f"{shutil.which('sbatch')}, hydra-submitit-launcher {metadata.version('hydra-submitit-launcher')}"


def _java(config: Config) -> str:
    from jdrec.engines.spark import java

    found = java.find(config.engine.java_home)
    return f"Java {found.version} in {found.home}"


def _pyspark() -> str:
    try:
        return f"pyspark {metadata.version('pyspark')}"
    except metadata.PackageNotFoundError:
        raise MissingExtra("PySpark", "spark") from None


def _jars(config: Config) -> str:
    from jdrec.engines.spark import jars

    folder = Path(config.engine.jars) if config.engine.jars else jars.default_folder()
    jars.find(folder)
    return f"OpenMLDB {jars.VERSION} in {folder}"


def _cluster(config: Config) -> str:
    from jdrec.engines.openmldb.settings import settings

    try:
        found = settings(config.openmldb.cluster)
    except ConfigError as error:
        raise _Off(f"{error.message} {error.hint or ''}".strip()) from None
    addresses = found.zk.split(",") if found.zk else [f"{found.host}:{found.port}"]
    answering = sum(_connects(address) for address in addresses)  # an address is not printed: it may be a secret
    if not answering:
        raise JdrecError(f"none of its {len(addresses)} addresses answers.", hint="Look at openmldb.cluster and at the network.")
    return f"{answering} of {len(addresses)} addresses answer"


def _api_server(config: Config) -> str:
    if config.serving.features != "openmldb":
        raise _Off("serving.features=openmldb asks it")
    endpoint = urlsplit(config.openmldb.endpoint)
    if not _connects(endpoint.netloc):
        raise JdrecError("it does not answer.", hint="Look at openmldb.endpoint.")
    return "it answers"


def _connects(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_CONNECT_S):
            return True
    except (OSError, ValueError):
        return False


def _child(code: str) -> str:
    """What the code prints, run by a Python of its own: a broken library may end its process."""
    caught = (
        f"from jdrec.errors import JdrecError\ntry:\n{_indented(code)}\nexcept JdrecError as error:\n    print(error); raise SystemExit(3)"
    )
    try:
        done = subprocess.run([sys.executable, "-c", caught], capture_output=True, text=True, timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        raise JdrecError(f"it does not answer within {_PATIENCE_S} s.") from None
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0:
        said = lines[-1:] if done.returncode == 3 else done.stderr.strip().splitlines()[-1:]
        raise JdrecError(" ".join(said) or f"it ended with code {done.returncode}.")
    return lines[-1]


def _indented(code: str) -> str:
    return "\n".join(f"    {line}" for line in code.splitlines())
