"""A model in OneFlow on the CPU, step by step (eager)."""

from __future__ import annotations

from jdrec.config import TrainerConfig
from jdrec.models import ModelSpec, build
from jdrec.models.namespace import namespace
from jdrec.training.dropout import Draws
from jdrec.training.hidden_layers import oneflow_hidden, oneflow_linear
from jdrec.training.network import ModuleNetwork
from jdrec.training.oneflow_library import load_oneflow
from jdrec.training.pairwise import oneflow_pairwise


def oneflow_network(spec: ModelSpec, config: TrainerConfig, seed: int) -> ModuleNetwork:
    """A model in OneFlow on the CPU."""
    flow = load_oneflow()
    if config.threads:
        from threadpoolctl import threadpool_limits

        flow.set_num_threads(config.threads)
        threadpool_limits(config.threads, user_api="blas")  # of the process, for the rest of its life
    draws = Draws(seed)
    model = build(namespace(flow, Linear=oneflow_linear(flow), hidden=oneflow_hidden(flow, draws), pairwise=oneflow_pairwise(flow)), spec)
    return ModuleNetwork(flow, model, draws)
