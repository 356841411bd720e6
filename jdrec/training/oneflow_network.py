"""A model in OneFlow on the CPU, step by step (eager)."""

from __future__ import annotations

from jdrec.config import TrainerConfig
from jdrec.models import ModelSpec, build
from jdrec.models.namespace import namespace
from jdrec.system import cores
from jdrec.training.dropout import Draws, compile_now
from jdrec.training.forked import Forked
from jdrec.training.hidden_layers import oneflow_hidden
from jdrec.training.network import ModuleNetwork
from jdrec.training.oneflow_library import load_oneflow
from jdrec.training.pairwise import oneflow_pairwise
from jdrec.training.parts import LEAST


def oneflow_network(spec: ModelSpec, config: TrainerConfig, seed: int) -> Forked:
    """A model in OneFlow on the CPU; large batches are computed in parts."""
    flow = load_oneflow()
    draws = Draws(seed)
    model = build(namespace(flow, hidden=oneflow_hidden(flow, draws), pairwise=oneflow_pairwise(flow)), spec)
    network = ModuleNetwork(flow, model, draws)
    compile_now()
    parts = max(1, min(config.threads or cores(), config.batch_size // LEAST))
    return Forked(network, len(spec.fields), spec.embedding_dim, config.batch_size, parts, lambda: flow.set_num_threads(1))
