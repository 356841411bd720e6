"""Floats whose sums are not rounded: all are multiples of a power of two, and few enough that no sum of them is too long.

Prices in quarters, whole numbers: then no order of addition makes a difference, and sums over windows are differences of running sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Units:
    """Values as whole numbers of a power of two.

    Attributes:
        unit: that power.
        values: int64.
        most: what the values of a window may add up to, in units, besides those that were asked about.
    """

    unit: float
    values: np.ndarray
    most: int

    def of(self, values: np.ndarray) -> np.ndarray | None:
        """Other values in the same units; None where they are none, or too large to be added to the others."""
        if not len(values):
            return np.zeros(0, np.int64)
        units = values.astype(np.float64) / self.unit
        if not np.all(np.abs(units) <= self.most) or np.any(units != np.rint(units)):
            return None
        return units.astype(np.int64)


def units_of(values: np.ndarray, bases: np.ndarray, result: np.dtype) -> Units | None:
    """The values in units, if sums of any of them and one value more are exact; None if not.

    Args:
        values: numbers of a column, group after group.
        bases: int64 [groups + 1]: where groups begin.
        result: the type in which sums are computed, float32 or float64.
    """
    limit = 2 ** (24 if result == np.float32 else 53)
    if values.dtype.kind != "f":
        return _bounded(1.0, values.astype(np.int64), bases, limit) if len(values) else Units(1.0, np.zeros(0, np.int64), limit)
    doubles = values.astype(np.float64)
    if not len(doubles) or not np.isfinite(doubles).all():
        return None
    if np.any((doubles == 0) & np.signbit(doubles)):  # the sign of a zero depends on what is added to it
        return None
    mantissa, exponent = np.frexp(doubles)
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    lowest = np.log2((whole & -whole).astype(np.float64), where=whole != 0, out=np.full(len(whole), 60.0))
    least = int((exponent - 53 + lowest)[whole != 0].min(initial=0))
    if not -500 < least < 500 or np.abs(doubles).max() >= 2.0 ** (least + 53):
        return None
    return _bounded(2.0**least, (doubles / 2.0**least).astype(np.int64), bases, limit)


def _bounded(unit: float, units: np.ndarray, bases: np.ndarray, limit: int) -> Units | None:
    full = bases[:-1][np.diff(bases) > 0]
    most = np.add.reduceat(np.abs(units.astype(np.float64)), full).max(initial=0.0) if len(full) else 0.0
    if most >= limit / 2:
        return None
    return Units(unit, units, int(limit // 2))


def running(values: np.ndarray) -> np.ndarray:
    """int64 [rows + 1]: what all before each row add up to."""
    return np.append(np.int64(0), np.cumsum(values, dtype=np.int64))
