"""PyTorch: importing it, choosing its device, and a model in it on the CPU."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
from pathlib import Path
from typing import Any

from jdrec.config import TrainerConfig
from jdrec.errors import MissingExtra, TrainingError
from jdrec.models import ModelSpec, build
from jdrec.models.namespace import namespace
from jdrec.system import cores
from jdrec.training.dropout import Draws
from jdrec.training.hidden_layers import torch_hidden
from jdrec.training.network import ModuleNetwork, Network
from jdrec.training.pairwise import torch_pairwise
from jdrec.training.parts import LEAST, Parts


@cache
def load_torch() -> Any:
    """The torch package.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError:
        raise MissingExtra("PyTorch", "torch", where="trainer.framework") from None
    return torch


def choose_device(wanted: str) -> str:
    """ "cuda" or "cpu" for trainer.device.

    Raises:
        TrainingError: cuda is asked for and PyTorch finds none.
    """
    if wanted == "cpu" or load_torch().cuda.is_available():
        return "cpu" if wanted == "cpu" else "cuda"
    if wanted == "auto":
        return "cpu"
    raise TrainingError("PyTorch finds no CUDA GPU.", where="trainer.device", hint="Use trainer.device=cpu, or auto.")


def torch_network(spec: ModelSpec, config: TrainerConfig, seed: int) -> Network:
    """A model in PyTorch on the CPU; large batches are computed in parts."""
    torch = load_torch()
    threads = config.threads or cores()
    parts = max(1, min(threads, config.batch_size // LEAST))
    torch.set_num_threads(threads // parts)
    networks = [_network(torch, spec, config, seed) for _ in range(parts)]
    return networks[0] if parts == 1 else Parts(networks)


def _network(torch: Any, spec: ModelSpec, config: TrainerConfig, seed: int) -> ModuleNetwork:
    draws = Draws(seed)
    model = build(namespace(torch, hidden=torch_hidden(torch, draws), pairwise=torch_pairwise(torch)), spec)
    autocast: Callable[[], AbstractContextManager] = nullcontext
    if config.amp != "none":
        autocast = partial(torch.autocast, "cpu", torch.bfloat16 if config.amp == "bf16" else torch.float16)
    return ModuleNetwork(torch, model, draws, autocast, _profiler)


@contextmanager
def _profiler(folder: Path) -> Iterator[None]:
    """Leaves trace_torch.json."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # where there is no GPU it complains of that
    profile = load_torch().profiler.profile
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Warning: Profiler clears events", UserWarning)  # of cycles, and there is but one
        with profile() as recorded:
            yield
    recorded.export_chrome_trace(str(folder / "trace_torch.json"))
