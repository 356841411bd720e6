"""The optimizers of `jdrec.training.optimizers` on tensors, with the same arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from jdrec.training.optimizers import BETA1, BETA2, RULES, OptimizerName


def update_(name: OptimizerName, weight: Any, state: Any, gradient: Any, numbers: np.ndarray) -> None:
    """One step in place.

    Args:
        weight, gradient: float32, of one shape.
        state: float32 [states, *shape].
        numbers: of `jdrec.training.optimizers.step_numbers`.
    """
    assert name in RULES
    rate, epsilon, coupled, decoupled = (float(number) for number in numbers)
    if coupled:
        gradient = gradient + coupled * weight
    if name == "sgd":
        weight -= rate * gradient
    elif name == "adagrad":
        state[0] += gradient * gradient
        weight -= rate * gradient / (torch.sqrt(state[0]) + epsilon)
    else:
        state[0].mul_(BETA1).add_(gradient, alpha=1 - BETA1)
        state[1].mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        weight -= decoupled * weight + rate * state[0] / (torch.sqrt(state[1]) + epsilon)
