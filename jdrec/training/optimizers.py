"""Optimizers over NumPy arrays, in place: the same arithmetic whatever framework computed the gradients, and a state that is plain arrays.

SGD; Adagrad (Duchi et al., 2011); Adam (Kingma and Ba, arXiv 1412.6980); AdamW (Loshchilov and Hutter, arXiv 1711.05101). Values are those of
torch.optim with its default settings. Weight decay is added to the gradient, but in AdamW, which takes it off the weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numba
import numpy as np

OptimizerName = Literal["adam", "adamw", "adagrad", "sgd"]
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
_ADAGRAD_EPSILON = 1e-10
RULES: dict[OptimizerName, int] = {"sgd": 0, "adagrad": 1, "adam": 2, "adamw": 3}
STATES: dict[OptimizerName, int] = {"sgd": 0, "adagrad": 1, "adam": 2, "adamw": 2}  # numbers kept beside each weight


def step_numbers(name: OptimizerName, step: int, learning_rate: float, weight_decay: float) -> np.ndarray:
    """What a step needs besides weight, state and gradient: float32 [4], rate, epsilon, decay added to the gradient, decay of the weight.

    Args:
        step: counted from 1. Adam's corrections of its averages go into rate and epsilon (end of the paper's section 2).
    """
    rate, epsilon = learning_rate, _ADAGRAD_EPSILON
    if name in ("adam", "adamw"):
        root = math.sqrt(-math.expm1(step * math.log(BETA2)))
        rate, epsilon = learning_rate * root / -math.expm1(step * math.log(BETA1)), EPSILON * root
    coupled = 0.0 if name == "adamw" else weight_decay
    return np.array([rate, epsilon, coupled, learning_rate * weight_decay if name == "adamw" else 0.0], np.float32)


class DenseOptimizer:
    """Updates whole arrays.

    Args:
        name: the rule.
        parameters: float32 arrays, updated in place.
    """

    def __init__(self, name: OptimizerName, parameters: Mapping[str, np.ndarray], weight_decay: float = 0.0):
        self.name, self.parameters, self.weight_decay = name, parameters, weight_decay
        self._states = {key: np.zeros((STATES[name], value.size), np.float32) for key, value in parameters.items()}

    def step(self, gradients: Mapping[str, np.ndarray], step: int, learning_rate: float, scale: float = 1.0) -> None:
        """One step.

        Args:
            gradients: of every parameter that has one.
            step: counted from 1.
            scale: gradients are multiplied by it.
        """
        numbers = step_numbers(self.name, step, learning_rate, self.weight_decay)
        for key, gradient in gradients.items():
            flat = np.ascontiguousarray(gradient, np.float32).reshape(-1)
            _update_all(RULES[self.name], self.parameters[key].reshape(-1), self._states[key], flat, numbers, np.float32(scale))

    def state(self) -> dict[str, np.ndarray]:
        """By parameter name, float32 [states, size]."""
        return dict(self._states)

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """The inverse of `state`."""
        for key, value in self._states.items():
            value[...] = state[key]


@numba.njit(nogil=True, inline="always")
def update(rule, weight, state, gradient, numbers, scale):  # type: ignore[no-untyped-def]
    """One step on weight [n], state [states, n] and gradient [n]."""
    rate, epsilon, coupled, decoupled = numbers[0], numbers[1], numbers[2], numbers[3]
    one, beta1, beta2 = np.float32(1), np.float32(BETA1), np.float32(BETA2)
    count = weight.size
    if rule == 0:
        for i in range(count):
            weight[i] -= rate * (gradient[i] * scale + coupled * weight[i])
    elif rule == 1:
        for i in range(count):
            g = gradient[i] * scale + coupled * weight[i]
            total = state[0, i] + g * g
            state[0, i] = total
            weight[i] -= rate * g / (np.sqrt(total) + epsilon)
    else:
        for i in range(count):
            g = gradient[i] * scale + coupled * weight[i]
            first = beta1 * state[0, i] + (one - beta1) * g
            second = beta2 * state[1, i] + (one - beta2) * g * g
            state[0, i] = first
            state[1, i] = second
            weight[i] -= decoupled * weight[i] + rate * first / (np.sqrt(second) + epsilon)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _update_all(rule, weight, state, gradient, numbers, scale):  # type: ignore[no-untyped-def]
    update(rule, weight, state, gradient, numbers, scale)


def global_norm(arrays: list[np.ndarray]) -> float:
    """The Euclidean norm of all numbers together."""
    return math.sqrt(sum(float(np.dot(flat, flat)) for flat in (array.reshape(-1) for array in arrays)))
