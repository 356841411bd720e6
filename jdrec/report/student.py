"""Student's t distribution: tails and quantiles, by quadrature, so that no larger library is needed."""

from __future__ import annotations

import math

import numpy as np

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(256)


def two_sided(t: float, degrees: float) -> float:
    """The chance of a value at least as far from 0 as t, for degrees of freedom of 1 or more.

    With t = sqrt(degrees) tan(a), the density of a is proportional to cos(a) ** (degrees - 1).
    """
    angle = math.atan(abs(t) / math.sqrt(degrees))
    return min(_integral(angle, math.pi / 2, degrees) / _integral(0.0, math.pi / 2, degrees), 1.0)


def quantile(confidence: float, degrees: float) -> float:
    """The t that values stay within on both sides with a chance of `confidence`."""
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        if two_sided(math.sqrt(degrees) * math.tan(middle), degrees) > 1 - confidence:
            low = middle
        else:
            high = middle
    return math.sqrt(degrees) * math.tan((low + high) / 2)


def interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Of the mean of independent values; there are at least two."""
    mean = float(np.mean(values))
    half = quantile(confidence, len(values) - 1) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return mean - half, mean + half


def welch(a: np.ndarray, b: np.ndarray) -> float | None:
    """Two-sided p-value that two samples have one mean, their variances not assumed equal (Welch, Biometrika 34, 1947).

    None where a sample has fewer than two values, or neither has any spread.
    """
    if min(len(a), len(b)) < 2 or not (np.ptp(a) or np.ptp(b)):
        return None
    errors = [float(np.var(values, ddof=1)) / len(values) for values in (a, b)]
    t = (float(np.mean(a)) - float(np.mean(b))) / math.sqrt(sum(errors))
    degrees = sum(errors) ** 2 / sum(error**2 / (len(values) - 1) for error, values in zip(errors, (a, b), strict=True))
    return two_sided(t, degrees)


def paired(differences: np.ndarray) -> float | None:
    """Two-sided p-value that the mean of paired differences is 0; None for fewer than two, or without spread."""
    if len(differences) < 2 or not np.ptp(differences):
        return None
    t = float(np.mean(differences)) / (float(np.std(differences, ddof=1)) / math.sqrt(len(differences)))
    return two_sided(t, len(differences) - 1)


def _integral(start: float, end: float, degrees: float) -> float:
    half = (end - start) / 2
    angles = start + half * (_NODES + 1)
    return half * float(_WEIGHTS @ np.cos(angles) ** (degrees - 1))
